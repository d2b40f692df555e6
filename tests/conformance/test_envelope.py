"""What is wrong with a client's frame is told to it, and the connection lives (P030–P041)."""

from __future__ import annotations

import json

import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from broadcaster.settings import Limits
from tests.conformance.conftest import Serve
from tests.conformance.expected import PONG, error, succeeded
from tests.inprocess import Client, InProcess, client_frame

LARGEST = 2 * 10_240 + 65_536


@pytest.fixture
def client(server: InProcess) -> Client:
    return server.joined()


def lives(client: Client) -> bool:
    client.say("pusher:ping", {})
    return client.events() == [PONG]


@pytest.mark.parametrize(
    "text", ["not json", "", " ", "{", '{"event":"pusher:ping"', "{}{}", "{'event':1}", "\x00", "NaN"]
)
def test_p030_no_json(client: Client, text: str) -> None:
    client.text(text)
    assert client.events() == [error("Invalid JSON")]
    assert lives(client)


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null", "true", "[" * 50_000, '{"a":' * 15_000, "[]" * 3])
def test_p031_json_that_is_no_object(client: Client, text: str) -> None:
    client.text(text)
    assert client.events() == [error("Invalid JSON")]
    assert lives(client)


@pytest.mark.parametrize("key", ["data", "channel", "event", "other"])
def test_p031_depth_inside_of_an_object_is_invalid_too(client: Client, key: str) -> None:
    client.text(f'{{"event":"client-x","{key}":' + "[" * 40_000 + "]" * 40_000 + "}")
    assert client.events() == [error("Invalid JSON")]
    assert lives(client)


@pytest.mark.parametrize("text", ["{}", '{"event":7}', '{"event":null}', '{"event":["x"]}', '{"data":{"event":"x"}}'])
def test_p032_no_event(client: Client, text: str) -> None:
    client.text(text)
    assert client.events() == [error("Missing parameter: event")]
    assert lives(client)


@pytest.mark.parametrize("event", ["foo", "", "pusher", "client", "Client-x", 'qu"ote', "zoë\u2028"])
def test_p033_an_unknown_event_is_named(client: Client, event: str) -> None:
    client.say(event, {})
    client.say(event)
    assert client.events() == [error(f"Unsupported event received on socket: {event}")] * 2
    assert lives(client)


@pytest.mark.parametrize("event", ["pusher:foo", "pusher:error", "pusher:Ping", "pusher:subscription_error", "pusher:"])
def test_p034_an_unknown_command(client: Client, event: str) -> None:
    client.say(event)
    client.say(event, {"code": 4000}, channel="my-channel")
    assert client.events() == [error(f"Unsupported event received on socket: {event}")] * 2


def test_p035_internal_events_cannot_be_forged(server: InProcess) -> None:
    victim, forger = server.open(), server.open()
    for client, user in (victim, "1"), (forger, "2"):
        client.subscribe("presence-x", {"user_id": user})
        client.events()
    victim.events()
    forger.text('{"event":"pusher_internal:member_added","channel":"presence-x","data":"{}"}')
    event = "pusher_internal:member_added"
    assert forger.events() == [error(f"Unsupported event received on socket: {event}")]
    assert victim.events() == []


def test_p036_a_greeting_from_a_client_gets_none_back(client: Client) -> None:
    client.say("pusher:connection_established")
    assert client.events() == [error("Unsupported event received on socket: pusher:connection_established")]


@pytest.mark.parametrize("payload", [b"", b'{"event":"pusher:ping"}', b"\xff" * 300])
def test_p037_a_binary_frame_is_refused(client: Client, payload: bytes) -> None:
    client.raw(client_frame(0x2, payload))
    assert client.events() == [error("Binary frames are not supported")]
    assert lives(client)


def test_p038_a_frame_up_to_the_limit_is_read(client: Client) -> None:
    client.text('{"event":"pusher:ping"}'.ljust(LARGEST))
    assert client.events() == [PONG]


def test_p038_a_frame_above_the_limit_closes(client: Client) -> None:
    client.text('{"event":"pusher:ping"}'.ljust(LARGEST + 1))
    assert client.events() == []
    assert client.close_code == 1009


def test_p038_fragments_are_counted_together(client: Client) -> None:
    client.raw(client_frame(0x1, b" " * (LARGEST - 5), fin=False))
    assert client.close_code is None
    client.raw(client_frame(0x0, b" " * 6))
    assert client.events() == []
    assert client.close_code == 1009


def test_p038_the_limit_can_be_set_and_lifted(serve: Serve) -> None:
    server = serve(limits=Limits(frame_bytes=100))
    small = server.joined()
    small.text('{"event":"pusher:ping"}'.ljust(101))
    small.events()
    assert small.close_code == 1009
    large = serve(limits=Limits(frame_bytes=0)).joined()
    large.text('{"event":"pusher:ping"}'.ljust(1_000_000))
    assert large.events() == [PONG]


@pytest.mark.parametrize(
    "data", ['{"channel":"my-channel"}', ' {"channel" : "my-channel"}\n', '{"auth":"","channel":"my-channel"}']
)
def test_p039_data_may_be_a_string_that_holds_an_object(client: Client, data: str) -> None:
    client.say("pusher:subscribe", data)
    assert client.events() == [succeeded("my-channel")]
    client.say("pusher:unsubscribe", data)
    client.say("pusher:subscribe", data)
    assert client.events() == [succeeded("my-channel")]


def test_p040_a_fragmented_message(client: Client) -> None:
    text = json.dumps({"event": "pusher:subscribe", "data": {"channel": "my-channel"}}).encode()
    client.raw(client_frame(0x1, text[:1], fin=False))
    for at in range(1, len(text)):
        client.raw(client_frame(0x0, text[at : at + 1], fin=False))
    assert client.events() == []
    client.raw(client_frame(0x0, b""))
    assert client.events() == [succeeded("my-channel")]


def test_p040_control_frames_may_come_between_fragments(client: Client) -> None:
    client.raw(
        client_frame(0x1, b'{"event":', fin=False) + client_frame(0x9, b"?") + client_frame(0x0, b'"pusher:ping"}')
    )
    assert client.events() == [PONG]
    assert client.pongs == [b"?"]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        '{"event":"foo"}',
        '{"event":"pusher:foo"}',
        '{"event":"pusher:subscribe"}',
        '{"event":"pusher:subscribe","data":{}}',
        '{"event":"pusher:subscribe","data":{"channel":"private-x"}}',
        '{"event":"pusher:unsubscribe","data":{"channel":"x"}}',
        '{"event":"client-x"}',
        '{"event":"client-x","channel":"x"}',
        '{"event":"client-x","channel":"private-x"}',
    ],
)
def test_p041_an_error_has_a_code_and_a_message(client: Client, text: str) -> None:
    client.text(text)
    failure = client.events()[-1]
    assert failure["event"] == "pusher:error"
    assert set(failure["data"]) == {"code", "message"}
    assert failure["data"]["code"] in (None, 4301)
    assert isinstance(failure["data"]["message"], str)
    assert lives(client)


