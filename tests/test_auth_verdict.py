"""What the application's answers mean, row by row."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.verdict import verdict
from broadcaster.errors import SubscriptionRejected
from broadcaster.messages import Member
from broadcaster.settings import Limits

NONE = Limits(user_id_length=0, member_bytes=0)
OBJECT = '{"user_id":1,"user_info":{"id":1,"name":"U1"}}'


def judge(channel: str, body: bytes | str | None, status: int = 200, limits: Limits = NONE) -> Member | None:
    return verdict(channel, status, body.encode() if isinstance(body, str) else body, limits)


def refusal(channel: str, body: bytes | str | None, status: int = 200, limits: Limits = NONE) -> tuple[str, int]:
    with pytest.raises(SubscriptionRejected) as caught:
        judge(channel, body, status, limits)
    assert caught.value.channel == channel
    assert caught.value.reason
    return caught.value.kind, caught.value.status


@pytest.mark.parametrize(
    "body", ["true", "", "<html>", "null", "0", '"false"', '{"channel_data":{"user_id":1}}', b"\xff"]
)
def test_e122_a_private_channel_is_open_with_200_and_any_body(body: str) -> None:
    assert judge("private-x", body) is None


@pytest.mark.parametrize("body", ["false", " false\n"])
def test_a_private_channel_is_not_open_with_200_and_false(body: str) -> None:
    assert refusal("private-x", body) == ("AuthError", 403)


@pytest.mark.parametrize("channel", ["private-x", "presence-x"])
@pytest.mark.parametrize("status", [201, 204, 206, 302, 400, 401, 403, 404, 419, 429, 500, 503, 599])
def test_e123_any_other_status_is_told_as_it_is(channel: str, status: int) -> None:
    assert refusal(channel, f'{{"channel_data":{OBJECT}}}', status) == ("AuthError", status)
    assert refusal(channel, None, status) == ("AuthError", status)


@pytest.mark.parametrize("channel", ["private-x", "presence-x"])
def test_an_answer_too_long_to_be_read_is_none(channel: str) -> None:
    assert refusal(channel, None) == ("AuthError", 403)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"channel_data":{OBJECT}}}',
        json.dumps({"auth": "key:signature", "channel_data": OBJECT}),
        f'\n{{ "x" : [1, {{}}], "channel_data" : {OBJECT} }}\n',
        f'{{"channel_data":7,"channel_data":{OBJECT}}}',
    ],
)
def test_e133_a_member_as_an_object_and_as_a_text_is_the_same(body: str) -> None:
    assert judge("presence-x", body) == Member("1", b'{"id":1,"name":"U1"}', OBJECT.encode())


@pytest.mark.parametrize(
    ("written", "user_id"),
    [
        ("1", "1"),
        ('"1"', "1"),
        ("-1", "-1"),
        ("1.50", "1.50"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('"\\u00fc\\n"', "ü\n"),
        ('"a-b"', "a-b"),
    ],
)
def test_e134_e136_a_user_id_is_text_and_stays_as_it_was_written_in_the_data(written: str, user_id: str) -> None:
    data = f'{{"user_info":{{}},"user_id":{written}}}'
    member = judge("presence-x", f'{{"channel_data":{data}}}')
    assert member == Member(user_id, b"{}", data.encode())


@pytest.mark.parametrize("info", ["null", "7", '"x"', "[1]", '{"a":1e2}'])
def test_a_members_info_is_passed_on_as_it_is(info: str) -> None:
    member = judge("presence-x", f'{{"channel_data":{{"user_id":1,"user_info":{info}}}}}')
    assert member is not None and member.info == info.encode()


def test_a_member_without_info_has_an_empty_one() -> None:
    assert judge("presence-x", '{"channel_data":{"user_id":1}}') == Member("1", b"{}", b'{"user_id":1}')


@pytest.mark.parametrize(
    "body",
    [
        "true",
        "",
        "null",
        "[]",
        "{}",
        "<html>",
        '{"channel_data":null}',
        '{"channel_data":true}',
        '{"channel_data":[{"user_id":1}]}',
        '{"channel_data":""}',
        '{"channel_data":"true"}',
        '{"channel_data":"{"}',
        '{"channel_data":"{}"}',
        '{"channel_data":{}}',
        '{"channel_data":{"user_info":{"id":1}}}',
        '{"channel_data":{"user_id":null}}',
        '{"channel_data":{"user_id":true}}',
        '{"channel_data":{"user_id":""}}',
        '{"channel_data":{"user_id":{}}}',
        '{"channel_data":{"user_id":[1]}}',
        '{"channel_data":{"user_id":"\\ud800"}}',
        '{"channel_data":{"user_id":1}',
        b'{"channel_data":{"user_id":1,"user_info":"\xff"}}',
        "[" * 60_000,
        '{"channel_data":{"user_id":1,"user_info":' + "[" * 60_000,
    ],
)
def test_e135_a_presence_channel_without_a_usable_member_is_refused(body: str | bytes) -> None:
    assert refusal("presence-x", body) == ("AuthError", 403)


def test_only_names_that_start_with_presence_have_members() -> None:
    assert judge("x-presence-y", f'{{"channel_data":{OBJECT}}}') is None
    assert judge("x-presence-y", "true") is None


def test_a_member_is_bounded_as_one_of_pushers_is() -> None:
    limits = Limits(user_id_length=3, member_bytes=len('{"user_id":"abc","user_info":"1234567"}'))

    def data(user_id: str, info: str) -> str:
        return json.dumps({"channel_data": {"user_id": user_id, "user_info": info}}, separators=(",", ":"))

    assert judge("presence-x", data("abc", "x" * 7), limits=limits) is not None
    assert refusal("presence-x", data("abcd", ""), limits=limits) == ("LimitReached", 413)
    assert refusal("presence-x", data("abc", "x" * 8), limits=limits) == ("LimitReached", 413)
    assert judge("presence-x", data("abcd", "x" * 8), limits=NONE) is not None


@given(st.binary() | st.text().map(str.encode), st.sampled_from(["private-x", "presence-x"]))
def test_whatever_the_body_it_is_a_verdict(body: bytes, channel: str) -> None:
    try:
        judge(channel, body)
    except SubscriptionRejected as rejected:
        assert rejected.status == 403
