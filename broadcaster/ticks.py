"""The clockwork of the process: what is done again and again, once a second or more often."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from broadcaster.cache import Cache
from broadcaster.counters import Counters
from broadcaster.publisher import Publisher
from broadcaster.recovery import Recovery
from broadcaster.tls.certificates import Certificates
from broadcaster.wheel import Wheel


class Ticks:
    """What is done each time that ``seconds`` are over; raises nothing, since that would be the last tick of all."""

    _log = Logger()

    def __init__(
        self,
        seconds: float,
        wheel: Wheel,
        cache: Cache,
        recovery: Recovery,
        publisher: Publisher,
        counters: Counters,
        certificates: Certificates | None,
        clock: Callable[[], float],
    ) -> None:
        self.seconds = seconds
        self._wheel = wheel
        self._cache = cache
        self._recovery = recovery
        self._publisher = publisher
        self._counters = counters
        self._certificates = certificates
        self._clock = clock
        self._last: float | None = None

    def __call__(self) -> None:
        """That time has passed, or more if the process was too busy to notice."""
        now = self._clock()
        if self._last is not None:
            self._counters.loop_lag = max(0.0, now - self._last - self.seconds)
        self._last = now
        try:
            self._wheel.turn(now)
        except Exception:
            self._log.failure("a deadline failed")
        self._cache.forget(now)
        self._recovery.forget(now)
        self._publisher.give_up(now)
        if self._certificates is not None:
            self._certificates.tick(now)
