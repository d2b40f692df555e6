"""The cases of the conformance document that are about several processes: two whole servers on one real Redis."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcaster.drivers.redis import make
from broadcaster.settings import App
from broadcaster.testing import Answer, signed
from tests.driving import QUICK
from tests.inprocess import APP, Client, InProcess, app_with
from tests.redis import Redis
from tests.sockets import reactor, run_until

pytestmark = pytest.mark.real

ROOM = "presence-a"
SUCCEEDED = "pusher_internal:subscription_succeeded"


class Process(InProcess):
    """A server in memory on a driver that is real."""

    def __init__(self, redis: Redis, app: App) -> None:
        self.driver = make(reactor, {"url": redis.url, "lease_seconds": 2, **QUICK})
        super().__init__(app, using=self.driver)
        run_until(lambda: self.driver._lease.held, "the first lease")

    def client(self, **options: Any) -> Heard:
        """A client that was greeted."""
        return Heard(self.open(**options))

    def die(self) -> None:
        """Fall silent at once, as a process does that is killed."""
        self.driver._lease._beating.stop()
        self.driver._sink = None
        ended: list[object] = []
        super(type(self.driver), self.driver).stop().addBoth(ended.append)
        run_until(lambda: ended, "the end of the links")

    def end(self) -> None:
        for link in list(self.links):
            self.drop(link)
        stopped: list[object] = []
        self.service.stopService().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of the server")


class Heard:
    """A client and the events that it has had and that nobody has asked for yet."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._events: list[dict[str, Any]] = []
        self.next("pusher:connection_established")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def next(self, name: str) -> dict[str, Any]:
        """The next event, which must be of that name."""
        run_until(self._some, name)
        event = self._events.pop(0)
        assert event["event"] == name, event
        return event

    def _some(self) -> bool:
        self._events += self.client.events()
        return bool(self._events)

    def joined(self, channel: str, member: dict[str, Any] | None = None) -> list[str]:
        """Subscribe; the ids of the members, if there are any."""
        self.client.subscribe(channel, member)
        data = json.loads(self.next(SUCCEEDED)["data"])
        return sorted(data["presence"]["ids"]) if "presence" in data else []

    def nothing_more(self) -> None:
        """All that was under way has arrived, and nothing is left of it."""
        name = f"private-flush-{self.client.socket_id.replace('.', '-')}"
        self.joined(name)
        self.client.server.publish(name, "flushed")
        assert self.next("flushed")
        self.client.say("pusher:unsubscribe", {"channel": name})
        assert not self._some(), self._events


Cluster = Callable[..., tuple[Process, Process]]


@pytest.fixture(scope="module")
def one_redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture
def cluster(one_redis: Redis) -> Iterator[Cluster]:
    """Starts two processes of one server."""
    processes: list[Process] = []

    def start(app: App = APP) -> tuple[Process, Process]:
        processes.extend((Process(one_redis, app), Process(one_redis, app)))
        return processes[0], processes[1]

    yield start
    for process in processes:
        process.end()
    one_redis.command("FLUSHALL")


def asked(process: Process, path: str, query: str = "") -> Any:
    """What a GET of the HTTP API says."""
    target = signed(APP, "GET", f"/apps/{APP.id}{path}", b"", query, int(process.wall))
    link = process.link()
    process.feed(link, f"GET {target} HTTP/1.1\r\nHost: server.test\r\n\r\n".encode())
    received = b""

    def complete() -> bool:
        nonlocal received
        process.turn()
        received += link.take()
        return bool(received)

    run_until(complete, "an answer")
    process.drop(link)
    return Answer(received).json


# ---- presence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ("close", "unsubscribe"))
def test_p130_members_of_two_processes_come_and_go_once(cluster: Cluster, how: str) -> None:
    here, there = cluster()
    first = here.client()
    assert first.joined(ROOM, {"user_id": 10}) == ["10"]
    second, again = there.client(), here.client()
    assert second.joined(ROOM, {"user_id": 11}) == ["10", "11"]
    assert json.loads(first.next("pusher_internal:member_added")["data"])["user_id"] == "11"
    assert again.joined(ROOM, {"user_id": 11}) == ["10", "11"]
    for client in (first, second, again):
        client.nothing_more()
    for client in (second, again):
        if how == "close":
            client.leave()
        else:
            client.say("pusher:unsubscribe", {"channel": ROOM})
        if client is second:
            first.nothing_more()
    assert json.loads(first.next("pusher_internal:member_removed")["data"]) == {"user_id": "11"}
    first.nothing_more()


def test_p130_killing_a_process_removes_its_members_once(cluster: Cluster) -> None:
    here, there = cluster()
    first, second, third = here.client(), there.client(), there.client()
    first.joined(ROOM, {"user_id": 10})
    second.joined(ROOM, {"user_id": 11})
    first.next("pusher_internal:member_added")
    third.joined(ROOM, {"user_id": 10})
    there.die()
    assert json.loads(first.next("pusher_internal:member_removed")["data"]) == {"user_id": "11"}
    first.nothing_more()
    assert asked(here, f"/channels/{ROOM}/users") == {"users": [{"id": "10"}]}


def test_p130_a_full_channel_is_full_everywhere(cluster: Cluster) -> None:
    here, there = cluster()
    for number in range(here.settings.limits.members):
        assert len(here.client().joined(ROOM, {"user_id": number})) == number + 1
    late = there.client()
    late.subscribe(ROOM, {"user_id": "late"})
    assert json.loads(late.next("pusher:subscription_error")["data"])["type"] == "LimitReached"


# ---- events ------------------------------------------------------------------------------------------------------


