"""laravel-echo-server's dialect: what its clients' events ask."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import CommandRejected
from broadcaster.messages import ClientEvent, Command, Subscribe, Unsubscribe
from broadcaster.protocols import socketio
from broadcaster.protocols.echo import EchoCodec
from broadcaster.protocols.engineio import v3
from broadcaster.protocols.engineio.packet import Type

CODEC = EchoCodec(3)


def asked(text: str) -> Command:
    """What a client's ``42…`` asks, by way of the codecs below."""
    packet = v3.decode_frame(text)
    assert packet.type is Type.MESSAGE and isinstance(packet.data, str)
    event = socketio.decode(packet.data, 4)
    assert event is not None and event.data is not None
    return CODEC.decode(event.data)


def event(name: str, *arguments: Any) -> str:
    return "42" + json.dumps([name, *arguments])


def rejected(text: str) -> CommandRejected:
    with pytest.raises(CommandRejected) as caught:
        asked(text)
    assert caught.value.code is None
    return caught.value


def test_subscribing() -> None:
    assert asked('42["subscribe",{"channel":"orders","auth":{"headers":{}}}]') == Subscribe("orders")
    text = (
        '42["subscribe",{"channel":"presence-room","auth":{"headers":'
        '{"X-User":"1","X-CSRF-TOKEN":"csrf1","Authorization":"Bearer tok"}}}]'
    )
    headers = (("X-User", "1"), ("X-CSRF-TOKEN", "csrf1"), ("Authorization", "Bearer tok"))
    assert asked(text) == Subscribe("presence-room", headers=headers)


@pytest.mark.parametrize("auth", [None, 1, "x", [], {}, {"headers": None}, {"headers": []}, {"headers": "x"}])
def test_e125_headers_that_are_no_object_are_none(auth: object) -> None:
    assert asked(event("subscribe", {"channel": "c", "auth": auth})) == Subscribe("c")
    assert asked(event("subscribe", {"channel": "c"})) == Subscribe("c")


def test_e125_headers_are_text_numbers_and_booleans() -> None:
    text = (
        '42["subscribe",{"channel":"c","auth":{"headers":{"s":"\\u00e9\\n","i":7,"n":-1.50,"t":true,"f":false,'
        '"null":null,"list":["x"],"object":{"x":1},"":""}}}]'
    )
    expected = (("s", "é\n"), ("i", "7"), ("n", "-1.50"), ("t", "true"), ("f", "false"), ("", ""))
    assert asked(text) == Subscribe("c", headers=expected)


def test_unsubscribing() -> None:
    text = event("unsubscribe", {"channel": "presence-room", "auth": {"headers": {"a": "b"}}})
    assert asked(text) == Unsubscribe("presence-room")


@pytest.mark.parametrize("name", ["", "__proto__", "x y", "é😀", "laravel_database_private-x", "x" * 10_000])
def test_a_channel_s_name_is_not_judged_here(name: str) -> None:
    assert asked(event("subscribe", {"channel": name})) == Subscribe(name)


def test_e149_an_id_and_more_arguments_change_nothing() -> None:
    assert asked('427["subscribe",{"channel":"c","more":[1]},{"channel":"d"},null]') == Subscribe("c")


def test_e137_whispering() -> None:
    text = '42["client event",{"channel":"presence-room","event":"client-typing","data":{"x":1}}]'
    assert asked(text) == ClientEvent("client-typing", "presence-room", '{"x":1}')


def test_e138_a_whisper_in_a_string() -> None:
    whisper = '{"channel":"private-w","event":"client-t","data":{"x":"é"}}'
    assert asked(event("client event", whisper)) == ClientEvent("client-t", "private-w", '{"x":"é"}')


def test_e139_a_whisper_of_nothing() -> None:
    assert asked(event("client event", {"channel": "c", "event": "client-t"})) == ClientEvent("client-t", "c", "null")


@pytest.mark.parametrize(
    "data",
    [
        '"s"',
        '""',
        "null",
        "1e2",
        "1.0",
        "12345678901234567890",
        '{"a":1,"a":2}',
        '"\\u00e9é"',
        "[ 1, 2 ]",
        "true",
        '{"_placeholder":true,"num":0}',
    ],
)
def test_e146_a_whisper_is_not_rewritten(data: str) -> None:
    command = asked(f'42["client event",{{"channel":"c","event":"client-t","data": {data} }}]')
    assert command == ClientEvent("client-t", "c", data)


@pytest.mark.parametrize("name", ["other", "xclient-y", "client", "Client-x", "", "client_x", "pusher:ping"])
def test_e140_a_whisper_s_name_begins_with_client(name: str) -> None:
    assert rejected(event("client event", {"channel": "c", "event": name, "data": 1})).channel == "c"


JUNK = [[], [None], [1], [True], [[]], [{}], ["x"], [""], ["{"], ["[]"], ["null"], [None, {"channel": "c"}]]


@pytest.mark.parametrize("arguments", JUNK, ids=str)
@pytest.mark.parametrize("name", ["subscribe", "unsubscribe", "client event"])
def test_e147_what_killed_the_original_is_ignored(name: str, arguments: list[Any]) -> None:
    rejected(event(name, *arguments))


@pytest.mark.parametrize("channel", [None, 7, True, ["a"], {"a": 1}])
@pytest.mark.parametrize("name", ["subscribe", "unsubscribe", "client event"])
def test_e147_a_channel_is_named_by_a_string(name: str, channel: object) -> None:
    rejected(event(name, {"channel": channel, "event": "client-x"}))


@pytest.mark.parametrize("name", [None, 7, ["client-x"], {"a": 1}])
def test_e147_a_whisper_is_named_by_a_string(name: object) -> None:
    rejected(event("client event", {"channel": "c", "event": name}))


@pytest.mark.parametrize("name", ["", "message", "Subscribe", "client-x", "disconnecting ", "client  event"])
def test_e147_other_events_are_ignored(name: str) -> None:
    rejected(event(name, {"channel": "c"}))


def test_e147_an_event_whose_name_is_a_number_is_ignored() -> None:
    rejected("42[7,{}]")


@pytest.mark.parametrize("frame", ["", "{}", "[", b"\xff", b'["subscribe",{"channel":"\xff"}]', "[" * 100_000, "null"])
def test_e106_whatever_is_no_event_is_rejected(frame: str | bytes) -> None:
    with pytest.raises(CommandRejected):
        CODEC.decode(frame)


@given(st.binary() | st.text() | st.builds(json.dumps, st.lists(st.sampled_from(["subscribe", "client event", None]))))
def test_any_text_is_a_command_or_rejected(frame: str | bytes) -> None:
    with suppress(CommandRejected):
        CODEC.decode(frame)
