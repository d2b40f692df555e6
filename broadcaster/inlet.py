"""The way in from the driver, held to what `IEventSink` asks: nothing after the end, no junk, no other thread."""

from __future__ import annotations

from threading import get_ident

from twisted.logger import Logger
from zope.interface import implementer

from broadcaster.counters import Counters
from broadcaster.errors import DriverError
from broadcaster.interfaces import IEventSink
from broadcaster.messages import (
    Delivery,
    Event,
    MemberAdded,
    MemberRemoved,
    SubscriptionCount,
    Terminated,
    UserOffline,
    UserOnline,
)

_OTHERS = (Terminated, MemberAdded, MemberRemoved, SubscriptionCount, UserOnline, UserOffline)


@implementer(IEventSink)
class Inlet:
    """Where the driver called ``name`` delivers, from `open` to `close`; the rest of it is left out.

    A driver is somebody else's code: each way of breaking the contract is named once in the log, and from then on only
    counted.
    """

    _log = Logger()

    def __init__(self, sink: IEventSink, name: str, counters: Counters) -> None:
        self._sink = sink
        self._name = name
        self._counters = counters
        self._thread: int | None = None
        self._told: set[str] = set()

    def open(self) -> None:
        """Take what comes from now on, in the thread of this call."""
        self._thread = get_ident()

    def close(self) -> None:
        """Take nothing any more."""
        self._thread = None

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        """See `IEventSink`."""
        if get_ident() != self._thread:
            after = self._thread is None
            self._complain("after it was stopped" if after else "from another thread than the reactor's")
        elif not _is_delivery(app_id, delivery):
            self._complain("what is no Delivery", f": {type(delivery).__name__}")
        else:
            try:
                self._sink.deliver(app_id, delivery)
            except Exception as error:
                self._complain("what cannot be told", f": {DriverError.of(error)}")

    def _complain(self, how: str, what: str = "") -> None:
        self._counters.driver_failures += 1
        if how not in self._told:
            self._told.add(how)
            line = "driver {name} delivers {how}{what}; that is left out, and from now on only counted"
            self._log.error(line, name=self._name, how=how, what=what)


def _is_delivery(app_id: object, delivery: object) -> bool:
    """Whether it has the form; what is in it may still be nonsense."""
    if type(delivery) is Event:
        texts = type(delivery.name) is str and type(delivery.data) is str
        return texts and type(delivery.channels) is tuple and type(app_id) is str
    return isinstance(delivery, _OTHERS) and type(app_id) is str
