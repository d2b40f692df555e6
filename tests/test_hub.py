"""The hub: apps and channels apart, taking turns, and whatever happens, everybody hears what it should in order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from zope.interface.verify import verifyObject

from broadcaster import channel as channel_module
from broadcaster.cache import Cache
from broadcaster.counters import Counters
from broadcaster.hub import CONGESTED_CHARACTERS, CONGESTED_MESSAGES, Hub
from broadcaster.interfaces import IEventSink
from broadcaster.messages import (
    Envelope,
    Event,
    Member,
    MemberAdded,
    MemberRemoved,
    Published,
    SubscriptionCount,
    Terminated,
)
from broadcaster.users import Users


class Ear:
    """A connection that keeps what it hears."""

    def __init__(self, socket_id: str) -> None:
        self.socket_id = socket_id
        self.messages: list[Any] = []
        self.closed: list[tuple[int, str]] = []

    def send(self, envelope: Envelope) -> None:
        self.messages += envelope.messages

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def heard(self, channel: str) -> list[str]:
        return [message.data for message in self.messages if message.channel == channel]


class Hubbub(Hub):
    """A hub, and how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0
        self.now = 0.0
        self.counters = Counters()
        self.users = Users()
        self.cache = Cache({"app": 60})
        super().__init__(self.count_up, self.counters, self.users, self.cache, lambda: self.now)

    def count_up(self) -> None:
        self.woken += 1

    def finish(self) -> int:
        """Step until nothing is left; how many steps that took."""
        steps = 1
        while self.step():
            steps += 1
        return steps

    def say(self, data: str, *channels: str, **more: Any) -> None:
        self.deliver("app", Event("e", channels, data, **more))


@pytest.fixture
def hub() -> Hubbub:
    return Hubbub()


def subscribed(hub: Hub, *names: str, socket_id: str = "1.1", app: str = "app") -> Ear:
    ear = Ear(socket_id)
    for name in names:
        hub.subscribe(app, name, ear)
    return ear


def test_it_is_where_drivers_deliver(hub: Hubbub) -> None:
    assert verifyObject(IEventSink, hub)


# ---- apps and channels ----------------------------------------------------------------------------------------


def test_an_event_is_heard_on_each_of_its_channels_and_nowhere_else(hub: Hubbub) -> None:
    ear, other = subscribed(hub, "a", "b"), subscribed(hub, "c", socket_id="2.2")
    hub.say("1", "a", "b", "nobody-is-here")
    hub.finish()
    assert ear.messages == [Published("e", "a", "1"), Published("e", "b", "1")]
    assert other.messages == []


def test_apps_do_not_hear_each_other(hub: Hubbub) -> None:
    ear, other = subscribed(hub, "a"), subscribed(hub, "a", app="other")
    hub.deliver("other", Event("e", ("a",), "1"))
    hub.finish()
    assert (ear.heard("a"), other.heard("a")) == ([], ["1"])


def test_a_socket_id_is_excluded_only_from_its_own_app(hub: Hubbub) -> None:
    ear, other = subscribed(hub, "a"), subscribed(hub, "a", app="other")
    hub.say("1", "a", exclude="1.1")
    hub.deliver("other", Event("e", ("a",), "2"))
    hub.finish()
    assert (ear.heard("a"), other.heard("a")) == ([], ["2"])


def test_changes_of_members_and_counts_are_told_to_the_channel(hub: Hubbub) -> None:
    ear = subscribed(hub, "presence-a")
    changes = [MemberAdded("presence-a", Member("7")), MemberRemoved("presence-a", Member("7"))]
    for change in changes:
        hub.deliver("app", change)
    hub.announce("app", SubscriptionCount("presence-a", 3))
    hub.announce("app", SubscriptionCount("presence-b", 3))
    hub.finish()
    assert ear.messages == [*changes, SubscriptionCount("presence-a", 3)]


