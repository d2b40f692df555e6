"""The last event of each cache channel, for as long as the app says. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from msgspec import Struct

from broadcaster.messages import LastEvent


class Cached(Struct, frozen=True):
    """The event that a new subscriber is told first; ``expires`` on the clock of the caller."""

    name: str
    data: str
    expires: float


class Cache:
    """One of this process. ``seconds`` says how long an app's events are kept; a new one starts the time again."""

    def __init__(self, seconds: Mapping[str, int]) -> None:
        self._seconds = seconds
        self._events: dict[str, dict[str, Cached]] = {app_id: {} for app_id, kept in seconds.items() if kept}

    def adopt(self, seconds: Mapping[str, int]) -> None:
        """Keep events by ``seconds`` from now on; those of apps that are not in it are forgotten."""
        self._seconds = seconds
        self._events = {app_id: self._events.get(app_id, {}) for app_id, kept in seconds.items() if kept}

    def seconds(self, app_id: str) -> int:
        """How long events of that app are kept; 0 for not at all."""
        return self._seconds.get(app_id, 0)

    def keep(self, app_id: str, channel: str, name: str, data: str, now: float) -> None:
        """Remember an event; whoever is subscribed, and also when nobody is."""
        events = self._events.get(app_id)
        if events is not None:
            # Taken out and put in again, so that an app's events stand in the order in which they expire.
            events.pop(channel, None)
            events[channel] = Cached(name, data, now + self._seconds[app_id])

    def recall(self, app_id: str, channel: str, last: LastEvent | None, now: float) -> None:
        """What other processes know: ``last`` is the event, or there is none."""
        events = self._events.get(app_id)
        if events is not None:
            events.pop(channel, None)
            if last is not None:
                events[channel] = Cached(last.name, last.data, now + last.seconds)

    def last(self, app_id: str, channel: str, now: float) -> Cached | None:
        """The event that is kept for that channel, if its time is not over."""
        cached = self._events.get(app_id, {}).get(channel)
        return cached if cached is not None and cached.expires > now else None

    def forget(self, now: float) -> None:
        """Let go of what nobody can be told any more, at the cost of just that."""
        for events in self._events.values():
            for channel, _ in list(takewhile(lambda kept: kept[1].expires <= now, events.items())):
                del events[channel]
