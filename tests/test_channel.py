"""A channel by itself: who hears what, in which order, in how many steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broadcaster import channel as channel_module
from broadcaster.channel import STRIDE, Channel
from broadcaster.messages import Envelope, Member, MemberAdded, Message, Published


class Ear:
    """A subscriber that keeps what it hears, and does something at its first message if it is told to."""

    def __init__(self, socket_id: str, then: Callable[[], object] | None = None) -> None:
        self.socket_id = socket_id
        self.envelopes: list[Envelope] = []
        self._then = then

    def send(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)
        then, self._then = self._then, None
        if then is not None:
            then()

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("channels close nobody")

    @property
    def heard(self) -> list[str]:
        """The data of all messages, in their order."""
        return [message.data for envelope in self.envelopes for message in envelope.messages]  # type: ignore[union-attr]


def said(data: str) -> Message:
    return Published("e", "c", data)


@pytest.fixture
def marks() -> list[Channel]:
    return []


@pytest.fixture
def channel(marks: list[Channel]) -> Channel:
    return Channel("c", marks.append)


@pytest.fixture
def stride(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two subscribers at a step, so that walks take many."""
    monkeypatch.setattr(channel_module, "STRIDE", 2)


def ears(channel: Channel, *names: str) -> list[Ear]:
    found = [Ear(name) for name in names]
    for ear in found:
        channel.subscribe(ear)
    return found


def finish(channel: Channel) -> int:
    """Step until nothing is left; how many messages were delivered."""
    total, more = 0, True
    while more:
        delivered, more = channel.step()
        total += delivered
    return total


def test_what_waits_is_told_at_once_as_one_envelope_for_all(channel: Channel) -> None:
    first, second = ears(channel, "1.1", "2.2")
    for data in "abc":
        channel.broadcast(said(data))
    assert first.heard == []
    assert finish(channel) == 6
    assert first.heard == second.heard == ["a", "b", "c"]
    assert len(first.envelopes) == 1
    assert first.envelopes[0] is second.envelopes[0], "so that it is encoded once"


def test_a_channel_asks_for_steps_once_for_all_that_waits(channel: Channel, marks: list[Channel]) -> None:
    ears(channel, "1.1")
    channel.broadcast(said("a"))
    channel.broadcast(said("b"))
    assert marks == [channel]
    finish(channel)
    channel.broadcast(said("c"))
    assert marks == [channel, channel]


def test_what_waits_is_counted_until_it_is_under_way(channel: Channel) -> None:
    ears(channel, "1.1")
    channel.broadcast(said("a"), 10)
    channel.broadcast(said("b"), 5)
    assert (channel.pending, channel.pending_characters, channel.walking) == (2, 15, False)
    channel.step()
    assert (channel.pending, channel.pending_characters, channel.walking) == (0, 0, False)


def test_a_walk_takes_so_many_subscribers_at_a_step_in_the_order_of_their_coming(channel: Channel) -> None:
    order: list[str] = []
    names = [f"{number}.1" for number in range(2 * STRIDE + 1)]
    for name in names:
        channel.subscribe(Ear(name, lambda name=name: order.append(name)))  # type: ignore[misc]
    channel.broadcast(said("a"))
    assert channel.step() == (STRIDE, True)
    assert channel.walking
    assert channel.step() == (STRIDE, True)
    assert channel.step() == (1, False)
    assert not channel.walking
    assert order == names


@pytest.mark.usefixtures("stride")
def test_what_is_broadcast_during_a_walk_follows_it(channel: Channel, marks: list[Channel]) -> None:
    all_ears = ears(channel, "1.1", "2.2", "3.3")
    channel.broadcast(said("a"))
    assert channel.step() == (2, True)
    channel.broadcast(said("b"))
    channel.broadcast(said("c"))
    assert channel.step() == (1, True), "b and c are left"
    assert finish(channel) == 6
    assert all(ear.heard == ["a", "b", "c"] for ear in all_ears)


def test_what_a_subscriber_broadcasts_when_it_hears_follows_too(channel: Channel) -> None:
    first = Ear("1.1", lambda: channel.broadcast(said("echo")))
    channel.subscribe(first)
    [second] = ears(channel, "2.2")
    channel.broadcast(said("a"))
    finish(channel)
    assert first.heard == second.heard == ["a", "echo"]


# ---- who is left out ------------------------------------------------------------------------------------------


def test_the_excluded_hears_all_but_that(channel: Channel) -> None:
    first, second = ears(channel, "1.1", "2.2")
    channel.broadcast(said("a"), exclude="1.1")
    channel.broadcast(said("b"))
    channel.broadcast(said("c"), exclude="2.2")
    channel.broadcast(said("d"), exclude="nobody")
    assert finish(channel) == 6
    assert first.heard == ["b", "c", "d"]
    assert second.heard == ["a", "b", "d"]


