"""permessage-deflate as RFC 7692 has it: what is agreed on, and that any client can inflate what it then gets."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.protocols.deflate import SMALLEST, WINDOW_BITS, deflated_frame, negotiate
from broadcaster.protocols.frames import frame

PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
BOUNDED = f"{PLAIN}; server_max_window_bits={WINDOW_BITS}"


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        (None, None),
        ("", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate", PLAIN),
        ("Permessage-Deflate", PLAIN),
        ("permessage-deflate; client_max_window_bits", PLAIN),
        ("permessage-deflate; client_max_window_bits=15", PLAIN),
        ('permessage-deflate; client_max_window_bits="8"', PLAIN),
        ("permessage-deflate;client_no_context_takeover;server_no_context_takeover", PLAIN),
        ("permessage-deflate; server_max_window_bits=15", BOUNDED),
        ("permessage-deflate; server_max_window_bits=12; client_max_window_bits", BOUNDED),
        ("foo, permessage-deflate; bar, permessage-deflate", PLAIN),
    ],
)
def test_an_offer_that_can_be_met_is(offers: str | None, answer: str | None) -> None:
    assert negotiate(offers) == answer


@pytest.mark.parametrize(
    "parameters",
    [
        "server_max_window_bits",
        "server_max_window_bits=11",
        "server_max_window_bits=16",
        "server_max_window_bits=012",
        "server_max_window_bits=x",
        "server_max_window_bits=",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=-9",
        "client_max_window_bits=١٢",
        "server_no_context_takeover=1",
        "client_no_context_takeover=",
        "unknown",
        "unknown=1",
        "client_max_window_bits; client_max_window_bits",
        "server_no_context_takeover; server_no_context_takeover",
    ],
)
def test_an_offer_that_is_wrong_or_cannot_be_met_is_passed_over(parameters: str) -> None:
    assert negotiate(f"permessage-deflate; {parameters}") is None
    assert negotiate(f"permessage-deflate; {parameters}, permessage-deflate") == PLAIN


@given(st.text(st.characters(max_codepoint=255), max_size=100))
def test_no_header_does_any_harm(offers: str) -> None:
    for text in (offers, f"permessage-deflate;{offers}", f"permessage-deflate; server_max_window_bits={offers}"):
        assert negotiate(text) in (None, PLAIN, BOUNDED)


def inflated(raw: bytes) -> bytes:
    """What a client gets that takes nothing over and has no larger window than was agreed."""
    assert raw[0] == 0xC1
    size, at = raw[1], 2
    if size >= 126:
        wide = 2 if size == 126 else 8
        size, at = int.from_bytes(raw[2 : 2 + wide], "big"), 2 + wide
    assert len(raw) == at + size
    inflater = zlib.decompressobj(wbits=-WINDOW_BITS)
    return inflater.decompress(raw[at:] + b"\0\0\xff\xff")


@given(st.binary(min_size=SMALLEST, max_size=2_000), st.integers(1, 20))
def test_any_message_is_got_back(message: bytes, times: int) -> None:
    assert inflated(deflated_frame(message * times)) == message * times


@given(st.binary(max_size=SMALLEST - 1))
def test_a_small_message_goes_as_it_is(message: bytes) -> None:
    assert deflated_frame(message) == frame(0x1, message)


def test_each_message_stands_for_itself_and_is_smaller() -> None:
    message = b'{"event":"news","channel":"a","data":"..."}' * 20
    first, second = deflated_frame(message), deflated_frame(message)
    assert first == second
    assert len(first) < len(message) / 5