def test_a_terminated_user_loses_all_its_connections_and_nobody_else_any(hub: Hubbub) -> None:
    first, second, other = Ear("1.1"), Ear("2.2"), Ear("3.3")
    hub.users.sign_in("app", "7", first)
    hub.users.sign_in("app", "7", second)
    hub.users.sign_in("app", "8", other)
    hub.deliver("app", Terminated("7"))
    assert [code for code, _ in first.closed + second.closed] == [4009, 4009]
    assert not other.closed


def test_what_is_subscribed_is_counted(hub: Hubbub) -> None:
    one = subscribed(hub, "a", "presence-b")
    subscribed(hub, "a", socket_id="2.2")
    subscribed(hub, "a", app="other")
    assert hub.channels("app") == {"a": 2, "presence-b": 1}
    assert hub.channels("app", "presence-") == {"presence-b": 1}
    assert (hub.subscribers("app", "a"), hub.subscribers("app", "none")) == (2, 0)
    assert sorted(hub.occupancy()) == [("app", 1), ("app", 2), ("other", 1)]
    hub.unsubscribe("app", "presence-b", one)
    hub.unsubscribe("app", "presence-b", one)
    hub.unsubscribe("app", "never", one)
    assert hub.channels("app") == {"a": 2}


def test_connections_are_counted_by_app(hub: Hubbub) -> None:
    one, two, three = Ear("1.1"), Ear("2.2"), Ear("1.1")
    for app, ear in (("app", one), ("app", two), ("other", three)):
        hub.attach(app, ear)
    assert (hub.count(), hub.count("app"), hub.count("other"), hub.count("none")) == (3, 2, 1, 0)
    assert set(hub.connections()) == {one, two, three}
    hub.detach("app", one)
    hub.detach("other", three)
    assert (hub.count(), hub.count("app"), hub.count("other")) == (1, 1, 0)
    assert hub.counters.connections == 3


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str, int]] = []

    def subscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        self.seen.append(("+", channel, subscribers))

    def unsubscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        self.seen.append(("-", channel, subscribers))


def test_observers_are_told_of_every_coming_and_going(hub: Hubbub) -> None:
    watcher = Watcher()
    hub.observe(watcher)
    one, two = subscribed(hub, "a"), subscribed(hub, "a", socket_id="2.2")
    hub.unsubscribe("app", "a", one)
    hub.unsubscribe("app", "a", one)
    hub.unsubscribe("app", "a", two)
    assert watcher.seen == [("+", "a", 1), ("+", "a", 2), ("-", "a", 1), ("-", "a", 0)]


# ---- turns ----------------------------------------------------------------------------------------------------


def test_it_is_woken_once_for_all_that_a_channel_has_to_say(hub: Hubbub) -> None:
    subscribed(hub, "a", "b")
    hub.say("1", "a")
    hub.say("2", "a")
    assert hub.woken == 1
    hub.say("3", "b")
    assert hub.woken == 2
    hub.finish()
    assert not hub.step()


def test_nobody_listens_and_nothing_is_done(hub: Hubbub) -> None:
    hub.say("1", "a")
    assert hub.woken == 0
    assert not hub.step()


def test_channels_take_turns(hub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "STRIDE", 10)
    crowd = [subscribed(hub, "big", socket_id=f"{number}.1") for number in range(1_000)]
    few = subscribed(hub, "small", socket_id="0.2")
    hub.say("1", "big")
    for _ in range(3):
        hub.step()
    hub.say("2", "small")
    hub.step()
    hub.step()
    assert few.heard("small") == ["2"], "the big one may take one step before it, and no more"
    assert sum(map(len, (ear.messages for ear in crowd))) == 40


def test_many_channels_each_get_their_step(hub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "STRIDE", 1)
    for channel in "abc":
        for number in range(3):
            subscribed(hub, channel, socket_id=f"{number}.{ord(channel)}")
        hub.say("1", channel)
    assert hub.finish() == 9


