"""The driver as it is used: what `RedisDriver` carries, and what the processes on one Redis share over it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.drivers.redis import laravel
from broadcaster.drivers.redis.driver import RedisDriver
from broadcaster.drivers.redis.options import Options
from broadcaster.drivers.redis.shared.desk import Desk
from broadcaster.drivers.redis.shared.hooks import HookStore
from broadcaster.drivers.redis.shared.inbox import Inbox
from broadcaster.drivers.redis.shared.last_events import LastEvents
from broadcaster.drivers.redis.shared.lease import Lease
from broadcaster.drivers.redis.shared.membership import Membership
from broadcaster.drivers.redis.shared.occupancy import SEATS, Occupancy
from broadcaster.drivers.redis.shared.waiting import all_of
from broadcaster.drivers.redis.shared.watching import Watching
from broadcaster.drivers.redis.shared.wire import UNREADABLE, Counted, decode_told
from broadcaster.errors import DriverError
from broadcaster.facts import Facts
from broadcaster.interfaces import (
    IEventSink,
    IFactObserver,
    IFactSource,
    IHookStore,
    ILastEvents,
    IMembership,
    ISeats,
    IWatch,
)
from broadcaster.messages import Event, LastEvent, Member, Publication, SubscriptionCount
from broadcaster.names import CACHE_PREFIXES

_EVENT = b"\xa7event/1"
"""With what events of our own begin, after one byte."""


@implementer(IMembership, IFactSource, IWatch, ILastEvents, ISeats)
class SharingDriver(RedisDriver):
    """See the interfaces; each is a part of its own."""

    def __init__(self, reactor: Any, options: Options) -> None:
        super().__init__(reactor, options)
        self._facts = Facts()
        desk = Desk(self.commands, f"{options.namespace}:", self._space, self.process_id)
        self._desk = desk
        self._inbox = Inbox(reactor, options.wait_seconds)
        self._lease = Lease(reactor, desk, options.lease_seconds, self.process_id, self._facts)
        self._occupancy = Occupancy(reactor, desk, self._lease, self._facts)
        self._membership = Membership(desk, self._inbox, self._lease, self._facts, self._hears_of, self._deliver)
        self._watching = Watching(desk, self._inbox, self.listening, self._deliver)
        self._last_events = LastEvents(desk, self._inbox)
        self._hooks = HookStore(desk, self.process_id)
        for holding in (self._occupancy, self._membership, self._watching, self._inbox):
            self._lease.covers(holding)
        self.on_restored(self._mend)

    def __conform__(self, interface: object) -> object:
        """Adaptation to what is a part of its own (zope.interface asks)."""
        return self._hooks if interface is IHookStore else None

    def _hears_of(self, app_id: str, channel: str) -> bool:
        return self._occupancy.here(app_id, channel) > 0

    def _mend(self) -> None:
        self._lease.renew()
        # Not only when it is renewed: a renewal that is under way may wait for one of these.
        self._inbox.again()

    # ---- IDriver ----------------------------------------------------------------------------------------------

    def start(self, sink: IEventSink) -> Deferred[None]:
        """See `IDriver`."""
        inbox = f"{self._desk.channels}inbox:{self._desk.inbox}".encode()
        self.listening.hear(inbox, self._inbox.heard).addErrback(lambda _: None)
        self._lease.start()
        return super().start(sink)

    def stop(self) -> Deferred[None]:
        """See `IDriver`; nothing that this process shared is left then."""
        self._sink = None
        return self._lease.stop().addCallback(lambda _: super(SharingDriver, self).stop())

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """See `IDriver`."""
        if isinstance(publication, Event) and self._last_events.keeps(app_id, publication):
            return self._last_events.publish(app_id, publication, self.channel).addCallback(lambda _: None)
        return super().publish(app_id, publication)

    def _hear_own(self, app_id: str, channel: str, payload: bytes) -> None:
        if payload.startswith(_EVENT, 1):
            super()._hear_own(app_id, channel, payload)
            return
        self._received["own"] += 1
        try:
            told = decode_told(payload)
        except UNREADABLE as error:
            self._tell_junk("own", channel, error)
        else:
            if isinstance(told, Counted):
                self._deliver(app_id, SubscriptionCount(channel, told.count))
            else:
                self._membership.heard(app_id, channel, told)

    def _hear_laravel(self, app_id: str, channel: str, payload: bytes) -> None:
        super()._hear_laravel(app_id, channel, payload)
        if channel.startswith(CACHE_PREFIXES):
            with suppress(*laravel.UNREADABLE):
                self._last_events.keep(app_id, laravel.read_broadcast(payload, channel))

    # ---- IInterest --------------------------------------------------------------------------------------------

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        """See `IInterest`."""
        heard = super().wanted(app_id, channel)
        counted = self._occupancy.enter(app_id, channel)
        counted.addTimeout(self.options.wait_seconds, self._reactor, _overdue)
        return all_of((heard, counted))

    def unwanted(self, app_id: str, channel: str) -> None:
        """See `IInterest`."""
        self._occupancy.leave(app_id, channel)
        super().unwanted(app_id, channel)

    # ---- IMembership, IFactSource -----------------------------------------------------------------------------

    def observe(self, observer: IFactObserver) -> None:
        """See `IFactSource`."""
        self._facts.observe(observer)

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._membership.join(app_id, channel, socket_id, member, limit)

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`."""
        return self._membership.leave(app_id, channel, socket_id)

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._membership.members(app_id, channel)

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        """See `IMembership`."""
        return self._membership.user_counts(app_id, channels)

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return self._membership.subscriptions(app_id, channel)

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        return self._membership.channels(app_id, prefix)

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        settled = self._occupancy.settled(app_id, channel)
        return settled.addCallback(lambda _: self._membership.tell_count(app_id, channel))

    # ---- IWatch, ILastEvents, ISeats --------------------------------------------------------------------------

    def watch(self, app_id: str, user_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """See `IWatch`."""
        watching = self._watching.watch(app_id, user_ids)
        return watching.addTimeout(self.options.wait_seconds, self._reactor, _overdue)

    def unwatch(self, app_id: str, user_ids: Sequence[str]) -> None:
        """See `IWatch`."""
        self._watching.unwatch(app_id, user_ids)

    def keep_last(self, seconds: Callable[[str], int]) -> None:
        """See `ILastEvents`."""
        self._last_events.keep_last(seconds)

    def last(self, app_id: str, channel: str) -> Deferred[LastEvent | None]:
        """See `ILastEvents`."""
        return self._last_events.last(app_id, channel)

    def seat(self, app_id: str, limit: int) -> Deferred[bool]:
        """See `ISeats`."""
        return Deferred.fromCoroutine(self._occupancy.seat(app_id, limit))

    def unseat(self, app_id: str) -> None:
        """See `ISeats`."""
        self._occupancy.leave(app_id, SEATS)


def _overdue(result: object, seconds: float) -> NoReturn:
    raise DriverError(f"Redis has not confirmed the subscription within {seconds:g} s")
