"""Publishing: the one way out to the driver, whoever publishes, and what happens when it fails."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.counters import Counters
from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver
from broadcaster.messages import Publication

PATIENCE = 10.0
"""Seconds that a driver may take for an event; no less than those that it may try again for."""


class Publisher:
    """Hands events to the driver called ``name``; whatever goes wrong there becomes a `DriverError`, logged once each.

    A driver is somebody else's code: it may raise, fail, never answer, or return what is no Deferred, and none of that
    may reach a connection or the process.
    """

    _log = Logger()

    def __init__(self, driver: IDriver, name: str, counters: Counters, clock: Callable[[], float] = monotonic) -> None:
        self._driver = driver
        self._name = name
        self._counters = counters
        self._clock = clock
        self._waiting: deque[tuple[float, Deferred[None]]] = deque()

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        """Fires when the driver has taken the event; fails with `DriverError` and nothing else, in time."""
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
        if not _done(taken):
            self._drop_done()
            self._waiting.append((self._clock() + PATIENCE, taken))
        return taken.addErrback(self._failed)

    def give_up(self, now: float) -> None:
        """Take back what the driver has had for too long; called about once a second."""
        self._drop_done()
        while self._waiting and self._waiting[0][0] <= now:
            self._waiting.popleft()[1].cancel()
            self._drop_done()

    def _drop_done(self) -> None:
        # All have the same patience, so those that end first stand in front; mostly they are done in their order too.
        while self._waiting and _done(self._waiting[0][1]):
            self._waiting.popleft()

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            failure = Failure(DriverError(f"it did not answer within {PATIENCE:g} seconds"))
        raise self._told(failure)

    def _told(self, failure: Failure) -> DriverError:
        self._counters.driver_failures += 1
        error = DriverError.of(failure.value)
        self._log.error("driver {name} failed to publish: {reason}", name=self._name, reason=str(error))
        return error


def _done(deferred: Deferred[None]) -> bool:
    """Whether it has a result; one that was called may still wait for another."""
    return deferred.called and not isinstance(deferred.result, Deferred)
