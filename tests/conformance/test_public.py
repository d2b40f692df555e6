"""Public channels: subscribing, hearing, unsubscribing (P070–P084)."""

from __future__ import annotations

import json
import string

import pytest
from msgspec.structs import replace

from tests.conformance.conftest import Serve
from tests.conformance.expected import compact, error, published, refused, succeeded
from tests.inprocess import PUSHER_LIMITS, Client, InProcess, app_with, client_frame


@pytest.fixture
def client(server: InProcess) -> Client:
    return server.joined()


def test_p070_a_subscription_succeeds(client: Client) -> None:
    client.subscribe("my-channel")
    assert client.events() == [succeeded("my-channel")]


def test_p070_the_answer_byte_for_byte(client: Client) -> None:
    client.link.take()
    client.subscribe("my-channel")
    text = b'{"event":"pusher_internal:subscription_succeeded","channel":"my-channel","data":"{}"}'
    assert client.link.take() == bytes((0x81, len(text))) + text


@pytest.mark.parametrize("auth", ["", "nonsense", 5, None, {}])
def test_p071_auth_does_not_matter(client: Client, auth: object) -> None:
    client.say("pusher:subscribe", {"channel": "my-channel", "auth": auth, "channel_data": {"x": 1}})
    assert client.events() == [succeeded("my-channel")]


ALPHABET = "-_=@,.;" + string.ascii_letters + string.digits


@pytest.mark.parametrize(
    "name", ["a", "foo-bar_1234@=,.;", ALPHABET, "x" * 200, "private", "Private-x", "presence", "App.Models.User.7"]
)
def test_p072_good_names(client: Client, name: str) -> None:
    client.subscribe(name)
    client.server.publish(name)
    assert client.events() == [succeeded(name), published(name, "1")]


@pytest.mark.parametrize("name", ["x" * 201, "private-" + "x" * 193, "x" * 5_000])
def test_p073_names_that_are_too_long(client: Client, name: str) -> None:
    client.subscribe(name)
    reason = "Channel name exceeds 200 characters (limits.channel_name_length = 200)"
    assert client.events() == refused(name, "LimitReached", 400, reason)


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "a:b", "é", "a#b", "#", "a\n", " a", "a\x00", "a\u2028", "𝒳", "a b" * 100]
)
def test_p074_names_that_break_the_grammar(client: Client, name: str) -> None:
    client.subscribe(name)
    assert client.events() == refused(name, "InvalidChannel", 400, f"Invalid channel name: {name}")


def test_p074_no_name_at_all(client: Client) -> None:
    client.subscribe("")
    assert client.events() == [error("Invalid channel name: ")]


@pytest.mark.parametrize("name", ["#server-to-user-1", "#server-to-user-somebody"])
def test_channels_of_users_are_not_for_strangers(client: Client, name: str) -> None:
    client.subscribe(name)
    assert client.events() == refused(name, "AuthError", 401, f"Not allowed to subscribe to {name}")


@pytest.mark.parametrize("data", [{}, {"channel": 7}, {"channel": None}, {"channel": ["x"]}, {"Channel": "x"}])
@pytest.mark.parametrize("command", ["pusher:subscribe", "pusher:unsubscribe"])
def test_p075_without_a_channel_there_is_nobody_to_tell_but_the_connection(
    client: Client, command: str, data: object
) -> None:
    client.say(command, data)
    assert client.events() == [error("Missing parameter: data.channel")]


def test_p076_a_second_subscribe_changes_nothing(client: Client) -> None:
    client.subscribe("my-channel")
    client.subscribe("my-channel")
    assert client.events() == [succeeded("my-channel"), error("Existing subscription to channel my-channel")]
    client.server.publish("my-channel")
    assert client.events() == [published("my-channel", "1")]


def test_p077_after_unsubscribing_nothing_comes(client: Client) -> None:
    client.subscribe("my-channel")
    client.subscribe("other")
    client.events()
    client.say("pusher:unsubscribe", {"channel": "my-channel"})
    assert client.events() == []
    client.server.publish(["my-channel", "other"])
    assert client.events() == [published("other", "1")]
    assert client.server.call("GET", "/channels").json == {"channels": {"other": {}}}


@pytest.mark.parametrize("name", ["my-channel", "private-x", "", "no channel"])
def test_p078_unsubscribing_from_what_was_never_subscribed(client: Client, name: str) -> None:
    client.say("pusher:unsubscribe", {"channel": name})
    assert client.events() == [error(f"No current subscription to channel {name}, or subscription in progress")]


def test_p078_unsubscribing_twice(client: Client) -> None:
    client.subscribe("x")
    client.say("pusher:unsubscribe", {"channel": "x"})
    client.say("pusher:unsubscribe", {"channel": "x"})
    reason = "No current subscription to channel x, or subscription in progress"
    assert client.events() == [succeeded("x"), error(reason)]


def test_p079_one_may_come_back(client: Client) -> None:
    for _ in range(3):
        client.subscribe("my-channel")
        client.server.publish("my-channel")
        client.say("pusher:unsubscribe", {"channel": "my-channel"})
        client.server.publish("my-channel")
    assert client.events() == [succeeded("my-channel"), published("my-channel", "1")] * 3


