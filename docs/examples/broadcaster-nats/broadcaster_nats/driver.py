"""The driver: events by core NATS, everything else by `Presence`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from broadcaster.counters import Measure
from broadcaster.errors import DriverError, MembersFull
from broadcaster.facts import Facts
from broadcaster.interfaces import (
    IDriver,
    IEventSink,
    IFactObserver,
    IFactSource,
    IInterest,
    IMeasured,
    IMembership,
    IReadiness,
)
from broadcaster.messages import Delivery, Event, Member, Publication, Terminated
from broadcaster_nats.document import Connection, Document, counted, joined, left, members
from broadcaster_nats.link import Link
from broadcaster_nats.options import Options
from broadcaster_nats.presence import Presence
from broadcaster_nats.store import Key
from broadcaster_nats.wire import Message, pub, token

T = TypeVar("T")

_encode = msgspec.msgpack.Encoder().encode
_event = msgspec.msgpack.Decoder(Event).decode
_terminated = msgspec.msgpack.Decoder(tuple[str, str]).decode


@implementer(IDriver, IInterest, IMembership, IFactSource, IReadiness, IMeasured)
class NatsDriver:
    """See the interfaces. Nothing is kept for later: what cannot be published at once fails."""

    def __init__(self, reactor: Any, options: Options) -> None:
        self._reactor = reactor
        self._options = options
        self._sink: IEventSink | None = None
        self._started: Deferred[None] | None = None
        self._facts = Facts()
        self._hearing: dict[Key, int] = {}
        self._lost = 0
        self.link = Link(reactor, options, self._connected)
        self.presence = Presence(
            reactor,
            self.link,
            options,
            lambda key, delivery: self._deliver(key[0], delivery),
            lambda key, fact: self._facts.told(key[0], fact),
            self._ready,
        )
        self._ended = f"{options.namespace}.terminated"
        self.link.subscribe(self._ended, self._hear_end)

    # ---- IDriver ----------------------------------------------------------------------------------------------

    def start(self, sink: IEventSink) -> Deferred[None]:
        """See `IDriver`; waits for NATS."""
        self._sink, self._started = sink, Deferred()
        self.link.start()
        self.presence.start()
        return self._started

    def stop(self) -> Deferred[None]:
        """See `IDriver`; nothing that this process shared is left then."""
        self._sink = None
        return self.presence.stop().addCallback(lambda _: self.link.stop())

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """See `IDriver`; fires when the server has it."""
        if self._sink is None:
            return _failed("the driver is not running")
        if isinstance(publication, Terminated):
            return self.link.publish(self._ended, _encode((app_id, publication.user_id)))
        body = _encode(replace(publication, channels=()))
        if len(body) > self.link.largest:
            return self.link.publish("", body)
        # All of them and one PING: the server has all of it or the connection is lost.
        return self.link.send(b"".join(pub(self._subject((app_id, name)), body) for name in publication.channels))

    def _subject(self, key: Key) -> str:
        return f"{self._options.namespace}.event.{token(key[0])}.{token(key[1])}"

    def _hear(self, message: Message, key: Key) -> None:
        self._deliver(key[0], replace(_event(message.body), channels=(key[1],)))

    def _hear_end(self, message: Message) -> None:
        app_id, user_id = _terminated(message.body)
        self._deliver(app_id, Terminated(user_id))

    def _deliver(self, app_id: str, delivery: Delivery) -> None:
        if self._sink is not None:
            self._sink.deliver(app_id, delivery)

    def _connected(self) -> None:
        self._lost += 1
        self.presence.connected()

    def _ready(self) -> None:
        started, self._started = self._started, None
        if started is not None:
            started.callback(None)

    # ---- IReadiness, IMeasured --------------------------------------------------------------------------------

    def faults(self) -> Sequence[str]:
        """See `IReadiness`."""
        fault = self.link.fault or self.presence.fault
        return [f"NATS at {self._options.host}:{self._options.port}: {fault}"] if fault else []

    def measures(self) -> Iterable[Measure]:
        """See `IMeasured`."""
        yield Measure("nats_connections_total", "connections to NATS that were made", self._lost, counter=True)

    # ---- IInterest --------------------------------------------------------------------------------------------

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        """See `IInterest`. NATS reads what we send in order: once the count is kept, events arrive."""
        key = app_id, channel
        place = self.presence.place(key)
        place.here += 1
        if place.here == 1:
            self._hearing[key] = self.link.subscribe(self._subject(key), partial(self._hear, key=key))
            self.presence.hear(key)
        return self._soon(place.edit(lambda document: counted(document, self.presence.process, place.here)))

    def unwanted(self, app_id: str, channel: str) -> None:
        """See `IInterest`."""
        key = app_id, channel
        place = self.presence.place(key)
        place.here -= 1
        if not place.here:
            self.link.unsubscribe(self._hearing.pop(key))
            self.presence.ignore(key)
        counting = place.edit(lambda document: counted(document, self.presence.process, place.here))
        counting.addErrback(lambda _: None)

    # ---- IMembership, IFactSource -----------------------------------------------------------------------------

    def observe(self, observer: IFactObserver) -> None:
        """See `IFactSource`."""
        self._facts.observe(observer)

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        place = self.presence.place((app_id, channel))
        connection = Connection(self.presence.process, socket_id, member.user_id, member.info, member.data)
        before = place.mine.get(socket_id)
        place.mine[socket_id] = connection

        def undo(failure: Any) -> Any:
            if place.mine.get(socket_id) is connection and before is None:
                if failure.check(MembersFull):
                    del place.mine[socket_id]
                else:
                    self.leave(app_id, channel, socket_id)
            return failure

        joining = self._soon(place.edit(lambda document: joined(document, connection, limit)))
        return joining.addCallbacks(lambda _: members(place.document), undo)

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`."""
        place = self.presence.place((app_id, channel))
        place.mine.pop(socket_id, None)
        return self._soon(place.edit(lambda document: left(document, socket_id)))

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._read(app_id, channel).addCallback(members)

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        """See `IMembership`."""
        read = gatherResults([self._read(app_id, channel) for channel in channels], consumeErrors=True)
        return read.addCallbacks(lambda found: [len(members(each)) for each in found], _first)

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return self._read(app_id, channel).addCallback(lambda document: document.total)

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        found = Deferred.fromCoroutine(self.presence.documents(app_id, prefix))
        return found.addCallbacks(
            lambda documents: {name: each.total for name, each in documents.items() if each.total}, _first
        )

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        place = self.presence.place((app_id, channel))
        told = place.edit(lambda document: replace(document, told=document.told + 1) if document.total else document)
        return self._soon(told).addCallback(lambda _: place.document.total)

    def _read(self, app_id: str, channel: str) -> Deferred[Document]:
        return Deferred.fromCoroutine(self.presence.document((app_id, channel)))

    def _soon(self, deferred: Deferred[T]) -> Deferred[T]:
        return deferred.addTimeout(self._options.wait_seconds, self._reactor, _overdue)


def _overdue(_: object, seconds: float) -> Any:
    raise DriverError(f"NATS has not taken it within {seconds:g} s")


def _failed(reason: str) -> Deferred[Any]:
    failed: Deferred[Any] = Deferred()
    failed.errback(DriverError(reason))
    return failed


def _first(failure: Any) -> Any:
    """Of several the one that failed, not that it was one of several."""
    return getattr(failure.value, "subFailure", failure)
