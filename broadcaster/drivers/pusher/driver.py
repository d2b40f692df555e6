"""The driver: what is published goes to Pusher, and to another driver that delivers here; Pusher may be heard too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, succeed
from twisted.internet.task import LoopingCall
from zope.interface import implementer

from broadcaster.counters import Measure
from broadcaster.drivers.pusher.bridge import Bridge
from broadcaster.drivers.pusher.comparison import Comparison
from broadcaster.drivers.pusher.forwarding import LOCAL_REASONS, Forwarding
from broadcaster.drivers.pusher.listening import Heard
from broadcaster.drivers.pusher.options import Options
from broadcaster.drivers.pusher.pairing import Half, Pairing, Side
from broadcaster.errors import DriverError
from broadcaster.interfaces import IComparison, IDriver, IEventSink, IForwarder, IInterest, IMeasured
from broadcaster.messages import Delivery, Event, Publication
from broadcaster.names import USER_CHANNEL

PAIR_SECONDS = 120.0
"""How long an event may be on its way from Pusher, once Pusher has it."""


@implementer(IDriver, IForwarder, IEventSink, IMeasured, IComparison)
class PusherDriver:
    """See `IDriver`; stands on a driver that delivers here, or on none.

    An event is delivered here as the driver beneath does it, and forwarded once that has taken it. What Pusher tells
    on channels of ``bridge`` is delivered in this process: each process listens for its own subscribers.
    """

    def __init__(self, reactor: Any, options: Options, clock: Callable[[], float] = monotonic) -> None:
        self.beneath = options.deliver
        self._reactor = reactor
        self._options = options
        self._clock = clock
        self._inner: IDriver | None = None
        self._sink: IEventSink | None = None
        self._forwarding = Forwarding(reactor, options, self._dropped, clock)
        self._bridge = Bridge(reactor, options, self._heard, clock)
        self._interest: dict[str, Counter[str]] = {}
        self._pairing = Pairing(PAIR_SECONDS)
        self._late = 0.0
        self._comparison = Comparison()
        self._turning = LoopingCall(self._turn)
        self._turning.clock = reactor

    def stand_on(self, driver: IDriver) -> None:
        """See `IForwarder`."""
        self._inner = driver

    def __conform__(self, interface: Any) -> object:
        """What the driver beneath can do, this one can."""
        if interface is IInterest and self._listens():
            return Interest(self, IInterest(self._inner, None))
        if self._inner is None or interface.providedBy(self):
            return None
        return interface(self._inner, None)

    # ---- IDriver ------------------------------------------------------------------------------------------------

    def start(self, sink: IEventSink) -> Deferred[None]:
        """See `IDriver`; Pusher is not waited for."""
        self._sink = sink
        if self._listens():
            self._bridge.start()
            self._turning.start(1.0, now=False)
        return succeed(None) if self._inner is None else self._inner.start(self if self._listens() else sink)

    def stop(self) -> Deferred[None]:
        """See `IDriver`; what waits for Pusher is sent first, if that is quick."""
        self._sink = None
        if self._turning.running:
            self._turning.stop()
        stopping = [self._forwarding.stop(), self._bridge.stop()]
        if self._inner is not None:
            stopping.append(self._inner.stop())
        return gatherResults(stopping, consumeErrors=True).addCallback(lambda _: None)

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """See `IDriver`; fires when it is delivered here, and fails if it is too large or too much for Pusher."""
        if self._sink is None:
            return fail(DriverError("the pusher driver is not running"))
        if not self._forwards(app_id):
            return succeed(None) if self._inner is None else self._inner.publish(app_id, publication)
        try:
            self._forwarding.check(publication)
        except DriverError:
            return fail()
        taken = succeed(None) if self._inner is None else self._inner.publish(app_id, publication)
        return taken.addCallback(lambda _: self._forwarding.put(publication))

    # ---- what is delivered here, and what Pusher tells ----------------------------------------------------------

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        """See `IEventSink`: the driver beneath delivers; what Pusher has told before is not told again."""
        if self._sink is None:
            return
        if isinstance(delivery, Event) and self._forwards(app_id):
            now = self._clock()
            untold = tuple(channel for channel in delivery.channels if self._is_first("here", channel, delivery, now))
            if untold != delivery.channels:
                if not untold:
                    return
                delivery = Event(delivery.name, untold, delivery.data, delivery.exclude, delivery.user_id)
        self._sink.deliver(app_id, delivery)

    def _heard(self, heard: Heard) -> None:
        first = heard.kept or self._is_first("pusher", heard.channel, heard, self._clock())
        if self._sink is None or not first or not self._bridged(heard.channel):
            return
        event = Event(heard.name, (heard.channel,), heard.data, None, heard.user_id)
        for app_id in list(self._interest.get(heard.channel, ())):
            self._sink.deliver(app_id, event)

    def _is_first(self, side: Side, channel: str, event: Event | Heard, now: float) -> bool:
        """Whether a channel has not been told an event by the other side."""
        if channel not in self._interest:
            return True
        first = self._pairing.told(side, channel, event.name, event.data, now)
        bridged = self._bridged(channel)
        # What Pusher tells on a channel that is bridged has been told here, or is by that.
        if side == "pusher" if bridged else not first:
            self._comparison.both(channel)
        return first or not bridged

    def _dropped(self, event: Event) -> None:
        for channel in event.channels:
            self._pairing.withdraw(channel, event.name, event.data)
            if channel in self._interest:
                self._comparison.only(Half("here", channel, event.name, event.data, self._clock()))

    def _turn(self) -> None:
        # While Pusher is away, events come back from it as much later; and for as long again while it catches up.
        away = self._bridge.down()
        self._late = max(self._forwarding.lag(), away, self._late - 1.0)
        for half in self._pairing.alone(self._clock() - self._late):
            if not self._is_told(half):
                self._comparison.only(half)

    def _is_told(self, half: Half) -> bool:
        """Whether both sides know an event although only Pusher's told it."""
        return half.side == "pusher" and self._bridged(half.channel)

    # ---- what is wanted -----------------------------------------------------------------------------------------

    def wanted(self, app_id: str, channel: str) -> None:
        """One more subscription here."""
        if not self._forwards(app_id) or channel.startswith(USER_CHANNEL):
            return
        if not (self._options.compare or self._bridged(channel)):
            return
        self._interest.setdefault(channel, Counter())[app_id] += 1
        self._bridge.want(channel)

    def unwanted(self, app_id: str, channel: str) -> None:
        """One less."""
        counts = self._interest.get(channel)
        if counts is None or app_id not in counts:
            return
        counts[app_id] -= 1
        if not counts[app_id]:
            del counts[app_id]
        if not counts:
            del self._interest[channel]
            self._bridge.unwant(channel)

    # ---- how things stand ---------------------------------------------------------------------------------------

    def measures(self) -> Iterator[Measure]:
        """See `IMeasured`."""
        out, bridge = self._forwarding, self._bridge
        yield Measure("pusher_forwarded_events", "Events that Pusher has taken", out.forwarded, True)
        for reason in sorted({*out.drops, *LOCAL_REASONS}):
            labels = (("reason", reason),)
            yield Measure(
                "pusher_dropped_events", "Events that Pusher will never have", out.drops[reason], True, labels
            )
        yield Measure("pusher_retries", "Calls that Pusher failed and that were tried again", out.retries, True)
        yield Measure("pusher_waiting_events", "Events on their way to Pusher", out.length())
        yield Measure("pusher_lag_seconds", "How long the oldest of them has waited", out.lag())
        if self._listens():
            yield Measure("pusher_listening", "1 while Pusher is heard", int(bridge.up))
            yield Measure("pusher_reconnects", "Connections to Pusher that were lost", bridge.reconnects, True)
        inner = None if self._inner is None else IMeasured(self._inner, None)
        if inner is not None:
            yield from inner.measures()

    def comparison(self) -> dict[str, Any]:
        """See `IComparison`; raises `DriverError` while Pusher is not heard."""
        if not self._listens():
            raise DriverError("Pusher is not heard: set driver.pusher.compare = true")
        halves = [half for half in self._pairing.halves() if not self._is_told(half)]
        return self._comparison.report(halves, self._clock())

    def _forwards(self, app_id: str) -> bool:
        return not self._options.apps or app_id in self._options.apps

    def _listens(self) -> bool:
        return self._options.compare or bool(self._options.bridge)

    def _bridged(self, channel: str) -> bool:
        return any(fnmatchcase(channel, pattern) for pattern in self._options.bridge)


@implementer(IInterest)
class Interest:
    """See `IInterest`; tells the driver beneath too. Pusher is not waited for: it may be away."""

    def __init__(self, driver: PusherDriver, beneath: IInterest | None) -> None:
        self._driver = driver
        self._beneath = beneath

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        """See `IInterest`."""
        self._driver.wanted(app_id, channel)
        return succeed(None) if self._beneath is None else self._beneath.wanted(app_id, channel)

    def unwanted(self, app_id: str, channel: str) -> None:
        """See `IInterest`."""
        self._driver.unwanted(app_id, channel)
        if self._beneath is not None:
            self._beneath.unwanted(app_id, channel)