def test_an_exclusion_is_for_one_message_and_no_walk_after_it(channel: Channel) -> None:
    [first] = ears(channel, "1.1")
    for data in "abc":
        channel.broadcast(said(data), exclude="1.1" if data == "a" else None)
        finish(channel)
    assert first.heard == ["b", "c"]


def test_who_is_excluded_from_everything_gets_nothing_at_all(channel: Channel) -> None:
    first, second = ears(channel, "1.1", "2.2")
    channel.broadcast(said("a"), exclude="1.1")
    assert finish(channel) == 1
    assert first.envelopes == []
    assert second.heard == ["a"]


def test_a_late_subscriber_hears_nothing_from_before(channel: Channel) -> None:
    [first] = ears(channel, "1.1")
    channel.broadcast(said("a"))
    [second] = ears(channel, "2.2")
    channel.broadcast(said("b"))
    [third] = ears(channel, "3.3")
    assert finish(channel) == 3
    assert (first.heard, second.heard, third.heard) == (["a", "b"], ["b"], [])


@pytest.mark.usefixtures("stride")
def test_neither_does_one_that_comes_during_the_walk(channel: Channel) -> None:
    ears(channel, "1.1", "2.2", "3.3")
    channel.broadcast(said("a"))
    channel.step()
    [late] = ears(channel, "4.4")
    channel.broadcast(said("b"))
    finish(channel)
    assert late.heard == ["b"]


def test_who_leaves_hears_nothing_more_not_even_what_waits(channel: Channel) -> None:
    first, second = ears(channel, "1.1", "2.2")
    channel.broadcast(said("a"))
    channel.unsubscribe(first)
    finish(channel)
    assert (first.heard, second.heard) == ([], ["a"])


@pytest.mark.usefixtures("stride")
def test_who_leaves_during_a_walk_is_passed_over(channel: Channel) -> None:
    first, second, third, fourth = ears(channel, "1.1", "2.2", "3.3", "4.4")
    channel.broadcast(said("a"))
    channel.step()
    channel.unsubscribe(first)
    channel.unsubscribe(third)
    assert finish(channel) == 1
    assert [ear.heard for ear in (first, second, third, fourth)] == [["a"], ["a"], [], ["a"]]


@pytest.mark.usefixtures("stride")
def test_who_leaves_and_comes_back_during_a_walk_hears_only_what_is_new(channel: Channel) -> None:
    *_, third = ears(channel, "1.1", "2.2", "3.3")
    channel.broadcast(said("a"))
    channel.step()
    channel.broadcast(said("b"))
    channel.unsubscribe(third)
    channel.subscribe(third)
    channel.broadcast(said("c"))
    finish(channel)
    assert third.heard == ["c"]


def test_who_leaves_and_comes_back_while_something_waits_hears_only_what_is_new(channel: Channel) -> None:
    [first] = ears(channel, "1.1")
    channel.broadcast(said("a"), exclude="1.1")
    channel.broadcast(said("b"))
    channel.unsubscribe(first)
    channel.subscribe(first)
    channel.broadcast(said("c"))
    channel.broadcast(said("d"), exclude="1.1")
    finish(channel)
    assert first.heard == ["c"]


@pytest.mark.parametrize("leaver", [0, 1, 2])
def test_a_subscriber_may_make_any_leave_by_hearing(channel: Channel, leaver: int) -> None:
    found: list[Ear] = []
    first = Ear("1.1", lambda: channel.unsubscribe(found[leaver]))
    found.append(first)
    channel.subscribe(first)
    found += ears(channel, "2.2", "3.3")
    channel.broadcast(said("a"))
    channel.broadcast(said("b"))
    finish(channel)
    assert first.heard == ["a", "b"], "it heard before it acted"
    assert [ear.heard for ear in found[1:]] == [[] if at == leaver else ["a", "b"] for at in (1, 2)]
    channel.broadcast(said("c"))
    finish(channel)
    assert [ear.heard[-1:] == ["c"] for ear in found] == [at != leaver for at in range(3)]


def test_everybody_may_have_left_before_a_walk_sets_out(channel: Channel) -> None:
    [first] = ears(channel, "1.1")
    channel.broadcast(said("a"))
    channel.unsubscribe(first)
    assert channel.step() == (0, False)


# ---- faults ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("stride")
def test_what_cannot_be_told_ends_its_walk_but_not_the_channel(channel: Channel) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    first, second = Ear("1.1"), Ear("2.2", fail)
    for ear in (first, second, *(others := [Ear("3.3")])):
        channel.subscribe(ear)
    channel.broadcast(said("a"))
    with pytest.raises(ZeroDivisionError):
        channel.step()
    assert not channel.walking
    channel.broadcast(said("b"))
    finish(channel)
    assert (first.heard, second.heard, others[0].heard) == (["a", "b"], ["a", "b"], ["b"])


def test_only_events_may_be_missed_by_a_slow_client() -> None:
    joined: Any = MemberAdded("c", Member("7"))
    assert Envelope((said("a"), said("b"))).expendable
    assert not Envelope((joined,)).expendable
    assert not Envelope((said("a"), joined, said("b"))).expendable
