"""The driver: events out by one link, in by the other, and only those that somebody here wants to hear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.counters import Measure
from broadcaster.drivers.redis import laravel, wire
from broadcaster.drivers.redis.commands import Commands, Script
from broadcaster.drivers.redis.dialer import Dialer
from broadcaster.drivers.redis.hearing import Hearing
from broadcaster.drivers.redis.laravel import Prefixes
from broadcaster.drivers.redis.link import Link
from broadcaster.drivers.redis.options import Options
from broadcaster.drivers.redis.protocol import RedisConnection
from broadcaster.drivers.redis.subscriptions import Subscriptions
from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver, IEager, IEventSink, IInterest, IMeasured, IReadiness, ITenants
from broadcaster.messages import Delivery, Publication, Terminated

SWEEP = 1.0
"""Seconds between two looks for channels that nobody wants any more."""

_PUBLISH = Script("for i = 2, #ARGV do redis.call('publish', ARGV[i], ARGV[1]) end")
"""One payload to several channels: all of them or none, and nothing between."""


@implementer(IDriver, IEager, IInterest, IReadiness, IMeasured, ITenants)
class RedisDriver:
    """See `IDriver`. Nothing is kept for later: what cannot be published at once fails, and its publisher is told."""

    _log = Logger()

    def __init__(self, reactor: Any, options: Options) -> None:
        self.options = options
        self.process_id = token_hex(8)
        """Names this process among all that share the Redis."""
        self._reactor = reactor
        self._sink: IEventSink | None = None
        self._prefixes = Prefixes({}, options.prefix, options.namespace)
        self._started: Deferred[None] | None = None
        self._received: Counter[str] = Counter()
        self._junk: Counter[str] = Counter()
        self._restored: list[Callable[[], None]] = []
        self.hearing = Hearing(reactor, options.canary_seconds, self._fly, self._reconnect, self._hears)
        self.listening = Subscriptions(reactor, options.linger_seconds, self.hearing.complete)
        self._inward = self._link("subscriptions", self.listening.connected, self._unsubscribed, self.listening.ping)
        self._outward = self._link("commands", self._publishable, self.hearing.lost, _ping)
        self.commands = Commands(self._outward)
        self._sweeping = LoopingCall(self.listening.sweep)
        self._sweeping.clock = reactor

    def _link(
        self,
        name: str,
        up: Callable[[RedisConnection], None],
        down: Callable[[str], None],
        ping: Callable[[RedisConnection], None],
    ) -> Link:
        dialer = Dialer(self._reactor, self.options, name)
        return Link(self._reactor, name, dialer, self.options.reply_seconds, up, down, ping)

    # ---- IDriver ----------------------------------------------------------------------------------------------

    def start(self, sink: IEventSink) -> Deferred[None]:
        """See `IDriver`; does not fail, but waits for Redis."""
        self._sink = sink
        self._started = Deferred()
        for name, hearer in ((self._canary, self.hearing.heard), (self._control, self._hear_control)):
            self.listening.hear(name, hearer).addErrback(lambda _: None)
        self.hearing.start()
        self._sweeping.start(SWEEP, now=False)
        self._inward.start()
        self._outward.start()
        return self._started

    def stop(self) -> Deferred[None]:
        """See `IDriver`."""
        self._sink, self._started = None, None
        if self._sweeping.running:
            self._sweeping.stop()
            self.hearing.stop()
        return gatherResults([self._inward.stop(), self._outward.stop()]).addCallback(_nothing)

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """See `IDriver`; fires when Redis has taken it."""
        if isinstance(publication, Terminated):
            payload = wire.encode_terminated(app_id, publication)
            return self.commands.call("PUBLISH", self._control, payload).addCallback(_nothing)
        payload = wire.encode_event(publication)
        names = [self.channel(app_id, channel) for channel in publication.channels]
        if len(names) == 1:
            return self.commands.call("PUBLISH", names[0], payload).addCallback(_nothing)
        return self.commands.script(_PUBLISH, (), (payload, *names)).addCallback(_nothing)

    def take_in(self) -> None:
        """See `IEager`: only while Redis owes an answer, and the events first, which it has sent first."""
        outward, inward = self._outward.connection, self._inward.connection
        if outward is not None and outward.pending:
            if inward is not None:
                inward.take_in()
            outward.take_in()

    # ---- what is wanted here ----------------------------------------------------------------------------------

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        """See `IInterest`; waits for a Redis that is away, for ``wait_seconds``, and fails then."""
        waiting = self.listening.hear(self.channel(app_id, channel), partial(self._hear_own, app_id, channel))
        foreign = self._prefixes.name(app_id, channel)
        if foreign is not None:
            also = self.listening.hear(foreign, partial(self._hear_laravel, app_id, channel))
            if not (waiting.called and also.called):
                waiting = gatherResults([waiting, also], consumeErrors=True).addCallbacks(_nothing, _first)
        if waiting.called:
            return waiting
        return waiting.addTimeout(self.options.wait_seconds, self._reactor, self._overdue)

    def unwanted(self, app_id: str, channel: str) -> None:
        """See `IInterest`."""
        self.listening.unhear(self.channel(app_id, channel))
        foreign = self._prefixes.name(app_id, channel)
        if foreign is not None:
            self.listening.unhear(foreign)

    def _overdue(self, result: object, seconds: float) -> None:
        raise DriverError(f"Redis has not confirmed the subscription within {seconds:g} s: {self.hearing.fault}")

    # ---- IReadiness, IMeasured, ITenants ----------------------------------------------------------------------

    def faults(self) -> Sequence[str]:
        """See `IReadiness`."""
        return [f"deaf to Redis: {self.hearing.fault}"] if self.hearing.fault is not None else []

    def measures(self) -> Iterator[Measure]:
        """See `IMeasured`."""
        hearing = self.hearing
        yield Measure(
            "redis_deaf", "1 while it is not proven that events arrive from Redis", float(bool(hearing.fault))
        )
        yield Measure("redis_deaf_seconds", "For how long it was deaf, all times together", hearing.deaf_seconds, True)
        yield Measure("redis_deafened", "How often it went deaf", hearing.times, True)
        yield Measure("redis_channels", "Channels subscribed to at Redis", len(self.listening))
        for link, name in ((self._inward, "subscriptions"), (self._outward, "commands")):
            labels = (("link", name),)
            yield Measure("redis_connections", "Connections made to Redis", link.connections, True, labels)
        for kind in ("own", "laravel"):
            labels = (("kind", kind),)
            yield Measure("redis_received", "Messages that came from Redis", self._received[kind], True, labels)
        for kind in ("own", "laravel"):
            labels = (("kind", kind),)
            yield Measure("redis_junk", "Messages from Redis that were none", self._junk[kind], True, labels)

    def tenants(self, prefixes: Mapping[str, str | None]) -> None:
        """See `ITenants`."""
        self._prefixes = Prefixes(prefixes, self.options.prefix, self.options.namespace)

    # ---- for what is shared over this driver ------------------------------------------------------------------

    def on_restored(self, restored: Callable[[], None]) -> None:
        """Call ``restored`` each time that everything is heard, for the first time or again: something was missed."""
        self._restored.append(restored)

    def channel(self, app_id: str, channel: str) -> bytes:
        """The Redis channel of an app's channel."""
        return f"{self._space}event:{quote(app_id, safe='')}:{channel}".encode()

    def key(self, *words: str) -> bytes:
        """A key of ours that is made of ``words``; the last may hold anything."""
        *first, last = words
        return ":".join([self.options.namespace, *(quote(word, safe="") for word in first), last]).encode()

    # ---- what comes in ----------------------------------------------------------------------------------------

    def _hear_own(self, app_id: str, channel: str, payload: bytes) -> None:
        self._received["own"] += 1
        try:
            event = wire.decode_event(payload, channel)
        except wire.UNREADABLE as error:
            self._tell_junk("own", channel, error)
        else:
            self._deliver(app_id, event)

    def _hear_laravel(self, app_id: str, channel: str, payload: bytes) -> None:
        self._received["laravel"] += 1
        try:
            event = laravel.read_broadcast(payload, channel)
        except laravel.UNREADABLE as error:
            self._tell_junk("laravel", channel, error)
        else:
            self._deliver(app_id, event)

    def _hear_control(self, payload: bytes) -> None:
        self._received["own"] += 1
        try:
            app_id, terminated = wire.decode_terminated(payload)
        except wire.UNREADABLE as error:
            self._tell_junk("own", "control", error)
        else:
            self._deliver(app_id, terminated)

    def _deliver(self, app_id: str, delivery: Delivery) -> None:
        if self._sink is not None:
            self._sink.deliver(app_id, delivery)

    def _tell_junk(self, kind: str, channel: str, error: Exception) -> None:
        """Once for each kind: whoever publishes junk publishes much of it."""
        self._junk[kind] += 1
        if self._junk[kind] == 1:
            line = "junk from Redis on channel {channel} ({kind}) is left out, and from now on only counted: {reason}"
            self._log.warn(line, channel=channel, kind=kind, reason=" ".join(str(error).split()))

    # ---- the links --------------------------------------------------------------------------------------------

    def _unsubscribed(self, reason: str) -> None:
        self.listening.disconnected()
        self.hearing.unsubscribed(reason)

    def _publishable(self, connection: RedisConnection) -> None:
        self.hearing.prove()

    def _fly(self, payload: bytes) -> Deferred[Any]:
        return self.commands.call("PUBLISH", self._canary, payload)

    def _reconnect(self, reason: str) -> None:
        """Both: either may be with a Redis that is none of ours any more."""
        for link in (self._inward, self._outward):
            if link.connection is not None:
                link.connection.abort(reason)

    def _hears(self) -> None:
        started, self._started = self._started, None
        for restored in self._restored:
            restored()
        if started is not None:
            self._log.info("publishes and hears by Redis at {url}", url=str(self.options.address))
            started.callback(None)

    @property
    def _canary(self) -> bytes:
        return f"{self._space}canary:{self.process_id}".encode()

    @property
    def _control(self) -> bytes:
        return f"{self._space}control".encode()

    @property
    def _space(self) -> str:
        # Unlike keys, channels are the same in all databases.
        return f"{self.options.namespace}@{self.options.address.database}:"


def _ping(connection: RedisConnection) -> None:
    connection.call("PING").addErrback(lambda _: None)


def _nothing(_: object) -> None:
    return None


def _first(failure: Failure) -> Failure:
    """Of several the first that failed, not that it was one of several."""
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
