"""``subscription_count``: telling a channel how many it is, at once while it is small, paced when it is not."""

from __future__ import annotations

from collections.abc import Callable, Container

from zope.interface import implementer

from broadcaster.hub import Hub
from broadcaster.interfaces import IHubObserver
from broadcaster.messages import SubscriptionCount
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


@implementer(IHubObserver)
class SubscriptionCounts:
    """Watches the hub for the apps that switched it on; never on presence channels, which have their members."""

    def __init__(self, apps: Container[str], hub: Hub, wheel: Wheel, clock: Callable[[], float]) -> None:
        self._apps = apps
        self._hub = hub
        self._wheel = wheel
        self._clock = clock
        self._owed: dict[tuple[str, str], _Paced] = {}

    def subscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        """See `IHubObserver`."""
        self._changed(app_id, channel, subscribers)

    def unsubscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        """See `IHubObserver`."""
        self._changed(app_id, channel, subscribers)

    def _changed(self, app_id: str, channel: str, subscribers: int) -> None:
        if app_id not in self._apps or kind_of(channel) & (Kind.PRESENCE | Kind.USER):
            return
        if (app_id, channel) in self._owed:
            return
        if subscribers <= SMALL:
            self._tell(app_id, channel)
        else:
            paced = self._owed[app_id, channel] = _Paced(lambda: self._settle(app_id, channel))
            self._wheel.set(paced, self._clock() + PACE)

    def _settle(self, app_id: str, channel: str) -> None:
        del self._owed[app_id, channel]
        self._tell(app_id, channel)

    def _tell(self, app_id: str, channel: str) -> None:
        count = self._hub.subscribers(app_id, channel)
        if count:
            self._hub.announce(app_id, SubscriptionCount(channel, count))
