"""The last event of each cache channel, for as long as the app says. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Cached(Struct, frozen=True):
    """The event that a new subscriber is told first; ``expires`` on the clock of the caller."""

    name: str
    data: str
    expires: float


class Cache:
    """One of this process. ``seconds`` says how long an app's events are kept; a new one starts the time again."""

    def __init__(self, seconds: Mapping[str, int]) -> None:
        self._seconds = seconds
        self._events: dict[tuple[str, str], Cached] = {}

    def keep(self, app_id: str, channel: str, name: str, data: str, now: float) -> None:
        """Remember an event; whoever is subscribed, and also when nobody is."""
        seconds = self._seconds.get(app_id, 0)
        # Taken out and put in again, so that the oldest stand first for `forget`.
        self._events.pop((app_id, channel), None)
        if seconds:
            self._events[app_id, channel] = Cached(name, data, now + seconds)

    def last(self, app_id: str, channel: str, now: float) -> Cached | None:
        """The event that is kept for that channel, if its time is not over."""
        cached = self._events.get((app_id, channel))
        return cached if cached is not None and cached.expires > now else None

    def forget(self, now: float) -> None:
        """Let go of what nobody can be told any more."""
        for key in [key for key, cached in self._events.items() if cached.expires <= now]:
            del self._events[key]
