"""Pusher's dialect as bytes: what clients may write and what they can read, whatever is in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from zope.interface.verify import verifyObject

from broadcaster.errors import CommandRejected, SubscriptionRejected
from broadcaster.interfaces import ICodec
from broadcaster.messages import (
    CacheMiss,
    ClientEvent,
    Established,
    Failure,
    Member,
    MemberAdded,
    MemberRemoved,
    Message,
    Ping,
    Pong,
    Published,
    SignedIn,
    Signin,
    Subscribe,
    Subscribed,
    SubscriptionCount,
    SubscriptionFailed,
    Unsubscribe,
    WatchlistEvents,
)
from broadcaster.protocols.deflate import deflated_frame
from broadcaster.protocols.frames import unframed
from broadcaster.protocols.pusher import PusherCodec
from broadcaster.text import UNREADABLE, text_of

CODEC = PusherCodec()

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)


def told(message: Message) -> dict[str, Any]:
    """What a client reads."""
    [text] = unframed(CODEC.encode(message))
    read: dict[str, Any] = json.loads(text)
    return read


def test_it_is_a_codec() -> None:
    assert verifyObject(ICodec, CODEC)


# ---- to clients -----------------------------------------------------------------------------------------------

ANNA, BERT = Member("anna", b'{"name":"Anna"}'), Member("7")

MESSAGES: list[tuple[Message, dict[str, Any], Any]] = [
    (Ping(), {"event": "pusher:ping"}, {}),
    (Pong(), {"event": "pusher:pong"}, {}),
    (
        Established("1234.5678", 30),
        {"event": "pusher:connection_established"},
        {"socket_id": "1234.5678", "activity_timeout": 30},
    ),
    (Subscribed("a"), {"event": "pusher_internal:subscription_succeeded", "channel": "a"}, {}),
    (
        Subscribed("presence-a", (ANNA, BERT)),
        {"event": "pusher_internal:subscription_succeeded", "channel": "presence-a"},
        {"presence": {"count": 2, "ids": ["anna", "7"], "hash": {"anna": {"name": "Anna"}, "7": {}}}},
    ),
    (
        Subscribed("presence-a", ()),
        {"event": "pusher_internal:subscription_succeeded", "channel": "presence-a"},
        {"presence": {"count": 0, "ids": [], "hash": {}}},
    ),
    (
        SubscriptionFailed("private-a", "AuthError", 'no "way"', 401),
        {"event": "pusher:subscription_error", "channel": "private-a"},
        {"type": "AuthError", "error": 'no "way"', "status": 401},
    ),
    (
        MemberAdded("presence-a", ANNA),
        {"event": "pusher_internal:member_added", "channel": "presence-a"},
        {"user_id": "anna", "user_info": {"name": "Anna"}},
    ),
    (
        MemberRemoved("presence-a", ANNA),
        {"event": "pusher_internal:member_removed", "channel": "presence-a"},
        {"user_id": "anna"},
    ),
    (CacheMiss("cache-a"), {"event": "pusher:cache_miss", "channel": "cache-a"}, {}),
    (
        SubscriptionCount("a", 3),
        {"event": "pusher_internal:subscription_count", "channel": "a"},
        {"subscription_count": 3},
    ),
    (SignedIn('{"id":"7"}'), {"event": "pusher:signin_success"}, {"user_data": '{"id":"7"}'}),
    (
        WatchlistEvents(online=("7",), offline=("8", "9")),
        {"event": "pusher_internal:watchlist_events"},
        {"events": [{"name": "online", "user_ids": ["7"]}, {"name": "offline", "user_ids": ["8", "9"]}]},
    ),
    (
        WatchlistEvents(offline=("8",)),
        {"event": "pusher_internal:watchlist_events"},
        {"events": [{"name": "offline", "user_ids": ["8"]}]},
    ),
]


@pytest.mark.parametrize(("message", "frame", "data"), MESSAGES, ids=[type(each[0]).__name__ for each in MESSAGES])
def test_every_frame_has_an_event_and_data_that_is_a_string_of_json(
    message: Message, frame: dict[str, Any], data: Any
) -> None:
    read = told(message)
    assert isinstance(read["data"], str)
    assert json.loads(read.pop("data")) == data
    assert read == frame


@pytest.mark.parametrize("code", [4001, None])
@pytest.mark.parametrize("channel", [None, "private-a"])
def test_an_error_has_data_that_is_an_object(code: int | None, channel: str | None) -> None:
    about = {} if channel is None else {"channel": channel}
    data = {"code": code, "message": 'said "no"'}
    assert told(Failure(code, 'said "no"', channel)) == {"event": "pusher:error", "data": data, **about}


@given(TEXT, TEXT, TEXT, st.one_of(st.none(), TEXT))
def test_an_event_is_told_as_it_was_published_whatever_is_in_it(
    name: str, channel: str, data: str, user_id: str | None
) -> None:
    sender = {} if user_id is None else {"user_id": user_id}
    assert told(Published(name, channel, data, user_id)) == {"event": name, "channel": channel, "data": data, **sender}


@given(st.dictionaries(TEXT, st.dictionaries(TEXT, JSON, max_size=3), max_size=5), TEXT)
def test_members_are_told_as_they_said_whatever_is_in_it(people: dict[str, Any], channel: str) -> None:
    members = tuple(Member(user_id, json.dumps(info).encode()) for user_id, info in people.items())
    read = told(Subscribed(channel, members))
    presence = json.loads(read["data"])["presence"]
    assert (read["channel"], presence["ids"], presence["hash"]) == (channel, list(people), people)
    for member in members:
        added = json.loads(told(MemberAdded(channel, member))["data"])
        assert added == {"user_id": member.user_id, "user_info": people[member.user_id]}
        assert json.loads(told(MemberRemoved(channel, member))["data"]) == {"user_id": member.user_id}


@given(TEXT, TEXT, TEXT)
def test_reasons_may_hold_anything(kind: str, reason: str, channel: str) -> None:
    assert told(Failure(None, reason, channel))["data"]["message"] == reason
    data = json.loads(told(SubscriptionFailed(channel, kind, reason, 400))["data"])
    assert (data["type"], data["error"]) == (kind, reason)


def test_frames_of_one_codec_may_be_joined() -> None:
    raw = b"".join(CODEC.encode(message) for message, _, _ in MESSAGES)
    assert [json.loads(text)["event"] for text in unframed(raw)] == [frame["event"] for _, frame, _ in MESSAGES]


def test_texts_are_wrapped_as_the_transport_wants_them() -> None:
    assert PusherCodec(lambda text: b"<" + text + b">").encode(Ping()) == b'<{"event":"pusher:ping","data":"{}"}>'
    assert PusherCodec(deflated_frame).encode(Published("e", "c", "x" * 1_000))[0] & 0x40


# ---- from clients ---------------------------------------------------------------------------------------------

BOTH = [lambda text: text, lambda text: text.encode()]


@pytest.mark.parametrize("kind", BOTH, ids=["str", "bytes"])
@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('{"event":"pusher:ping"}', Ping()),
        ('{"event":"pusher:ping","data":{}}', Ping()),
        ('{"event":"pusher:ping","data":"nonsense"}', Ping()),
        ('{"event":"pusher:pong","data":{},"more":[1]}', Pong()),
        ('{"event":"pusher:subscribe","data":{"channel":"a"}}', Subscribe("a")),
        ('{"event":"pusher:subscribe","data":"{\\"channel\\":\\"a\\"}"}', Subscribe("a")),
        ('{"data":{"channel":"a","auth":""},"event":"pusher:subscribe"}', Subscribe("a", "")),
        ('{"event":"pusher:subscribe","data":{"channel":"a","auth":7,"channel_data":{}}}', Subscribe("a")),
        (
            '{"event":"pusher:subscribe","data":{"channel":"presence-a","auth":"k:s","channel_data":"{ }"}}',
            Subscribe("presence-a", "k:s", "{ }"),
        ),
        ('{"event":"pusher:unsubscribe","data":{"channel":"a"}}', Unsubscribe("a")),
        ('{"event":"pusher:signin","data":{"auth":"k:s","user_data":"{}"}}', Signin("k:s", "{}")),
        ('{"event":"client-x","channel":"private-a","data":"text"}', ClientEvent("client-x", "private-a", "text")),
        ('{"event":"client-x","channel":"private-a"}', ClientEvent("client-x", "private-a", "null")),
        ('{"event":"client-x","data":{"a": 1}}', ClientEvent("client-x", None, '{"a":1}')),
        ('{"event":"client-x","channel":7,"data":null}', ClientEvent("client-x", None, "null")),
    ],
)
def test_what_clients_may_ask(text: str, command: object, kind: Callable[[str], bytes | str]) -> None:
    assert CODEC.decode(kind(text)) == command


@pytest.mark.parametrize(
    ("text", "code", "reason"),
    [
        ("", None, "Invalid JSON"),
        ("{", None, "Invalid JSON"),
        ("[]", None, "Invalid JSON"),
        ("null", None, "Invalid JSON"),
        ("[" * 50_000, None, "Invalid JSON"),
        ('{"a":' * 50_000, None, "Invalid JSON"),
        ('{"event":"pusher:ping"} {}', None, "Invalid JSON"),
        ('{"event":"client-x","data":"\\ud800"}', None, "Invalid JSON"),
        ("{}", None, "Missing parameter: event"),
        ('{"event":null}', None, "Missing parameter: event"),
        ('{"event":"foo"}', None, "Unsupported event received on socket: foo"),
        ('{"event":"pusher:subscribe"}', None, "Missing parameter: data"),
        ('{"event":"pusher:subscribe","data":null}', None, "Missing parameter: data"),
        ('{"event":"pusher:subscribe","data":"\\"{}\\""}', None, "Missing parameter: data"),
        ('{"event":"pusher:subscribe","data":{}}', None, "Missing parameter: data.channel"),
        ('{"event":"pusher:unsubscribe","data":{"channel":7}}', None, "Missing parameter: data.channel"),
        ('{"event":"pusher:signin","data":[]}', None, "Missing parameter: data"),
        ('{"event":"pusher:signin","data":{"user_data":"{}"}}', 4009, "Missing parameter: data.auth"),
        ('{"event":"pusher:signin","data":{"auth":"k:s"}}', 4009, "Invalid user_data: it must be a string"),
    ],
)
def test_what_they_may_not(text: str, code: int | None, reason: str) -> None:
    with pytest.raises(CommandRejected) as refused:
        CODEC.decode(text)
    assert (refused.value.code, refused.value.reason) == (code, reason)


def test_a_member_that_is_no_string_is_refused_where_it_would_be_signed() -> None:
    with pytest.raises(SubscriptionRejected) as refused:
        CODEC.decode('{"event":"pusher:subscribe","data":{"channel":"presence-a","channel_data":{"user_id":"7"}}}')
    assert (refused.value.channel, refused.value.kind, refused.value.status) == ("presence-a", "InvalidData", 400)


def survives(frame: bytes | str) -> None:
    try:
        CODEC.decode(frame)
    except CommandRejected as refused:
        assert refused.reason


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200)))
def test_no_bytes_or_text_do_any_harm(frame: bytes | str) -> None:
    survives(frame)


EVENTS = st.sampled_from(["pusher:subscribe", "pusher:unsubscribe", "pusher:signin", "client-x", "pusher:ping", "foo"])
KEYS = st.sampled_from(["channel", "auth", "channel_data", "user_data", "x"])
DATA = st.one_of(JSON, st.dictionaries(KEYS, JSON), st.dictionaries(KEYS, JSON).map(json.dumps))


@settings(max_examples=200)
@given(st.fixed_dictionaries({}, optional={"event": st.one_of(EVENTS, JSON), "data": DATA, "channel": JSON}))
def test_no_object_does_any_harm(frame: dict[str, Any]) -> None:
    survives(json.dumps(frame))


# ---- published data -------------------------------------------------------------------------------------------


def decoded(raw: str) -> str:
    command = CODEC.decode('{"event":"client-x","channel":"c","data":' + raw + "}")
    assert isinstance(command, ClientEvent)
    return command.data


@given(TEXT)
def test_a_string_is_what_it_says(data: str) -> None:
    assert decoded(json.dumps(data)) == data
    assert decoded(json.dumps(data, ensure_ascii=False)) == data


@given(JSON.filter(lambda value: not isinstance(value, str)), st.sampled_from([None, 0, 2]))
def test_any_other_value_is_its_json_without_blanks(value: Any, indent: int | None) -> None:
    compact = json.dumps(value, separators=(",", ":"))
    assert decoded(json.dumps(value, indent=indent)) == compact
    assert decoded(f" \t\r\n{json.dumps(value)}\n ") == compact


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("1.0", "1.0"),
        ("1E+2", "1E+2"),
        ("12345678901234567890123", "12345678901234567890123"),
        ("-0", "-0"),
        ('{ "a" : "\\u0041 \\" \\\\" , "b" : [ ] }', '{"a":"\\u0041 \\" \\\\","b":[]}'),
        ('["a  b", "\\\\", " "]', '["a  b","\\\\"," "]'),
        ('{"a":1,"a":2}', '{"a":1,"a":2}'),
    ],
)
def test_nothing_in_it_is_changed(raw: str, text: str) -> None:
    assert decoded(raw) == text


def test_what_is_no_text_is_unreadable() -> None:
    with pytest.raises(UNREADABLE):
        text_of(Raw(b'"\xff"'))
    with pytest.raises(UNREADABLE):
        text_of(Raw(b'["\xff"]'))
