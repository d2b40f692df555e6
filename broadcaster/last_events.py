"""The last events of a process by itself: what stands in where a driver shares none."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from broadcaster.cache import Cache
from broadcaster.interfaces import ILastEvents
from broadcaster.messages import LastEvent


@implementer(ILastEvents)
class LocalLastEvents:
    """See `ILastEvents`; the hub keeps them."""

    def __init__(self, cache: Cache, clock: Callable[[], float]) -> None:
        self._cache = cache
        self._clock = clock

    def keep_last(self, seconds: Callable[[str], int]) -> None:
        """See `ILastEvents`: the cache knows how long."""

    def last(self, app_id: str, channel: str) -> Deferred[LastEvent | None]:
        """See `ILastEvents`."""
        now = self._clock()
        cached = self._cache.last(app_id, channel, now)
        return succeed(LastEvent(cached.name, cached.data, cached.expires - now) if cached is not None else None)