@pytest.mark.parametrize("command", ["pusher:subscribe", "pusher:unsubscribe"])
@pytest.mark.parametrize(
    "data", ["", "null", "5", "true", "[]", '["channel"]', '""', '"x"', '"[]"', '"null"', '"\\"x\\""']
)
def test_a_command_whose_data_is_no_object(client: Client, command: str, data: str) -> None:
    client.text(f'{{"event":"{command}","data":{data}}}' if data else f'{{"event":"{command}"}}')
    assert client.events() == [error("Missing parameter: data")]
    assert lives(client)


def test_a_string_is_decoded_once_and_no_deeper(client: Client) -> None:
    client.say("pusher:subscribe", json.dumps(json.dumps({"channel": "my-channel"})))
    assert client.events() == [error("Missing parameter: data")]


def test_unknown_keys_are_ignored(client: Client) -> None:
    client.text('{"x":[1],"event":"pusher:subscribe","data":{"channel":"a","y":{}},"channel":"b","user_id":7}')
    assert client.events() == [succeeded("a")]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (client_frame(0x1, b"\xff"), 1007),
        (client_frame(0x1, b'{"event":"\xc3\x28"}'), 1007),
        (client_frame(0x1, b'{"event":"\xed\xa0\x80"}'), 1007),
        (client_frame(0x1, b"\xc3", fin=False) + client_frame(0x0, b"\x28"), 1007),
        (client_frame(0x3, b""), 1002),
        (client_frame(0xB, b""), 1002),
        (client_frame(0x1, b"{}", mask=None), 1002),
        (client_frame(0x1, b"{}", rsv=1), 1002),
        (client_frame(0x0, b"{}"), 1002),
        (client_frame(0x1, b"{", fin=False) + client_frame(0x1, b"}"), 1002),
        (client_frame(0x9, b"x" * 126), 1002),
        (client_frame(0x9, b"x", fin=False), 1002),
    ],
)
def test_a_broken_frame_closes_by_the_websocket_rules(client: Client, frame: bytes, code: int) -> None:
    client.raw(frame)
    client.say("pusher:ping", {})
    assert client.events() == []
    assert client.close_code == code


