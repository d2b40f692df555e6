"""Publishing: the one way out to the driver, whoever publishes, and what happens when it fails."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.counters import Counters
from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver
from broadcaster.messages import Publication


class Publisher:
    """Hands events to the driver called ``name``; whatever goes wrong there becomes a `DriverError`, logged once each.

    A driver is somebody else's code: it may raise, fail, or return what is no Deferred, and none of that may reach
    a connection or the process.
    """

    _log = Logger()

    def __init__(self, driver: IDriver, name: str, counters: Counters) -> None:
        self._driver = driver
        self._name = name
        self._counters = counters

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """Fires when the driver has taken the event; fails with `DriverError` and nothing else."""
        self._counters.events_published += 1
        try:
            taken: Deferred[None] = self._driver.publish(app_id, publication)
            if not isinstance(taken, Deferred):
                raise TypeError(f"publish() returned {type(taken).__name__}, not a Deferred")
        except Exception:
            return fail(self._told(Failure()))
        # One that was called may still wait for another, and fail with it.
        if taken.called and taken.result is None:
            return taken
        return taken.addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        raise self._told(failure)

    def _told(self, failure: Failure) -> DriverError:
        self._counters.driver_failures += 1
        error = DriverError.of(failure.value)
        self._log.error("driver {name} failed to publish: {reason}", name=self._name, reason=str(error))
        return error
