"""Client events: who may send which, what the others hear, and how a sender is told no (P140–P150, P152)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail

from broadcaster.drivers.memory import MemoryDriver
from broadcaster.errors import DriverError
from tests.conformance.conftest import Serve
from tests.conformance.expected import PONG, Frame, error, published, succeeded
from tests.inprocess import PUSHER_LIMITS, Client, InProcess, app_with

CHANNEL = "private-x"


def refused(message: str, channel: str | None = CHANNEL) -> list[Frame]:
    return [error(message, 4301, channel)]


@pytest.fixture
def a(server: InProcess) -> Client:
    return server.joined(CHANNEL)


@pytest.fixture
def b(a: Client) -> Client:
    return a.server.joined(CHANNEL)


def on_presence(server: InProcess, user_id: str) -> Client:
    client = server.joined()
    client.subscribe("presence-x", {"user_id": user_id})
    for each in server.clients:
        each.events()
    return client


def test_p140_the_others_hear_it_and_the_sender_does_not(a: Client, b: Client) -> None:
    c = a.server.joined(CHANNEL)
    outsider = a.server.joined("private-y")
    a.say("client-t", {"on": True, "list": [1, None, "x y"]}, channel=CHANNEL)
    assert b.events() == c.events() == [published(CHANNEL, '{"on":true,"list":[1,null,"x y"]}', "client-t")]
    assert a.events() == outsider.events() == []


def test_p140_the_frame_byte_for_byte(a: Client, b: Client) -> None:
    b.link.take()
    a.text('{ "event" : "client-t", "channel":"private-x", "data": { "on" : true,\n "n": 1.50 } , "user_id":"7" }')
    text = b'{"event":"client-t","channel":"private-x","data":"{\\"on\\":true,\\"n\\":1.50}"}'
    assert b.link.take() == bytes((0x81, len(text))) + text


@pytest.mark.parametrize("data", ['{"a":1}', "", "plain", "null", ' { "a" : 1 } ', '"', "\x00😀\u2028"])
def test_p141_a_string_is_forwarded_as_that_string(a: Client, b: Client, data: str) -> None:
    a.say("client-t", data, channel=CHANNEL)
    assert b.events() == [published(CHANNEL, data, "client-t")]


@pytest.mark.parametrize("data", ["", ',"data":null'])
def test_p142_no_data_is_null(a: Client, b: Client, data: str) -> None:
    a.text(f'{{"event":"client-t","channel":"private-x"{data}}}')
    assert b.events() == [published(CHANNEL, "null", "client-t")]


@pytest.mark.parametrize("data", ["5", "1.50", "-1e400", "true", "[]", "[1,[2]]", "123456789012345678901234567890"])
def test_other_json_is_forwarded_as_its_text(a: Client, b: Client, data: str) -> None:
    a.text(f'{{"event":"client-t","channel":"private-x","data":{data}}}')
    assert b.events() == [published(CHANNEL, data, "client-t")]


def test_p143_on_presence_channels_the_sender_is_named_by_us(server: InProcess) -> None:
    a, b = on_presence(server, "10"), on_presence(server, "11")
    a.say("client-t", {"on": 1}, channel="presence-x")
    a.say("client-t", {"on": 1}, channel="presence-x", user_id="11", socket_id="1.1", extra=True)
    assert b.events() == [published("presence-x", '{"on":1}', "client-t", user_id="10")] * 2
    b.say("client-t", channel="presence-x")
    assert a.events() == [published("presence-x", "null", "client-t", user_id="11")]


def test_p143_on_private_channels_nobody_is_named(a: Client, b: Client) -> None:
    a.say("client-t", "x", channel=CHANNEL, user_id="10")
    assert b.events() == [published(CHANNEL, "x", "client-t")]


@pytest.mark.parametrize("channel", ["my-channel", "cache-x", "Private-x", "", "no channel", "#server-to-user-1"])
def test_p144_not_on_public_channels(server: InProcess, channel: str) -> None:
    a, b = server.joined("my-channel", "cache-x", "Private-x"), server.joined("my-channel", "cache-x", "Private-x")
    a.say("client-t", {}, channel=channel)
    reason = "Client event rejected - only supported on private and presence channels"
    assert a.events() == refused(reason, channel)
    assert b.events() == []


def test_p145_not_without_being_there(a: Client) -> None:
    outsider = a.server.joined("private-y")
    outsider.say("client-t", {}, channel=CHANNEL)
    reason = "Client event rejected - you are not subscribed to private-x"
    assert outsider.events() == refused(reason)
    assert a.events() == []


def test_p145_nor_after_having_left(a: Client, b: Client) -> None:
    a.say("client-t", "1", channel=CHANNEL)
    a.say("pusher:unsubscribe", {"channel": CHANNEL})
    a.say("client-t", "2", channel=CHANNEL)
    assert a.events() == refused("Client event rejected - you are not subscribed to private-x")
    assert b.events() == [published(CHANNEL, "1", "client-t")]


def test_p146_not_where_the_app_has_them_off(serve: Serve) -> None:
    server = serve(app_with(client_events=False))
    a, b = server.joined(CHANNEL), server.joined(CHANNEL)
    reason = "To send client events, you must enable this feature in the Settings"
    a.say("client-t", {}, channel=CHANNEL)
    assert a.events() == refused(reason)
    a.say("client-t", {})
    assert a.events() == refused(reason, None)
    assert b.events() == []


@pytest.mark.parametrize("channel", ["", ',"channel":7', ',"channel":null', ',"channel":["private-x"]'])
def test_a_client_event_needs_a_channel(a: Client, channel: str) -> None:
    a.text(f'{{"event":"client-t","data":{{}}{channel}}}')
    assert a.events() == refused("Missing parameter: channel", None)


def test_p147_names_of_200_characters_and_no_more(a: Client, b: Client) -> None:
    longest = "client-" + "é" * 193
    a.say(longest, "1", channel=CHANNEL)
    a.say(longest + "x", "2", channel=CHANNEL)
    assert b.events() == [published(CHANNEL, "1", longest)]
    assert a.events() == refused("Event name exceeds 200 characters (limits.event_name_length = 200)")


@pytest.mark.parametrize("name", ["Client-x", "client", "xclient-x", "CLIENT-X", " client-x"])
def test_p147_other_names_are_not_client_events(a: Client, b: Client, name: str) -> None:
    a.say(name, {}, channel=CHANNEL)
    assert a.events() == [error(f"Unsupported event received on socket: {name}")]
    assert b.events() == []


def test_the_prefix_alone_is_a_name(a: Client, b: Client) -> None:
    a.say("client-", "1", channel=CHANNEL)
    assert b.events() == [published(CHANNEL, "1", "client-")]


@pytest.mark.parametrize(
    ("largest", "larger"),
    [("x" * 10_240, "x" * 10_241), ("é" * 5_120, "é" * 5_120 + "x"), (["x" * 10_236], ["x" * 10_237])],
    ids=["characters", "bytes", "JSON"],
)
def test_p148_data_of_10_240_bytes_and_no_more(a: Client, b: Client, largest: Any, larger: Any) -> None:
    a.say("client-t", largest, channel=CHANNEL)
    assert len(b.events()) == 1
    a.say("client-t", larger, channel=CHANNEL)
    reason = "The data content of this event exceeds the allowed maximum (10240 bytes) (limits.event_bytes = 10240)"
    assert a.events() == refused(reason)
    assert b.events() == []


def test_p148_blanks_that_are_not_passed_on_do_not_count(a: Client, b: Client) -> None:
    a.text('{"event":"client-t","channel":"private-x","data":[1,' + " " * 20_000 + "2]}")
    assert b.events() == [published(CHANNEL, "[1,2]", "client-t")]


def test_p149_ten_in_a_second(a: Client, b: Client) -> None:
    for number in range(11):
        a.say("client-t", str(number), channel=CHANNEL)
    reason = "Client event rejected due to rate limit (limits.client_events_per_second = 10)"
    assert a.events() == refused(reason)
    assert b.events() == [published(CHANNEL, str(number), "client-t") for number in range(10)]
    a.server.advance(1)
    for number in range(10):
        a.say("client-t", str(number), channel=CHANNEL)
    assert a.events() == []
    assert len(b.events()) == 10


def test_p149_steadily_ten_a_second_are_let_through(a: Client, b: Client) -> None:
    for _ in range(100):
        a.say("client-t", "x", channel=CHANNEL)
        a.server.advance(0.1)
    assert a.events() == []
    assert len(b.events()) == 100


def test_p149_silence_saves_nothing_up(a: Client, b: Client) -> None:
    a.say("client-t", "x", channel=CHANNEL)
    b.events()
    a.server.advance(30)
    for _ in range(30):
        a.say("client-t", "x", channel=CHANNEL)
    assert len(a.events()) == 20
    assert len(b.events()) == 10


def test_p149_what_is_refused_costs_nothing(a: Client, b: Client) -> None:
    for _ in range(30):
        a.say("client-t", "x" * 10_241, channel=CHANNEL)
        a.say("client-t", "x", channel="private-y")
    assert len(a.events()) == 60
    for _ in range(30):
        a.say("client-t", "x", channel=CHANNEL)
    assert len(a.events()) == 20
    a.server.advance(0.5)
    for _ in range(6):
        a.say("client-t", "x", channel=CHANNEL)
    assert len(a.events()) == 1
    assert len(b.events()) == 15


def test_p149_each_connection_has_its_own_rate(a: Client, b: Client) -> None:
    for client in (a, b):
        for _ in range(10):
            client.say("client-t", "x", channel=CHANNEL)
    assert len(a.events()) == len(b.events()) == 10


def test_p149_the_rate_can_be_set_and_lifted(serve: Serve) -> None:
    for rate, delivered in (2, 2), (0, 200):
        server = serve(limits=replace(PUSHER_LIMITS, client_events_per_second=rate))
        a, b = server.joined(CHANNEL), server.joined(CHANNEL)
        for _ in range(delivered):
            a.say("client-t", "x", channel=CHANNEL)
        assert a.events() == []
        assert len(b.events()) == delivered


def test_p150_another_tab_of_the_same_user_hears_it(server: InProcess) -> None:
    a, tab = on_presence(server, "10"), on_presence(server, "10")
    a.say("client-t", "1", channel="presence-x")
    assert tab.events() == [published("presence-x", "1", "client-t", user_id="10")]
    assert a.events() == []


@pytest.mark.parametrize("channel", ["private-encrypted-x", "private-cache-x", "private-"])
def test_p152_every_private_kind_has_them(server: InProcess, channel: str) -> None:
    a, b = server.joined(channel), server.joined(channel)
    a.say("client-t", {"nonce": "x", "ciphertext": "y"}, channel=channel)
    (frame,) = b.events()
    assert json.loads(frame["data"]) == {"nonce": "x", "ciphertext": "y"}
    assert a.events() == []


def test_the_checks_have_an_order(serve: Serve) -> None:
    """An event with every fault, which are mended one after the other; the rate is at its end already."""
    off = serve(app_with(client_events=False)).joined()
    off.say("client-" + "x" * 200, "x" * 10_241)
    assert off.events()[0]["data"]["message"].startswith("To send client events")
    a = serve(limits=replace(PUSHER_LIMITS, client_events_per_second=1)).joined(CHANNEL)
    a.say("client-t", "x", channel=CHANNEL)
    long, large = "client-" + "x" * 200, "x" * 10_241
    for name, data, channel, reason in (
        (long, large, None, "Missing parameter: channel"),
        (long, large, "x", "Client event rejected - only"),
        (long, large, "private-y", "Client event rejected - you are not"),
        (long, large, CHANNEL, "Event name exceeds"),
        ("client-t", large, CHANNEL, "The data content"),
        ("client-t", "x", CHANNEL, "Client event rejected due to rate limit"),
    ):
        a.say(name, data, **({} if channel is None else {"channel": channel}))
        (frame,) = a.events()
        assert frame["data"]["message"].startswith(reason)


# ---- drivers that fail ----------------------------------------------------------------------------------------


class Broken(MemoryDriver):
    """Does with an event what the test says."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self.act = act

    def publish(self, app_id: str, event: Any) -> Any:
        return self.act()