def test_a_character_may_be_cut_between_fragments(client: Client) -> None:
    client.raw(client_frame(0x1, b'{"event":"\xc3', fin=False) + client_frame(0x0, b'\xab"}'))
    assert client.events() == [error("Unsupported event received on socket: ë")]


# ---- a hundred errors in ten seconds --------------------------------------------------------------------------


def errors(client: Client, number: int) -> None:
    for _ in range(number):
        client.text("x")


def test_a_hundred_errors_are_told_one_more_closes(client: Client) -> None:
    errors(client, 100)
    assert client.events() == [error("Invalid JSON")] * 100
    assert client.close_code is None
    errors(client, 1)
    client.say("pusher:ping", {})
    assert client.events() == [error("Invalid JSON")]
    assert client.close_code == 4100


def test_errors_of_every_kind_count(client: Client) -> None:
    for _ in range(25):
        client.raw(client_frame(0x2, b""))
        client.say("client-x")
        client.say("pusher:subscribe", {"channel": "private-x"})
        client.say("pusher:unsubscribe", {"channel": "x"})
    assert len(client.events()) == 125
    assert client.close_code is None
    client.say("foo")
    client.events()
    assert client.close_code == 4100


def test_errors_that_are_ten_seconds_old_are_forgiven(client: Client) -> None:
    for _ in range(20):
        errors(client, 100)
        client.server.advance(10)
    client.events()
    assert client.close_code is None


def test_any_ten_seconds_count_wherever_they_begin(client: Client) -> None:
    errors(client, 1)
    client.server.advance(8)
    errors(client, 60)
    client.server.advance(4)
    errors(client, 40)
    client.events()
    assert client.close_code is None
    errors(client, 1)
    client.events()
    assert client.close_code == 4100


def test_protocol_5_is_told_before_it_is_closed(server: InProcess) -> None:
    client = server.joined(query="protocol=5")
    errors(client, 101)
    last = client.events()[-1]
    assert client.close_code == 4100
    assert last == error(client.close_reason, 4100)


def test_who_is_cut_is_told_in_the_log(client: Client) -> None:
    """App, socket id and address; nothing that the client said."""
    with capturedLogs() as logged:
        for _ in range(101):
            client.text("secret")
    (event,) = [event for event in logged if event["log_level"] is LogLevel.warn]
    who = f"connection {client.name()} of app 3 from 192.0.2.7"
    assert formatEvent(event) == f"{who} is cut: Too many errors"