def test_what_comes_while_a_walk_is_under_way_costs_one_more_walk(hub: Hubbub) -> None:
    for number in range(1_000):
        subscribed(hub, "a", socket_id=f"{number}.1")
    hub.say("1", "a")
    hub.step()
    for number in range(50):
        hub.say(str(number), "a")
    steps = -(-1_000 // channel_module.STRIDE)
    assert hub.finish() == 2 * steps - 1
    assert hub.counters.deliveries == 51_000


def test_a_channel_that_everybody_left_and_others_joined_is_a_new_one(hub: Hubbub) -> None:
    old = subscribed(hub, "a")
    hub.say("1", "a")
    hub.unsubscribe("app", "a", old)
    new = subscribed(hub, "a", socket_id="2.2")
    hub.subscribe("app", "a", old)
    hub.say("2", "a")
    hub.finish()
    assert (old.heard("a"), new.heard("a")) == (["2"], ["2"])


def test_one_message_that_cannot_be_told_costs_nobody_the_next(hub: Hubbub) -> None:
    class Broken(Ear):
        def send(self, envelope: Envelope) -> None:
            super().send(envelope)
            if "poison" in self.heard("a")[-1:]:
                raise ZeroDivisionError

    broken, other = Broken("1.1"), subscribed(hub, "b", socket_id="2.2")
    hub.subscribe("app", "a", broken)
    hub.say("poison", "a")
    hub.say("1", "b")
    with pytest.raises(ZeroDivisionError):
        hub.step()
    hub.say("2", "a")
    hub.finish()
    assert (broken.heard("a"), other.heard("b")) == (["poison", "2"], ["1"])


def test_what_waits_behind_a_message_that_cannot_be_told_is_not_forgotten(hub: Hubbub) -> None:
    class Broken(Ear):
        def send(self, envelope: Envelope) -> None:
            super().send(envelope)
            if len(self.messages) == 1:
                hub.say("behind", "a")
                raise ZeroDivisionError

    broken = Broken("1.1")
    hub.subscribe("app", "a", broken)
    hub.say("poison", "a")
    with pytest.raises(ZeroDivisionError):
        hub.step()
    hub.finish()
    assert broken.heard("a") == ["poison", "behind"]


# ---- congestion -----------------------------------------------------------------------------------------------


def test_a_channel_is_congested_by_what_waits_until_it_is_under_way(hub: Hubbub) -> None:
    subscribed(hub, "a", "b")
    for _ in range(CONGESTED_MESSAGES):
        hub.say("1", "a")
    assert not hub.congested("app", ["a"])
    hub.say("1", "a")
    assert hub.congested("app", ["b", "a"])
    assert not hub.congested("app", ["b", "none"])
    assert not hub.congested("other", ["a"])
    hub.step()
    assert not hub.congested("app", ["a"])


def test_few_but_large_events_congest_too(hub: Hubbub) -> None:
    subscribed(hub, "a")
    hub.say("x" * CONGESTED_CHARACTERS, "a")
    assert not hub.congested("app", ["a"])
    hub.say("x", "a")
    assert hub.congested("app", ["a"])


def test_it_tells_how_long_events_took(hub: Hubbub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_module, "STRIDE", 1)
    subscribed(hub, "a")
    subscribed(hub, "a", socket_id="2.2")
    hub.say("1", "a")
    hub.now = 0.02
    hub.step()
    assert hub.counters.latency.total == 0
    hub.now = 0.2
    hub.step()
    assert hub.counters.latency.total == pytest.approx(0.2)


# ---- whatever happens -----------------------------------------------------------------------------------------

APPS = ("app", "other")
CHANNELS = ("a", "presence-b")
SOCKETS = ("1.1", "2.2", "3.3")


class Subscription:
    """What a naive server would have told one subscriber of one channel, beside what it was told."""

    def __init__(self) -> None:
        self.expected: list[Any] = []
        self.received: list[Any] = []
        self.over = False


class Model(RuleBasedStateMachine):
    """A hub beside one list for each subscription; what counts is each list, in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.stride, channel_module.STRIDE = channel_module.STRIDE, 2
        self.hub = Hubbub()
        self.serial = 0
        self.live: dict[tuple[str, str, str], Subscription] = {}
        self.past: list[tuple[Subscription, int]] = []
        self.ears = {(app, socket): self._ear(app, socket) for app in APPS for socket in SOCKETS}

    def teardown(self) -> None:
        channel_module.STRIDE = self.stride

    def _ear(self, app: str, socket: str) -> Ear:
        model = self

        class Recording(Ear):
            def send(self, envelope: Envelope) -> None:
                for message in envelope.messages:
                    subscription = model.live.get((app, message.channel, socket))  # type: ignore[union-attr]
                    assert subscription is not None, "heard by one who has left"
                    subscription.received.append(message)

        return Recording(socket)

    def _tell(self, app: str, message: Any, exclude: str | None = None) -> None:
        for (its_app, channel, socket), subscription in self.live.items():
            if its_app == app and channel == message.channel and socket != exclude:
                subscription.expected.append(message)

    @rule(app=st.sampled_from(APPS), channel=st.sampled_from(CHANNELS), socket=st.sampled_from(SOCKETS))
    def come_or_go(self, app: str, channel: str, socket: str) -> None:
        key = (app, channel, socket)
        ear = self.ears[app, socket]
        if key in self.live:
            subscription = self.live.pop(key)
            self.past.append((subscription, len(subscription.received)))
            self.hub.unsubscribe(app, channel, ear)
        else:
            self.live[key] = Subscription()
            self.hub.subscribe(app, channel, ear)

    @rule(
        app=st.sampled_from(APPS),
        channels=st.lists(st.sampled_from(CHANNELS), unique=True, min_size=1),
        exclude=st.one_of(st.none(), st.sampled_from(SOCKETS)),
    )
    def publish(self, app: str, channels: list[str], exclude: str | None) -> None:
        self.serial += 1
        self.hub.deliver(app, Event("e", tuple(channels), str(self.serial), exclude))
        for channel in channels:
            self._tell(app, Published("e", channel, str(self.serial)), exclude)

    @rule(app=st.sampled_from(APPS), channel=st.sampled_from(CHANNELS))
    def change_members(self, app: str, channel: str) -> None:
        self.serial += 1
        change = MemberAdded(channel, Member(str(self.serial)))
        self.hub.deliver(app, change)
        self._tell(app, change)

    @rule(app=st.sampled_from(APPS), socket=st.sampled_from(SOCKETS))
    def vanish(self, app: str, socket: str) -> None:
        for channel in CHANNELS:
            if (app, channel, socket) in self.live:
                self.come_or_go(app, channel, socket)

    @rule(steps=st.integers(1, 4))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.hub.step()

    @precondition(lambda self: self.live)
    @rule()
    def finish(self) -> None:
        self.hub.finish()
        for subscription in self.live.values():
            assert subscription.received == subscription.expected
        assert self.hub.counters.deliveries == sum(
            len(subscription.received) for subscription in [*self.live.values(), *(past for past, _ in self.past)]
        )

    @invariant()
    def nobody_hears_too_much_or_out_of_order(self) -> None:
        for subscription in self.live.values():
            assert subscription.received == subscription.expected[: len(subscription.received)]

    @invariant()
    def whoever_has_left_hears_nothing(self) -> None:
        for subscription, count in self.past:
            assert len(subscription.received) == count

    @invariant()
    def somebody_was_woken_for_whatever_waits(self) -> None:
        waiting = [channel for channel in self.hub._channels.values() if channel.pending or channel.walking]
        assert all(channel in self.hub._due for channel in waiting)
        assert len(set(self.hub._due)) == len(self.hub._due)


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
