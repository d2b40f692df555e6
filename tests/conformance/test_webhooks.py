"""Webhooks (pusher.md §9): what a back end is told, how it is signed, and that it comes until it is taken."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from broadcaster.auth.signature import sign
from tests.conformance.receiver import Backend
from tests.inprocess import APP

Start = Callable[..., Backend]

SECRET = APP.secrets[0]


def occupied(channel: str) -> dict[str, str]:
    return {"name": "channel_occupied", "channel": channel}


def vacated(channel: str) -> dict[str, str]:
    return {"name": "channel_vacated", "channel": channel}


def test_p260_the_first_subscription_of_a_channel_is_told_once(backend: Start) -> None:
    back = backend()
    first, second = back.server.joined(), back.server.joined()
    first.subscribe("my-channel")
    assert back.events() == [occupied("my-channel")]
    second.subscribe("my-channel")
    back.server.advance(5)
    assert back.events() == []


def test_p261_the_last_that_leaves_is_told_after_three_seconds(backend: Start) -> None:
    back = backend()
    client = back.server.joined("my-channel")
    back.events()
    client.say("pusher:unsubscribe", {"channel": "my-channel"})
    back.server.advance(2.5)
    assert back.events() == []
    back.server.advance(1.5)
    assert back.events() == [vacated("my-channel")]


def test_p261_whoever_is_back_by_then_is_told_neither_way(backend: Start) -> None:
    back = backend()
    back.server.joined("my-channel").drop()
    back.events()
    back.server.advance(2)
    back.server.joined("my-channel")
    back.server.advance(10)
    assert back.events() == []


def test_p262_a_member_is_told_at_once_and_missed_after_three_seconds(backend: Start) -> None:
    back = backend()
    first, second = back.server.joined(), back.server.joined()
    first.subscribe("presence-x", {"user_id": "10"})
    added = {"name": "member_added", "channel": "presence-x", "user_id": "10"}
    assert back.events() == [occupied("presence-x"), added]
    second.subscribe("presence-x", {"user_id": "10"})
    first.drop()
    back.server.advance(5)
    assert back.events() == []
    second.drop()
    back.server.advance(5)
    assert back.events() == [{**added, "name": "member_removed"}, vacated("presence-x")]


def test_p263_headers_are_spelled_and_signed_as_pushers(backend: Start) -> None:
    back = backend({"headers": {"X-Tenant": "7", "X-Pusher-Key": "mine"}})
    back.server.joined("my-channel")
    (post,) = back.posts
    assert post.headers == {
        "User-Agent": "broadcaster",
        "X-Tenant": "7",
        "Content-Type": "application/json",
        "X-Pusher-Key": APP.key,
        "X-Pusher-Signature": sign(SECRET, post.body),
    }
    assert json.loads(post.body)["time_ms"] == back.server.wall * 1000
    assert isinstance(json.loads(post.body)["time_ms"], int)


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (
            b'{"time_ms":1327078148132,"events":[{"name":"channel_occupied","channel":"my-channel"}]}',
            "c19001ae3963ccb13bf618e5b16ba9848e7e74df0993aa0689168e341c6833cf",
        ),
        (
            b'{"time_ms":1327078148132,"events":[{"name":"member_added","channel":"presence-foobar","user_id":"10"},'
            b'{"name":"client_event","channel":"presence-foobar","event":"client-typing","data":"{\\"on\\":true}",'
            b'"socket_id":"1234.1234","user_id":"10"}]}',
            "ae076e9f1eb5e25eba9595d2c3a30ed8f481fa4512f92070e0d1ebeaa3ba83ac",
        ),
    ],
)
def test_p263_both_vectors(body: bytes, signature: str) -> None:
    assert sign(SECRET, body) == signature


def test_p263_while_secrets_change_the_oldest_signs(backend: Start) -> None:
    back = backend(secrets=("new", SECRET))
    back.server.joined("my-channel")
    (post,) = back.posts
    assert post.headers["X-Pusher-Signature"] == sign(SECRET, post.body)


def test_p264_a_receiver_that_fails_gets_the_same_bytes_again_and_more_rarely(backend: Start) -> None:
    back = backend()
    back.answers = [500, 404]
    back.server.joined("my-channel")
    back.server.joined("other")
    for _ in range(100):
        back.server.advance(0.05)
    first, second, third, rest = back.posts
    assert first.body == second.body == third.body
    assert second.at - first.at < third.at - second.at
    assert first.events == [occupied("my-channel")] and rest.events == [occupied("other")]


def test_p265_what_piled_up_in_ten_minutes_comes_in_order_and_fresh(backend: Start) -> None:
    back = backend({"events": ("channel_occupied",)})
    back.down = ConnectionRefusedError("refused")
    for number in range(60):
        back.server.joined(f"channel-{number}")
        back.server.advance(10)
    back.down, back.posts = None, []
    back.server.advance(100)
    for post in back.posts:
        assert abs(post.at - json.loads(post.body)["time_ms"] / 1000) < 300
        assert post.headers["X-Pusher-Signature"] == sign(SECRET, post.body)
    assert len(back.posts) == 2
    assert back.events() == [occupied(f"channel-{number}") for number in range(60)]


def test_p265_what_is_too_old_is_given_up_and_counted_and_the_rest_goes(backend: Start) -> None:
    back = backend({"events": ("channel_occupied",)}, {"retry_seconds": 300})
    back.down = ConnectionRefusedError("refused")
    back.server.joined("old")
    back.server.advance(290)
    back.server.joined("new")
    back.server.advance(100)
    back.down, back.posts = None, []
    back.server.advance(100)
    assert back.events() == [occupied("new")]
    assert 'broadcaster_webhooks_given_up_total{app="3",receiver="https://back.test/hooks"} 1.0' in (
        back.server.http("GET", "/metrics").body.decode()
    )


def test_p266_a_client_event(backend: Start) -> None:
    back = backend({"events": ("client_event",)})
    client = back.server.joined("private-a")
    client.subscribe("presence-x", {"user_id": "10"})
    client.say("client-typing", {"on": True}, channel="presence-x")
    client.say("client-typing", {"on": True}, channel="private-a")
    told = {"name": "client_event", "event": "client-typing", "data": '{"on":true}', "socket_id": client.name()}
    assert back.events() == [{**told, "channel": "presence-x", "user_id": "10"}, {**told, "channel": "private-a"}]


def test_p266_a_cache_that_is_missed_and_a_count(backend: Start) -> None:
    back = backend({"events": ("cache_miss", "subscription_count")}, subscription_count=True)
    back.server.joined("cache-x")
    assert back.events() == [
        {"name": "subscription_count", "channel": "cache-x", "subscription_count": 1},
        {"name": "cache_miss", "channel": "cache-x"},
    ]


def test_p267_in_order_occupied_added_removed_vacated(backend: Start) -> None:
    back = backend()
    back.server.joined().subscribe("presence-x", {"user_id": "10"})
    for client in back.server.clients:
        client.drop()
    back.server.advance(4)
    names = ["channel_occupied", "member_added", "member_removed", "channel_vacated"]
    assert [event["name"] for event in back.events()] == names


def test_p268_a_receiver_gets_only_what_it_lists(backend: Start) -> None:
    back = backend({"events": ("channel_vacated",)})
    back.server.joined("my-channel").drop()
    back.server.advance(5)
    assert back.events() == [vacated("my-channel")]


def test_a_receiver_gets_only_channels_of_its_patterns(backend: Start) -> None:
    back = backend({"channels": ("private-*",)})
    back.server.joined("a", "private-b")
    assert back.events() == [occupied("private-b")]


def test_connections_are_told_to_who_lists_them_by_name(backend: Start) -> None:
    back = backend({"events": ("connected", "disconnected"), "channels": ("a",)})
    client = back.server.joined("a")
    name = client.name()
    client.drop()
    back.server.advance(5)
    assert back.events() == [
        {"name": "connected", "channel": "", "socket_id": name},
        {"name": "disconnected", "channel": "", "socket_id": name},
    ]


def test_each_event_has_an_id_that_a_repeat_has_too(backend: Start) -> None:
    back = backend()
    back.answers = [TimeoutError("late")]
    back.server.joined("a", "b")
    back.server.advance(5)
    ids = [event["id"] for post in back.posts for event in post.numbered]
    assert len(ids) > len(set(ids)) == 2