def test_p153_a_client_event_reaches_the_other_process_once_and_not_its_sender(cluster: Cluster) -> None:
    here, there = cluster()
    sender, neighbour, distant = here.client(), here.client(), there.client()
    for client in (sender, neighbour, distant):
        client.joined("private-a")
    sender.say("client-e", {"x": 1}, channel="private-a")
    for client in (neighbour, distant):
        assert client.next("client-e")["data"] == '{"x":1}'
    for client in (sender, neighbour, distant):
        client.nothing_more()


def test_p153_an_excluded_socket_is_excluded_on_every_process(cluster: Cluster) -> None:
    here, there = cluster()
    excluded, other = there.client(), there.client()
    for client in (excluded, other):
        client.joined("a")
    here.publish("a", "e", socket_id=excluded.socket_id)
    other.next("e")
    excluded.nothing_more()


# ---- counts ------------------------------------------------------------------------------------------------------


def test_p249_counts_cover_both_processes(cluster: Cluster) -> None:
    here, there = cluster()
    for process, user in ((here, "1"), (there, "1"), (there, "2")):
        client = process.client()
        client.joined("a")
        client.joined(ROOM, {"user_id": user})
    for process in (here, there):
        told = asked(process, "/channels", "info=subscription_count")
        assert told == {"channels": {"a": {"subscription_count": 3}, ROOM: {"subscription_count": 3}}}
        told = asked(process, "/channels", "filter_by_prefix=presence-&info=user_count")
        assert told == {"channels": {ROOM: {"user_count": 2}}}
        assert asked(process, "/channels/a") == {"occupied": True}
        assert asked(process, f"/channels/{ROOM}", "info=user_count") == {"occupied": True, "user_count": 2}
        assert asked(process, f"/channels/{ROOM}/users")["users"] == [{"id": "1"}, {"id": "2"}]


def test_p249_subscription_counts_are_told_for_all_processes(cluster: Cluster) -> None:
    here, there = cluster(app_with(subscription_count=True))
    first, second = here.client(), there.client()
    first.joined("a")
    assert first.next("pusher_internal:subscription_count")["data"] == '{"subscription_count":1}'
    second.joined("a")
    for client in (first, second):
        assert client.next("pusher_internal:subscription_count")["data"] == '{"subscription_count":2}'
    second.leave()
    assert first.next("pusher_internal:subscription_count")["data"] == '{"subscription_count":1}'


def test_p249_counts_are_told_again_when_a_process_has_died(cluster: Cluster) -> None:
    here, there = cluster(app_with(subscription_count=True))
    first, second = here.client(), there.client()
    second.joined("a")
    first.joined("a")
    assert first.next("pusher_internal:subscription_count")["data"] == '{"subscription_count":2}'
    there.die()
    assert first.next("pusher_internal:subscription_count")["data"] == '{"subscription_count":1}'


def test_p249_connections_of_an_app_are_bounded_over_processes(cluster: Cluster) -> None:
    here, there = cluster(app_with(max_connections=3))
    first, _, _ = here.client(), here.client(), there.client()
    for process in (here, there):
        refused = process.open()
        events: list[dict[str, Any]] = []
        run_until(lambda found=events, at=refused: found.extend(at.events()) or found, "a refusal")  # type: ignore[misc]
        assert events[0]["data"]["code"] == 4004
        refused.events()
        assert refused.close_code == 4004
    first.drop()
    run_until(lambda: not here.driver._occupancy._changed and not here.driver._occupancy._telling, "counting")
    there.client()


# ---- cache channels and users ------------------------------------------------------------------------------------


def test_p161_the_last_event_is_told_on_the_other_process(cluster: Cluster) -> None:
    here, there = cluster()
    here.publish("cache-a", "first", "1")
    here.publish("cache-a", "second", "2")
    client = there.client()
    client.joined("cache-a")
    assert client.next("second")["data"] == "2"
    client.nothing_more()
    assert asked(there, "/channels/cache-a", "info=cache")["cache"]["data"] == "2"
    client.joined("cache-b")
    client.next("pusher:cache_miss")


def test_p175_events_for_a_user_and_the_end_of_its_connections_reach_every_process(cluster: Cluster) -> None:
    here, there = cluster()
    first, second, other = here.client(), there.client(), there.client()
    for client, user in ((first, "1"), (second, "1"), (other, "2")):
        client.sign_in({"id": user})
        client.next("pusher:signin_success")
    here.publish("#server-to-user-1", "e")
    for client in (first, second):
        assert client.next("e")["channel"] == "#server-to-user-1"
    assert there.call("POST", "/users/1/terminate_connections", {}).status in (0, 200)
    for client in (first, second):
        run_until(lambda one=client: one.closed or one.close_code, "the end")  # type: ignore[misc]
        assert client.close_code == 4009
    other.nothing_more()


def test_p177_watchers_are_told_of_users_on_other_processes(cluster: Cluster) -> None:
    here, there = cluster(app_with(watchlists=True))
    watcher, first, second = here.client(), there.client(), here.client()
    watcher.sign_in({"id": "w", "watchlist": ["u2"]})
    watcher.next("pusher:signin_success")
    assert json.loads(watcher.next("pusher_internal:watchlist_events")["data"]) == _watched("offline")
    for client in (first, second):
        client.sign_in({"id": "u2"})
        client.next("pusher:signin_success")
    assert json.loads(watcher.next("pusher_internal:watchlist_events")["data"]) == _watched("online")
    first.leave()
    watcher.nothing_more()
    second.leave()
    assert json.loads(watcher.next("pusher_internal:watchlist_events")["data"]) == _watched("offline")


def _watched(how: str) -> Any:
    return {"events": [{"name": how, "user_ids": ["u2"]}]}
