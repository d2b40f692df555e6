"""Engine.IO revision 3 for clients that can only load scripts and post forms."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.protocols.engineio.v3 import jsonp_answer, jsonp_body


def test_e159_the_opening_answer() -> None:
    payload = '97:0{"sid":"oAuw4hqGD-PpN5I1AAAG","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}2:40'
    answer = jsonp_answer(payload, "0")
    assert len(answer) == 130
    assert answer == b'___eio[0]("' + payload.replace('"', r"\"").encode() + b'");'


@pytest.mark.parametrize(
    ("index", "said"), [("3", b"3"), ("7abc", b"7"), ("", b""), ("1)];alert(2", b"12"), ("٣", b"")]
)
def test_e159_only_the_digits_of_the_index_count(index: str, said: bytes) -> None:
    assert jsonp_answer("1:3", index) == b"___eio[" + said + b']("1:3");'


def test_e159_what_ends_a_line_of_javascript_is_escaped() -> None:
    payload = '4:4"\u2028\u2029\n\\u2028'
    answer = jsonp_answer(payload, "0")
    assert answer == rb"""___eio[0]("4:4\"\u2028\u2029\n\\u2028");"""
    assert json.loads(answer[10:-2]) == payload


@pytest.mark.parametrize(
    ("form", "body"),
    [
        (b"d=1%3A2", b"1:2"),
        (b"d=6:4a+b%2Bc", b"6:4a b+c"),
        (b"x=1&d=1:2&y=3", b"1:2"),
        (b"d=%C3%A9", "é".encode()),
        (rb"d=4:4a\nb", b"4:4a\nb"),
        (b"d=4:4a%5Cnb", b"4:4a\nb"),
        (rb"d=4:4a\\nb", rb"4:4a\nb"),
        (rb"d=\\\n\n\\t", b"\\\\n\n\\\\t"),
        (b"d=", b""),
        (b"d=%zz", b"%zz"),
        (b"", None),
        (b"e=1:2", None),
        (b"d", None),
        (b"d=1:2&d=1:3", None),
    ],
)
def test_e159_the_payload_in_a_form(form: bytes, body: bytes | None) -> None:
    assert jsonp_body(form) == body


@given(st.builds(json.dumps, st.text("\\n\nab é+&=%")))
def test_a_payload_survives_the_form_that_a_client_makes_of_it(payload: str) -> None:
    written = payload.replace(r"\n", r"\\n")
    assert jsonp_body(b"d=" + quote_plus(written).encode()) == payload.encode()


@given(st.binary())
def test_any_form_is_a_payload_or_none(form: bytes) -> None:
    body = jsonp_body(form)
    assert body is None or len(body) <= len(form)
