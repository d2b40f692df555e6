"""How many subscriptions and connections this process has: told to Redis as absolute numbers, many at once.

Numbers that are told again change nothing, so whatever is uncertain is told again.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from broadcaster.drivers.redis.protocol import Argument, Refused
from broadcaster.drivers.redis.shared.desk import Desk, app_word, is_lost
from broadcaster.drivers.redis.shared.lease import Lease
from broadcaster.drivers.redis.shared.scripts import COUNT, SEAT
from broadcaster.errors import DriverError
from broadcaster.facts import ChannelOccupied, ChannelVacated, Facts
from broadcaster.names import USER_CHANNEL

BATCH = 200
"""Numbers in one script."""

SEATS = ""
"""The channel that stands for the connections of an app."""

Key = tuple[str, str]


class Occupancy:
    """By app and channel."""

    def __init__(self, reactor: Any, desk: Desk, lease: Lease, facts: Facts) -> None:
        self._reactor = reactor
        self._desk = desk
        self._lease = lease
        self._facts = facts
        self._counts: dict[Key, int] = {}
        self._changed: dict[Key, list[Deferred[None]]] = {}
        self._telling = False

    def here(self, app_id: str, channel: str) -> int:
        """How many there are in this process."""
        return self._counts.get((app_id, channel), 0)

    def enter(self, app_id: str, channel: str) -> Deferred[None]:
        """One more; fires when it is counted. Waits for Redis; may be cancelled, but counts until `leave`."""
        key = app_id, channel
        self._counts[key] = self._counts.get(key, 0) + 1
        counted: Deferred[None] = Deferred()
        self._changed.setdefault(key, []).append(counted)
        self._tell_soon()
        return counted

    def leave(self, app_id: str, channel: str) -> None:
        """One less."""
        key = app_id, channel
        left = self._counts[key] - 1
        if left:
            self._counts[key] = left
        else:
            del self._counts[key]
        self._changed.setdefault(key, [])
        self._tell_soon()

    def settled(self, app_id: str, channel: str) -> Deferred[None]:
        """Fires when Redis has been told the number of that channel, or will be before whatever it is asked next."""
        waiting = self._changed.get((app_id, channel))
        if waiting is None:
            return succeed(None)
        counted: Deferred[None] = Deferred()
        waiting.append(counted)
        return counted

    async def seat(self, app_id: str, limit: int) -> bool:
        """One more connection; whether that is within ``limit``, else it does not count. Fails with `DriverError`."""
        key = app_id, SEATS
        n = self._counts[key] = self._counts.get(key, 0) + 1
        try:
            seating = self._desk.run(SEAT, self._lease.name, self._lease.formers, app_word(app_id), n, limit)
            seated = bool(await seating)
        except DriverError as error:
            if is_lost(error):
                self._lease.lose()
            self._changed.setdefault(key, [])
            raise
        if not seated:
            self.leave(app_id, SEATS)
        return seated

    # ---- telling ----------------------------------------------------------------------------------------------

    def _tell_soon(self) -> None:
        if not self._telling and self._lease.held and self._changed:
            self._telling = True
            self._reactor.callLater(0, self._tell)

    def _tell(self) -> None:
        if not self._lease.held:
            self._telling = False
            return
        told = dict(list(self._changed.items())[:BATCH])
        for key in told:
            del self._changed[key]
        telling = Deferred.fromCoroutine(self._count(list(told), loud=True))
        telling.addCallbacks(self._told, self._untold, callbackArgs=(told,), errbackArgs=(told,))

    def _told(self, _: object, told: dict[Key, list[Deferred[None]]]) -> None:
        self._telling = False
        self._tell_soon()
        for waiting in told.values():
            for each in waiting:
                each.callback(None)

    def _untold(self, failure: Failure, told: dict[Key, list[Deferred[None]]]) -> None:
        self._telling = False
        error = failure.value
        if isinstance(error, Refused) and not is_lost(error):
            for waiting in told.values():
                for each in waiting:
                    each.errback(error)
            return
        for key, waiting in told.items():
            self._changed.setdefault(key, []).extend(waiting)
        if is_lost(error):
            self._lease.lose()

    async def _count(self, keys: list[Key], loud: bool) -> bool:
        """Tell the numbers of these; whether any of them occupied a channel."""
        if not keys:
            return False
        numbers: list[Argument] = []
        for app_id, channel in keys:
            numbers += (app_word(app_id), channel, self.here(app_id, channel))
        edges = await self._desk.run(COUNT, self._lease.name, self._lease.formers, *numbers)
        if loud:
            for (app_id, channel), edge in zip(keys, edges, strict=True):
                if edge and channel and not channel.startswith(USER_CHANNEL):
                    self._facts.told(app_id, ChannelOccupied(channel) if edge > 0 else ChannelVacated(channel))
        return 1 in edges

    # ---- Holding ----------------------------------------------------------------------------------------------

    async def claim(self, loud: bool) -> bool:
        """See `Holding`: first what Redis has been told before, then what is new."""
        known = [key for key in self._counts if key not in self._changed]
        missing = False
        for start in range(0, len(known), BATCH):
            missing |= await self._count(known[start : start + BATCH], loud)
        while self._changed:
            told = dict(list(self._changed.items())[:BATCH])
            for key in told:
                del self._changed[key]
            try:
                await self._count(list(told), loud=True)
            except DriverError:
                self._untold(Failure(), told)
                raise
            for waiting in told.values():
                for each in waiting:
                    each.callback(None)
        return missing

    async def mend(self, whole: bool) -> None:
        """See `Holding`: nobody keeps the others' numbers. What has changed meanwhile is told."""
        self._tell_soon()
