"""``subscription_count``: telling a channel how many it is, at once while it is small, paced when it is not."""

from __future__ import annotations

from collections.abc import Callable, Container

from zope.interface import implementer

from broadcaster.facts import Fact, Facts, SubscriptionCounted, SubscriptionsLost
from broadcaster.hub import Hub
from broadcaster.interfaces import IFactObserver, IHubObserver, IMembership
from broadcaster.names import Kind, kind_of
from broadcaster.wheel import Wheel

SMALL = 100
"""Up to so many subscribers are told of every change (Pusher's documentation)."""

PACE = 5.0
"""Seconds between two counts above that."""


class _Paced:
    """The next count that a large channel is owed."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.spoke: int | None = None
        self._tell = tell

    def due(self, now: float) -> None:
        """See `Timed`."""
        self._tell()


@implementer(IHubObserver, IFactObserver)
class SubscriptionCounts:
    """Watches the hub for the apps that switched it on; never on presence channels, which have their members.

    Whoever changes the number tells it: this process for what is subscribed here, and for processes that it saw die.
    """

    def __init__(
        self,
        apps: Container[str],
        hub: Hub,
        membership: IMembership,
        facts: Facts,
        wheel: Wheel,
        clock: Callable[[], float],
    ) -> None:
        self._apps = apps
        self._hub = hub
        self._membership = membership
        self._facts = facts
        self._wheel = wheel
        self._clock = clock
        self._owed: dict[tuple[str, str], _Paced] = {}
        self._elsewhere: dict[tuple[str, str], int] = {}
        """How many were on other processes when the channel was counted last, where there were any."""

    def adopt(self, apps: Container[str]) -> None:
        """Count for these apps from now on."""
        self._apps = apps

    def subscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        """See `IHubObserver`."""
        self._changed(app_id, channel, subscribers)

    def unsubscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        """See `IHubObserver`."""
        self._changed(app_id, channel, subscribers)

    def told(self, app_id: str, fact: Fact) -> None:
        """See `IFactObserver`."""
        if isinstance(fact, SubscriptionsLost):
            self._changed(app_id, fact.channel, self._hub.subscribers(app_id, fact.channel))

    def _changed(self, app_id: str, channel: str, subscribers: int) -> None:
        if app_id not in self._apps or kind_of(channel) & (Kind.PRESENCE | Kind.USER):
            return
        if (app_id, channel) in self._owed:
            return
        if subscribers + self._elsewhere.get((app_id, channel), 0) <= SMALL:
            self._tell(app_id, channel)
        else:
            paced = self._owed[app_id, channel] = _Paced(lambda: self._settle(app_id, channel))
            self._wheel.set(paced, self._clock() + PACE)

    def _settle(self, app_id: str, channel: str) -> None:
        del self._owed[app_id, channel]
        self._tell(app_id, channel)

    def _tell(self, app_id: str, channel: str) -> None:
        self._membership.tell_count(app_id, channel).addCallbacks(
            lambda count: self._counted(app_id, channel, count), lambda _: None
        )

    def _counted(self, app_id: str, channel: str, count: int) -> None:
        here = self._hub.subscribers(app_id, channel)
        if here and count > here:
            self._elsewhere[app_id, channel] = count - here
        else:
            self._elsewhere.pop((app_id, channel), None)
        if count:
            self._facts.told(app_id, SubscriptionCounted(channel, count))
