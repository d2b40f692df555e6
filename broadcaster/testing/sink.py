"""Where a driver delivers in a test of it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.interfaces import IEventSink
from broadcaster.messages import Delivery, Event


@implementer(IEventSink)
class RecordingSink:
    """Keeps what is delivered: ``delivered`` has (app id, delivery) in the order of arrival."""

    def __init__(self) -> None:
        self.delivered: list[tuple[str, Delivery]] = []
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        """See `IEventSink`."""
        self.delivered.append((app_id, delivery))
        waiting, self._waiting = self._waiting, []
        for condition, deferred in waiting:
            if condition():
                deferred.callback(None)
            else:
                self._waiting.append((condition, deferred))

    def until(self, condition: Callable[[], bool]) -> Deferred[None]:
        """Fires as soon as ``condition`` holds: now, or after a delivery that makes it so."""
        deferred: Deferred[None] = Deferred()
        if condition():
            deferred.callback(None)
        else:
            self._waiting.append((condition, deferred))
        return deferred

    def events(self, app_id: str, channel: str) -> list[Event]:
        """What was delivered on one channel, as that channel sees it: each event with it as its only channel."""
        return [
            Event(event.name, (channel,), event.data, event.exclude, event.user_id)
            for app, event in self.delivered
            if app == app_id and isinstance(event, Event) and channel in event.channels
        ]
