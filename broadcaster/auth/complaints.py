"""What is wrong with the application, in the log: a line for each address and fault, and seldom enough."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger, LogLevel

SECONDS = 10.0
"""Between two lines about the same; a storm of reconnects asks thousands of times."""

MOST = 100
"""Lines in that time: with a suffix among the hosts, clients can name any number of them."""


class Complaints:
    """Says what clients are not told, by a clock in ``seconds``."""

    _log = Logger()

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._told: dict[tuple[str, str], float] = {}

    def tell(self, url: str, reason: str, channel: str, ordinary: bool = False) -> None:
        """One line, unless one about this ``url`` and ``reason`` was written just now; ``ordinary`` is no fault."""
        if self._is_due((url, reason)):
            level = LogLevel.info if ordinary else LogLevel.warn
            self._log.emit(level, "{url} {reason} (channel {channel})", url=url, reason=reason, channel=channel)

    def _is_due(self, subject: tuple[str, str]) -> bool:
        told, now = self._told, self._seconds()
        while told and now - next(iter(told.values())) >= SECONDS:
            del told[next(iter(told))]
        if subject in told or len(told) >= MOST:
            return False
        told[subject] = now
        return True
