"""A driver that does as the test says, and a server in memory that runs on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel
from zope.interface import implementer

from broadcaster.interfaces import IDriver, IEventSink
from broadcaster.messages import Publication
from broadcaster.settings import App, Driver
from tests.inprocess import InProcess


@implementer(IDriver)
class ScriptedDriver:
    """Swallows whatever is published and says that it took it.

    ``taken`` is what it was handed, ``sink`` where it could deliver; each argument stands in for the method of its
    name.
    """

    def __init__(
        self,
        publish: Callable[[], Any] | None = None,
        start: Callable[[], Any] | None = None,
        stop: Callable[[], Any] | None = None,
    ) -> None:
        self.taken: list[tuple[str, Publication]] = []
        self.sink: IEventSink | None = None
        self._publish = publish
        self._start = start
        self._stop = stop

    def start(self, sink: IEventSink) -> Deferred[None]:
        self.sink = sink
        return self._start() if self._start else succeed(None)

    def stop(self) -> Deferred[None]:
        return self._stop() if self._stop else succeed(None)

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        self.taken.append((app_id, publication))
        return self._publish() if self._publish else succeed(None)

    def deliver_all(self) -> None:
        """Deliver whatever was taken, in order."""
        assert self.sink is not None
        for app_id, publication in self.taken:
            self.sink.deliver(app_id, publication)
        self.taken.clear()


def serve(driver: IDriver, *apps: App, **settings: Any) -> InProcess:
    """A server that runs on ``driver``, and calls it ``scripted``."""
    return InProcess(*apps, using=driver, driver=Driver(name="scripted"), **settings)


def raising(error: Exception) -> Callable[[], Any]:
    """A function that raises it."""

    def raise_it() -> Any:
        raise error

    return raise_it


def complaints(events: list[dict[str, Any]]) -> list[str]:
    """Of captured log events the lines at error level; a traceback must not be among them."""
    assert not any("log_failure" in event for event in events)
    return [event["log_format"].format(**event) for event in events if event["log_level"] is LogLevel.error]