def test_p080_everybody_hears_what_is_published(server: InProcess) -> None:
    here = [server.joined("my-channel"), server.joined("my-channel", query="protocol=5")]
    elsewhere = server.joined("My-channel")
    assert server.publish("my-channel", "order-shipped", '{"id":7}').status == 200
    for client in here:
        assert client.events() == [published("my-channel", '{"id":7}', "order-shipped")]
    assert elsewhere.events() == []


def test_p080_the_frame_byte_for_byte(client: Client) -> None:
    client.subscribe("my-channel")
    client.link.take()
    client.server.publish("my-channel", "App\\Events\\Zoë", '{"a": "ü"}')
    text = '{"event":"App\\\\Events\\\\Zoë","channel":"my-channel","data":"{\\"a\\": \\"ü\\"}"}'.encode()
    assert client.link.take() == bytes((0x81, len(text))) + text


def test_p080_apps_do_not_hear_each_other(serve: Serve) -> None:
    server = serve(app_with(), app_with(id="4", key="other"))
    client = server.joined("my-channel", key="other")
    server.publish("my-channel")
    assert client.events() == []


@pytest.mark.parametrize("subscribers", [1, 3, 150])
def test_p081_a_hundred_events_come_in_their_order(server: InProcess, subscribers: int) -> None:
    clients = [server.joined("my-channel") for _ in range(subscribers)]
    for number in range(100):
        server.publish("my-channel", data=str(number))
    for client in clients:
        assert client.events() == [published("my-channel", str(number)) for number in range(100)]


def test_p081_also_when_they_come_as_batches(server: InProcess) -> None:
    clients = [server.joined("my-channel") for _ in range(3)]
    for start in range(0, 100, 10):
        batch = [{"name": "e", "channel": "my-channel", "data": str(start + i)} for i in range(10)]
        assert server.call("POST", "/batch_events", {"batch": batch}).status == 200
    for client in clients:
        assert client.events() == [published("my-channel", str(number)) for number in range(100)]


@pytest.mark.parametrize(
    "data",
    ["plain", "123", "", "null", "x" * 10_240, "é" * 5_120, " {} ", "'", "\\", '"quoted"', "[1, 2]"],
    ids=lambda data: data[:10],
)
def test_p082_data_is_delivered_byte_for_byte(client: Client, data: str) -> None:
    client.subscribe("my-channel")
    client.events()
    client.server.publish("my-channel", data=data)
    assert client.events() == [published("my-channel", data)]


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize(
    "data", ["😀 \u2028\u2029 \x00", '{"nul":"\\u0000","face":"\\ud83d\\ude00"}', "\x7f\x80\ufeff\uffff"]
)
def test_p083_any_text_survives(client: Client, data: str, escaped: bool) -> None:
    client.subscribe("my-channel")
    client.events()
    body = json.dumps({"name": "e", "channel": "my-channel", "data": data}, ensure_ascii=escaped).encode()
    assert client.server.call("POST", "/events", body).status == 200
    assert client.events() == [published("my-channel", data)]


def test_p084_a_subscription_error_says_what_and_why(client: Client) -> None:
    client.subscribe("a b")
    refusal, failure = client.events()
    assert refusal == {
        "event": "pusher:subscription_error",
        "channel": "a b",
        "data": '{"type":"InvalidChannel","error":"Invalid channel name: a b","status":400}',
    }
    assert failure == {"event": "pusher:error", "data": {"code": None, "message": "Invalid channel name: a b"}}


def test_many_commands_in_one_packet(client: Client) -> None:
    commands = [("subscribe", "a"), ("subscribe", "b"), ("subscribe", "a"), ("unsubscribe", "a"), ("subscribe", "a")]
    client.raw(
        b"".join(
            client_frame(0x1, compact({"event": f"pusher:{what}", "data": {"channel": name}}).encode())
            for what, name in commands
        )
    )
    assert client.events() == [
        succeeded("a"),
        succeeded("b"),
        error("Existing subscription to channel a"),
        succeeded("a"),
    ]


def test_subscriptions_of_one_connection_can_be_bounded(serve: Serve) -> None:
    client = serve(limits=replace(PUSHER_LIMITS, subscriptions_per_connection=2)).joined()
    reason = "Too many subscriptions (limits.subscriptions_per_connection = 2)"
    for name in ("a", "private-b", "c"):
        client.subscribe(name)
    assert client.events() == [succeeded("a"), succeeded("private-b"), *refused("c", "LimitReached", 403, reason)]
    client.subscribe("a")
    assert client.events() == [error("Existing subscription to channel a")]
    client.say("pusher:unsubscribe", {"channel": "a"})
    client.subscribe("c")
    assert client.events() == [succeeded("c")]


def test_there_is_no_bound_by_default(client: Client) -> None:
    for number in range(1_000):
        client.subscribe(f"channel-{number}")
    assert client.events() == [succeeded(f"channel-{number}") for number in range(1_000)]
