"""Cache channels: what a newcomer is told first, for how long, and in which order (P151, P160–P165, P245)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from broadcaster.drivers.memory import MemoryDriver
from broadcaster.interfaces import IMembership
from broadcaster.messages import Event, Member
from tests.conformance.conftest import Serve
from tests.conformance.expected import counted, members, missed, published, succeeded
from tests.inprocess import APP, Client, InProcess, app_with, client_frame

KINDS = ("cache-x", "private-cache-x", "private-encrypted-cache-x", "presence-cache-x")


def enter(client: Client, channel: str) -> list[dict[str, Any]]:
    """Subscribe, as Ann where somebody must be, and give what came after the success."""
    client.subscribe(channel, {"user_id": "ann"} if channel.startswith("presence-") else None)
    success, *following = client.events()
    assert success == succeeded(channel, {"ann": {}} if channel.startswith("presence-") else None)
    return following


# ---- hit and miss ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", KINDS)
def test_p160_p164_an_empty_cache_channel_says_so(server: InProcess, channel: str) -> None:
    assert enter(server.joined(), channel) == [missed(channel)]


@pytest.mark.parametrize("channel", KINDS)
def test_p161_p164_a_newcomer_is_told_the_last_event_once(server: InProcess, channel: str) -> None:
    server.publish(channel, "e1", "1")
    server.publish(channel, "e2", "2")
    client = server.joined()
    assert enter(client, channel) == [published(channel, "2", "e2")]
    server.publish(channel, "e3", "3")
    assert client.events() == [published(channel, "3", "e3")]


def test_p161_each_newcomer_is_told_and_nobody_else(server: InProcess) -> None:
    server.publish("cache-x")
    first = server.joined()
    assert enter(first, "cache-x") == [published("cache-x", "1")]
    assert enter(server.joined(), "cache-x") == [published("cache-x", "1")]
    assert first.events() == []


def test_p161_who_comes_back_is_told_again(server: InProcess) -> None:
    server.publish("cache-x")
    client = server.joined("cache-x")
    client.say("pusher:unsubscribe", {"channel": "cache-x"})
    assert enter(client, "cache-x") == [published("cache-x", "1")]


@pytest.mark.parametrize("data", ["plain", "", "null", '{"a": 1}', "é\u2028🚀", "x" * 10_240])
def test_p161_the_cached_text_is_the_published_text(server: InProcess, data: str) -> None:
    server.publish("cache-x", data=data)
    assert enter(server.joined(), "cache-x") == [published("cache-x", data)]


@pytest.mark.parametrize("channel", ["x", "private-x", "private-encrypted-x", "presence-x", "Cache-x", "xcache-"])
def test_p160_other_channels_keep_nothing_and_miss_nothing(server: InProcess, channel: str) -> None:
    server.publish(channel)
    assert enter(server.joined(), channel) == []


def test_p162_the_event_is_forgotten_when_its_time_is_over(server: InProcess) -> None:
    server.publish("cache-x")
    server.advance(1_799.5, step=10)
    assert enter(server.joined(), "cache-x") == [published("cache-x", "1")]
    server.advance(0.5)
    assert enter(server.joined(), "cache-x") == [missed("cache-x")]


def test_p162_a_new_event_starts_the_time_again(serve: Serve) -> None:
    server = serve(app_with(cache_seconds=60))
    server.publish("cache-x", "e1")
    server.advance(50)
    server.publish("cache-x", "e2")
    server.advance(50)
    assert enter(server.joined(), "cache-x") == [published("cache-x", "1", "e2")]
    server.advance(10)
    assert enter(server.joined(), "cache-x") == [missed("cache-x")]


def test_p162_an_app_may_keep_nothing(serve: Serve) -> None:
    server = serve(app_with(cache_seconds=0))
    client = server.joined("cache-x")
    server.publish("cache-x")
    assert client.events() == [published("cache-x", "1")]
    assert enter(server.joined(), "cache-x") == [missed("cache-x")]


def test_p163_the_event_outlives_everybody(server: InProcess) -> None:
    client = server.joined("cache-x")
    server.publish("cache-x", "e1")
    server.publish("cache-x", "e2")
    client.drop()
    assert server.call("GET", "/channels").json == {"channels": {}}
    server.advance(1_000, step=100)
    assert enter(server.joined(), "cache-x") == [published("cache-x", "1", "e2")]


# ---- what is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["private-cache-x", "private-encrypted-cache-x", "presence-cache-x"])
def test_p151_a_client_event_is_not_cached(server: InProcess, channel: str) -> None:
    client = server.joined()
    enter(client, channel)
    client.say("client-t", {"a": 1}, channel=channel)
    assert client.events() == []
    assert enter(server.joined(), channel) == [missed(channel)]
    server.publish(channel)
    client.say("client-t", {"a": 2}, channel=channel)
    assert enter(server.joined(), channel) == [published(channel, "1")]


def test_an_event_of_the_application_is_cached_whatever_its_name(server: InProcess) -> None:
    server.publish("private-cache-x", "client-t", "1")
    assert enter(server.joined(), "private-cache-x") == [published("private-cache-x", "1", "client-t")]


def test_member_events_are_not_cached(server: InProcess) -> None:
    server.joined().subscribe("presence-cache-x", {"user_id": "ben"})
    client = server.joined()
    client.subscribe("presence-cache-x", {"user_id": "ann"})
    assert client.events()[1:] == [missed("presence-cache-x")]


def test_p164_the_member_list_comes_before_the_event_and_holds_everybody(server: InProcess) -> None:
    server.publish("presence-cache-x")
    server.joined().subscribe("presence-cache-x", {"user_id": "ben", "user_info": {"name": "Ben"}})
    client = server.joined()
    client.subscribe("presence-cache-x", {"user_id": "ann"})
    success, event = client.events()
    assert members(success) == {"ben": {"name": "Ben"}, "ann": {}}
    assert event == published("presence-cache-x", "1")


@pytest.mark.parametrize("channel", KINDS[1:])
def test_p164_nothing_is_told_to_whom_the_channel_is_closed(server: InProcess, channel: str) -> None:
    server.publish(channel, data="secret")
    client = server.joined()
    client.say("pusher:subscribe", {"channel": channel, "auth": f"{APP.key}:abc"})
    assert [frame["event"] for frame in client.events()] == ["pusher:subscription_error", "pusher:error"]


def test_an_event_is_cached_also_for_the_one_that_it_was_kept_from(server: InProcess) -> None:
    client = server.joined("cache-x")
    server.publish("cache-x", socket_id=client.name())
    assert client.events() == []
    assert enter(server.joined(), "cache-x") == [published("cache-x", "1")]
    client.say("pusher:unsubscribe", {"channel": "cache-x"})
    assert enter(client, "cache-x") == [published("cache-x", "1")]


def test_a_batch_and_several_channels_are_cached_each(server: InProcess) -> None:
    server.publish(["cache-a", "b", "cache-c"], "e1")
    server.call("POST", "/batch_events", {"batch": [{"name": "e2", "channel": "cache-c", "data": "2"}]})
    client = server.joined()
    assert enter(client, "cache-a") == [published("cache-a", "1", "e1")]
    assert enter(client, "cache-c") == [published("cache-c", "2", "e2")]


def test_each_app_has_a_cache_of_its_own(serve: Serve) -> None:
    other = app_with(id="4", key="other-key", secrets=("other-secret",))
    server = serve(APP, other)
    server.publish("cache-x")
    assert enter(server.joined(key="other-key"), "cache-x") == [missed("cache-x")]
    assert enter(server.joined(), "cache-x") == [published("cache-x", "1")]


def test_p245_what_is_told_of_a_cache_is_what_a_newcomer_would_get(server: InProcess) -> None:
    client = server.joined("private-cache-x")

    def cached() -> Any:
        return server.call("GET", "/channels/private-cache-x", query="info=cache").json["cache"]

    assert cached() is None
    client.say("client-t", {"a": 1}, channel="private-cache-x")
    assert cached() is None
    server.publish("private-cache-x", data="kept", socket_id=client.name())
    server.advance(0.5)
    assert cached() == {"data": "kept", "ttl": 1_800}
    server.advance(0.5)
    assert cached() == {"data": "kept", "ttl": 1_799}


# ---- order ----------------------------------------------------------------------------------------------------


def test_promise_2_success_then_the_cached_event_then_the_count_then_live_events(serve: Serve) -> None:
    server = serve(app_with(subscription_count=True))
    server.publish("cache-x", "e1")
    server.joined("cache-x")
    client = server.joined()
    ask_at_once(client, "cache-x")
    server.service.hub.deliver(APP.id, Event("e2", ("cache-x",), "2"))
    assert client.events() == [
        succeeded("cache-x"),
        published("cache-x", "1", "e1"),
        counted("cache-x", 2),
        published("cache-x", "2", "e2"),
    ]


def test_promise_2_a_miss_stands_where_the_event_would(serve: Serve) -> None:
    client = serve(app_with(subscription_count=True)).joined()
    assert enter(client, "cache-x") == [missed("cache-x"), counted("cache-x", 1)]


def ask_at_once(client: Client, channel: str) -> None:
    """Ask for a public channel without letting the server do anything else."""
    frame = client_frame(0x1, b'{"event":"pusher:subscribe","data":{"channel":"%b"}}' % channel.encode())
    client.link.protocol.dataReceived(frame)


@given(st.lists(st.sampled_from(["publish", "subscribe", "turn"]), max_size=12))
def test_p165_whenever_it_comes_a_newcomer_hears_the_last_event_and_all_later_ones(course: list[str]) -> None:
    server = InProcess()
    try:
        clients: list[Client] = []
        expected: list[list[dict[str, Any]]] = []
        last = missed("cache-x")
        spare = [server.joined() for step in course if step == "subscribe"]
        for number, step in enumerate(course):
            if step == "turn":
                server.turn()
            elif step == "subscribe":
                clients.append(spare.pop())
                expected.append([succeeded("cache-x"), last])
                ask_at_once(clients[-1], "cache-x")
            else:
                server.service.hub.deliver(APP.id, Event("e", ("cache-x",), str(number)))
                last = published("cache-x", str(number))
                for frames in expected:
                    frames.append(last)
        assert [client.events() for client in clients] == expected
    finally:
        server.stop()


@implementer(IMembership)
class PonderingDriver(MemoryDriver):
    """A driver that takes its time to say who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.joining: Deferred[Any] = Deferred()

    def join(self, *_: object) -> Deferred[Any]:
        return self.joining

    def leave(self, *_: object) -> Deferred[None]:
        return succeed(None)

    members = subscriptions = channels = leave


def test_p165_events_that_come_while_the_members_are_asked_for_are_in_the_cache(serve: Serve) -> None:
    driver = PonderingDriver()
    server = serve(through=driver)
    client = server.joined()
    server.publish("presence-cache-x", "e1")
    client.subscribe("presence-cache-x", {"user_id": "ann"})
    server.publish("presence-cache-x", "e2")
    server.publish("presence-cache-x", "e3")
    assert client.events() == []
    driver.joining.callback([Member("ann")])
    server.publish("presence-cache-x", "e4")
    assert client.events() == [
        succeeded("presence-cache-x", {"ann": {}}),
        published("presence-cache-x", "1", "e3"),
        published("presence-cache-x", "1", "e4"),
    ]