def explode() -> None:
    raise ZeroDivisionError


REJECTED = "Client event rejected - try again later"


@pytest.mark.parametrize(
    "act",
    [explode, lambda: fail(DriverError("deaf")), lambda: fail(ZeroDivisionError()), lambda: None],
    ids=["raises", "fails", "fails with something else", "returns nothing"],
)
def test_a_driver_that_fails_is_told_to_the_sender(serve: Serve, act: Callable[[], Any]) -> None:
    server = serve(through=Broken(act))
    a, b = server.joined(CHANNEL), server.joined(CHANNEL)
    a.say("client-t", "x", channel=CHANNEL)
    a.say("pusher:ping")
    assert a.events() == [*refused(REJECTED), PONG]
    assert b.events() == []


def test_a_driver_may_fail_later(serve: Serve) -> None:
    waiting: list[Deferred[None]] = [Deferred(), Deferred(), Deferred()]
    upcoming = iter(waiting)
    server = serve(through=Broken(lambda: next(upcoming)))
    a, closing, gone = (server.joined(CHANNEL) for _ in range(3))
    for client in (a, closing, gone):
        client.say("client-t", "x", channel=CHANNEL)
        assert client.events() == []
    for _ in range(101):
        closing.text("x")
    closing.events()
    assert closing.close_code == 4100
    gone.drop()
    for each in waiting:
        each.errback(DriverError("deaf"))
    assert a.events() == refused(REJECTED)
    assert closing.events() == gone.events() == []
    a.subscribe("private-y")
    assert a.events() == [succeeded("private-y")]
