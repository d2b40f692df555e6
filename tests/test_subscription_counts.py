"""``subscription_count`` beside the hub: when a channel is told how many it is, and how often."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from broadcaster.facts import Facts
from broadcaster.interfaces import IHubObserver
from broadcaster.membership import LocalMembership
from broadcaster.messages import SubscriptionCount
from broadcaster.subscription_counts import PACE, SMALL, SubscriptionCounts
from broadcaster.wheel import Wheel


class Hub:
    """What the counts need of one: numbers as the test says, and what was announced, with its time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.numbers: dict[tuple[str, str], int] = {}
        self.announced: list[tuple[float, str, SubscriptionCount]] = []
        self.wheel = Wheel(self.now)
        membership = LocalMembership(self)  # type: ignore[arg-type]
        self.facts = Facts()
        counted, here = {"app", "other"}, self
        self.counts = SubscriptionCounts(counted, here, membership, self.facts, self.wheel, lambda: self.now)  # type: ignore[arg-type]

    def subscribers(self, app_id: str, channel: str) -> int:
        return self.numbers.get((app_id, channel), 0)

    def announce(self, app_id: str, change: SubscriptionCount) -> None:
        self.announced.append((self.now, app_id, change))

    def change(self, number: int, channel: str = "x", app_id: str = "app") -> None:
        """The channel has so many now."""
        before = self.subscribers(app_id, channel)
        self.numbers[app_id, channel] = number
        told = self.counts.subscribed if number > before else self.counts.unsubscribed
        told(app_id, channel, number)

    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.wheel.turn(self.now)

    def told(self) -> list[int]:
        """The counts announced since the last call."""
        counts = [change.count for _, _, change in self.announced]
        self.announced.clear()
        return counts


def test_it_is_an_observer() -> None:
    assert verifyObject(IHubObserver, Hub().counts)


def test_p185_each_change_is_told_while_few_are_there() -> None:
    hub = Hub()
    for number in (1, 2, 1, 2, SMALL - 1, SMALL):
        hub.change(number)
    assert hub.told() == [1, 2, 1, 2, SMALL - 1, SMALL]


def test_p185_the_app_and_the_channel_are_those_that_changed() -> None:
    hub = Hub()
    hub.change(1, "x", "app")
    hub.change(2, "y", "other")
    assert hub.announced == [(0, "app", SubscriptionCount("x", 1)), (0, "other", SubscriptionCount("y", 2))]


def test_p185_an_empty_channel_is_not_told_that_it_is() -> None:
    hub = Hub()
    hub.change(1)
    hub.change(0)
    assert hub.told() == [1]


@pytest.mark.parametrize("channel", ["presence-x", "presence-cache-x", "#server-to-user-1"])
def test_p186_members_and_users_are_not_counted(channel: str) -> None:
    hub = Hub()
    hub.change(1, channel)
    assert hub.told() == []


def test_p186_nor_are_apps_that_did_not_ask() -> None:
    hub = Hub()
    hub.change(1, app_id="third")
    hub.change(SMALL + 1, app_id="third")
    hub.wait(6)
    assert hub.told() == []


def test_p187_above_that_the_change_is_told_later_and_as_it_is_then() -> None:
    hub = Hub()
    for number in (SMALL + 1, SMALL + 2, SMALL + 7):
        hub.change(number)
    hub.wait(4)
    assert hub.told() == []
    hub.wait(1)
    assert hub.told() == [SMALL + 7]
    hub.wait(20)
    assert hub.told() == []


def test_p187_a_channel_that_shrinks_meanwhile_is_told_once() -> None:
    hub = Hub()
    hub.change(SMALL + 1)
    for number in (SMALL, SMALL - 1):
        hub.change(number)
    assert hub.told() == []
    hub.wait(6)
    assert hub.told() == [SMALL - 1]
    hub.change(SMALL - 2)
    assert hub.told() == [SMALL - 2]


def test_p187_a_channel_that_empties_meanwhile_is_not() -> None:
    hub = Hub()
    hub.change(SMALL + 1)
    hub.change(0)
    hub.wait(6)
    assert hub.told() == []


def test_p187_each_channel_has_its_own_pace() -> None:
    hub = Hub()
    hub.change(SMALL + 1, "x")
    hub.change(SMALL + 1, "x", "other")
    hub.wait(2)
    hub.change(SMALL + 2, "y")
    hub.change(1, "z")
    assert hub.told() == [1]
    hub.wait(3)
    assert hub.told() == [SMALL + 1, SMALL + 1]
    hub.wait(2)
    assert hub.told() == [SMALL + 2]


@given(st.lists(st.tuples(st.integers(SMALL + 1, SMALL + 50), st.integers(0, 4)), min_size=1, max_size=30))
def test_p187_a_crowd_hears_the_last_number_and_no_two_within_the_pace(course: list[tuple[int, int]]) -> None:
    hub = Hub()
    for number, pause in course:
        hub.change(number)
        hub.wait(pause)
    hub.wait(6)
    moments = [moment for moment, _, _ in hub.announced]
    assert all(later - earlier >= PACE for earlier, later in itertools.pairwise(moments))
    assert hub.told()[-1] == course[-1][0]
