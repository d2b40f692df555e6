"""Clients of two processes that come, go and change their minds at any moment, while links to Redis break."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from broadcaster.drivers.redis import link
from tests.failures import no_failures
from tests.inprocess import Client, app_with
from tests.integration.test_cluster_conformance import Process
from tests.redis import Redis
from tests.sockets import reactor, run_until

pytestmark = pytest.mark.real

APP = app_with(watchlists=True, subscription_count=True)
CHANNELS = ("a", "cache-b", "presence-c", "presence-cache-d", "private-e")


class Wanderer:
    """A client that keeps its own list of members, as pusher-js does."""

    def __init__(self, process: Process, number: int) -> None:
        self.user = f"user{number % 5}"
        self.client: Client = process.open()
        assert self.client.name()
        self.lists: dict[str, set[str]] = {}
        self.asked: set[str] = set()
        self.signed_in = False

    def subscribe(self, channel: str) -> None:
        if channel not in self.asked:
            self.asked.add(channel)
            self.client.subscribe(channel, {"user_id": self.user} if channel.startswith("presence-") else None)

    def unsubscribe(self, channel: str) -> None:
        self.read()
        if channel in self.asked:
            self.asked.discard(channel)
            self.lists.pop(channel, None)
            self.client.say("pusher:unsubscribe", {"channel": channel})
            self.read()
            self.lists.pop(channel, None)

    def sign_in(self) -> None:
        if not self.signed_in:
            self.signed_in = True
            self.client.sign_in({"id": self.user, "watchlist": ["user0", "user1"]})

    def read(self) -> None:
        for event in self.client.events():
            name, channel = event["event"], event.get("channel", "")
            data = json.loads(event["data"]) if isinstance(event["data"], str) else event["data"]
            if name == "pusher_internal:subscription_succeeded":
                self.lists[channel] = set(data["presence"]["ids"]) if "presence" in data else set()
            elif name == "pusher_internal:member_added":
                assert data["user_id"] not in self.lists[channel], event
                self.lists[channel].add(data["user_id"])
            elif name == "pusher_internal:member_removed":
                self.lists[channel].remove(data["user_id"])
            else:
                assert name not in ("pusher:error", "pusher:subscription_error"), event


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("trouble", ("none", "broken links", "flushes"))
def test_whatever_clients_do_lists_and_counts_are_right_and_nothing_is_left(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, trouble: str, seed: int
) -> None:
    monkeypatch.setattr(link, "LONGEST_DELAY", 0.1)
    chosen = random.Random(seed)
    with no_failures():
        processes = [Process(redis, APP), Process(redis, APP)]
        wanderers: dict[int, tuple[Process, Wanderer]] = {}
        try:
            for step in range(400):
                _one_move(chosen, processes, wanderers, step)
                if trouble == "broken links" and chosen.random() < 0.02:
                    _break(chosen, processes)
                if trouble == "flushes" and chosen.random() < 0.01:
                    redis.command("FLUSHALL")
                for _ in range(chosen.randrange(3)):
                    reactor.iterate(0)
            present = [wanderer for _, wanderer in wanderers.values()]
            run_until(lambda: _is_right(processes, present), "agreeing with the truth")
            for number in list(wanderers):
                wanderers.pop(number)[1].client.drop()
            run_until(lambda: not _totals(processes[0]), "everybody's going")
            for process in processes:
                for part in (process.driver._membership, process.driver._watching, process.driver._occupancy):
                    assert not any(kept for kept in vars(part).values() if isinstance(kept, dict | set)), vars(part)
        finally:
            for process in processes:
                process.end()
    assert [key for key in redis.command("KEYS", "*") if b":last:" not in key] == [b"broadcaster:epoch"]


def _one_move(
    chosen: random.Random, processes: list[Process], wanderers: dict[int, tuple[Process, Wanderer]], step: int
) -> None:
    act = chosen.random()
    if act < 0.2 or not wanderers:
        process = chosen.choice(processes)
        wanderers[step] = process, Wanderer(process, step)
        return
    number = chosen.choice(list(wanderers))
    _, wanderer = wanderers[number]
    channel = chosen.choice(CHANNELS)
    if act < 0.65:
        wanderer.subscribe(channel)
    elif act < 0.8:
        wanderer.unsubscribe(channel)
    elif act < 0.88:
        wanderer.sign_in()
    else:
        wanderers.pop(number)
        wanderer.client.drop()


def _break(chosen: random.Random, processes: list[Process]) -> None:
    driver = chosen.choice(processes).driver
    connection = chosen.choice((driver._inward, driver._outward)).connection
    if connection is not None:
        connection.abort("cut")


def _totals(process: Process) -> dict[str, int]:
    found: list[Any] = []
    process.driver.channels(APP.id, "").addBoth(found.append)
    run_until(lambda: found, "an answer")
    return found[0] if isinstance(found[0], dict) else {"": -1}


def _is_right(processes: list[Process], present: list[Wanderer]) -> bool:
    counts: Counter[str] = Counter()
    users: dict[str, set[str]] = {}
    for wanderer in present:
        wanderer.read()
        counts.update(wanderer.asked)
        counts.update([f"#server-to-user-{wanderer.user}"] if wanderer.signed_in else [])
        for channel in wanderer.asked:
            users.setdefault(channel, set()).add(wanderer.user)
    for wanderer in present:
        for channel in wanderer.asked:
            expected = users[channel] if channel.startswith("presence-") else set()
            if wanderer.lists.get(channel) != expected:
                return False
    return all(_totals(process) == counts for process in processes)
