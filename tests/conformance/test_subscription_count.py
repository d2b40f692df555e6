"""How many hear a channel, told to all of them: at once while they are few, paced above (P185–P187)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.expected import counted, published, signed_in, succeeded
from tests.inprocess import APP, Client, InProcess, app_with

SMALL = 100


@pytest.fixture
def server(serve: Serve) -> InProcess:
    """A server whose only app has counts on."""
    return serve(app_with(subscription_count=True))


def crowd(server: InProcess, number: int, channel: str = "x") -> list[Client]:
    return [server.joined(channel) for _ in range(number)]


def counts(client: Client, channel: str = "x") -> list[int]:
    """The counts that have come; nothing else may have."""
    frames = client.events()
    told = [int(frame["data"].rpartition(":")[2].rstrip("}")) for frame in frames]
    assert frames == [counted(channel, count) for count in told]
    return told


def leave(client: Client, channel: str = "x") -> None:
    client.say("pusher:unsubscribe", {"channel": channel})


# ---- few ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channel", ["x", "private-x", "private-encrypted-x", "cache-x", "private-cache-x", "private-encrypted-cache-x"]
)
def test_p185_the_newcomer_and_the_others_are_told_and_who_has_left_is_not(server: InProcess, channel: str) -> None:
    server.publish(channel)
    a, b = server.joined(), server.joined()
    a.subscribe(channel)
    first, *_, last = a.events()
    assert (first, last) == (succeeded(channel), counted(channel, 1))
    b.subscribe(channel)
    assert b.events()[-1] == counted(channel, 2)
    assert counts(a, channel) == [2]
    leave(b, channel)
    assert counts(a, channel) == [1]
    assert b.events() == []


@pytest.mark.parametrize("go", [leave, Client.drop, Client.leave])
def test_p185_every_way_of_leaving_counts(server: InProcess, go: Any) -> None:
    stays, goes = crowd(server, 2)
    assert counts(stays) == [2]
    go(goes)
    assert counts(stays) == [1]


def test_p185_the_last_one_leaves_nobody_to_tell(server: InProcess) -> None:
    (client,) = crowd(server, 1)
    leave(client)
    assert client.events() == []
    client.subscribe("x")
    assert client.events() == [succeeded("x"), counted("x", 1)]


def test_p185_two_sockets_of_one_user_are_two(server: InProcess) -> None:
    a, b = server.joined(), server.joined()
    for client in (a, b):
        client.sign_in('{"id":"ann"}')
        client.events()
        client.subscribe("private-x")
    assert a.events()[-1] == counted("private-x", 2)


def test_p185_a_refused_subscription_is_not_counted(server: InProcess) -> None:
    client = server.joined("private-x")
    server.joined().say("pusher:subscribe", {"channel": "private-x", "auth": f"{APP.key}:abc"})
    client.say("pusher:subscribe", {"channel": "private-x"})
    assert [frame["event"] for frame in client.events()] == ["pusher:error"]


def test_promise_2_the_count_comes_between_success_and_events(server: InProcess) -> None:
    server.joined("x")
    client = server.joined()
    client.subscribe("x")
    server.publish("x")
    assert client.events() == [succeeded("x"), counted("x", 2), published("x", "1")]


def test_p185_a_hundred_are_told_of_each_change(server: InProcess) -> None:
    first, *others = crowd(server, SMALL)
    assert counts(first) == list(range(2, SMALL + 1))
    leave(others[0])
    leave(others[1])
    assert counts(first) == [SMALL - 1, SMALL - 2]


# ---- none -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ["presence-x", "presence-cache-x"])
def test_p186_presence_channels_have_none(server: InProcess, channel: str) -> None:
    clients = [server.joined(), server.joined()]
    for client in clients:
        client.subscribe(channel, {"user_id": "ann"})
    clients[1].drop()
    assert all("count" not in frame["event"] for frame in clients[0].events())


def test_p186_a_users_own_channel_has_none(server: InProcess) -> None:
    client = server.joined()
    client.sign_in('{"id":"ann"}')
    client.subscribe("#server-to-user-ann")
    leave(client, "#server-to-user-ann")
    client.subscribe("#server-to-user-ann")
    success = succeeded("#server-to-user-ann")
    assert client.events() == [signed_in('{"id":"ann"}'), success, success]


def test_p186_they_are_off_unless_the_app_asks_for_them(serve: Serve) -> None:
    asking = app_with(id="4", key="asking", secrets=("s",), subscription_count=True)
    server = serve(APP, asking)
    quiet, told = server.joined(), server.joined(key="asking")
    for client in (quiet, told):
        client.subscribe("x")
    assert quiet.events() == [succeeded("x")]
    assert told.events() == [succeeded("x"), counted("x", 1)]


# ---- many -----------------------------------------------------------------------------------------------------


def test_p187_above_a_hundred_a_count_comes_every_five_seconds_at_most(server: InProcess) -> None:
    first, *others = crowd(server, SMALL)
    counts(first)
    times, told = [], []
    for client in others[:60]:
        crowd(server, 2)
        server.advance(0.5)
        leave(client)
        came = counts(first)
        times += [server.reactor.seconds()] * len(came)
        told += came
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(5 <= gap < 6.1 for gap in gaps), gaps
    assert told == sorted(told) and told[0] > SMALL
    server.advance(6)
    assert counts(first)[-1] == SMALL + 60


def test_p187_nothing_is_told_while_nothing_changes(server: InProcess) -> None:
    first, *_ = crowd(server, SMALL + 1)
    server.advance(6)
    assert counts(first) == [*range(2, SMALL + 1), SMALL + 1]
    server.advance(20)
    assert counts(first) == []


def test_p187_the_newcomer_to_a_crowd_is_told_with_the_others(server: InProcess) -> None:
    crowd(server, SMALL)
    client = server.joined("x")
    assert client.events() == []
    server.advance(6)
    assert counts(client) == [SMALL + 1]


def test_p187_one_channels_pace_is_no_other_channels(server: InProcess) -> None:
    crowd(server, SMALL + 1)
    client = server.joined()
    client.subscribe("y")
    assert client.events() == [succeeded("y"), counted("y", 1)]


def test_p187_a_crowd_that_has_gone_is_owed_nothing(server: InProcess) -> None:
    for client in crowd(server, SMALL + 1):
        client.drop()
    server.advance(6)
    (client,) = crowd(server, 1)
    server.advance(6)
    assert counts(client) == []


def test_p187_a_crowd_that_has_shrunk_is_told_of_each_change_again(server: InProcess) -> None:
    first, second, third, *_ = crowd(server, SMALL + 1)
    server.advance(6)
    counts(first)
    leave(second)
    leave(third)
    assert counts(first) == [SMALL, SMALL - 1]
