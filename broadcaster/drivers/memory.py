"""The driver with no distance: what is published in this process is delivered in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from msgspec import Struct
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from broadcaster.config.options import read_options
from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver, IEventSink, ILocal
from broadcaster.messages import Publication

Neighbour: TypeAlias = Callable[[str, Publication], None]


@implementer(IDriver, ILocal)
class MemoryDriver:
    """See `IDriver`; nothing is kept, nothing is awaited."""

    def __init__(self) -> None:
        self._sink: IEventSink | None = None
        self._neighbours: list[Neighbour] = []

    def start(self, sink: IEventSink) -> Deferred[None]:
        """See `IDriver`."""
        self._sink = sink
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IDriver`."""
        self._sink = None
        return succeed(None)

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """See `IDriver`."""
        if self._sink is None:
            return fail(DriverError("the memory driver is not running"))
        self._sink.deliver(app_id, publication)
        for neighbour in self._neighbours:
            neighbour(app_id, publication)
        return succeed(None)

    def meet(self, neighbour: Neighbour) -> None:
        """See `ILocal`."""
        self._neighbours = [*self._neighbours, neighbour]

    def part(self, neighbour: Neighbour) -> None:
        """See `ILocal`."""
        self._neighbours = [each for each in self._neighbours if each != neighbour]

    def heard(self, app_id: str, publication: Publication, neighbour: Neighbour) -> None:
        """See `ILocal`."""
        if self._sink is not None:
            self._sink.deliver(app_id, publication)
        for each in self._neighbours:
            if each != neighbour:
                each(app_id, publication)


class Options(Struct, frozen=True, kw_only=True):
    """``[driver.memory]``: there is nothing to configure."""


def make(reactor: Any, options: Mapping[str, Any]) -> MemoryDriver:
    """For `IDriverMaker`."""
    read_options(Options, options, "memory")
    return MemoryDriver()
