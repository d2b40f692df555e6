"""Whether this process hears what it publishes: proved by a canary of its own, again and again, never assumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

TICKS = 3
"""Ticks for which a canary may be under way. Several, since a process that was busy gets only one of them late."""


class Hearing:
    """Deaf until a canary has come back; and again when a link is lost, or when one does not come back.

    ``fly`` publishes a canary, which comes back through `heard`; ``missed`` is told why there must be new connections;
    ``restored`` is called each time that everything is heard, for the first time or again. ``fault`` is why not.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        seconds: float,
        fly: Callable[[bytes], Deferred[Any]],
        missed: Callable[[str], None],
        restored: Callable[[], None],
    ) -> None:
        self.fault: str | None = "Redis has not been reached yet"
        self.times = 0
        """How often it went deaf."""
        self._reactor = reactor
        self._seconds = seconds
        self._fly = fly
        self._missed = missed
        self._restored = restored
        self._deaf_seconds = 0.0
        self._since: float | None = None
        self._subscribed = False
        self._serial = 0
        self._flying = False
        self._ticks = 0
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor

    @property
    def deaf_seconds(self) -> float:
        """For how long it has been deaf, all times together."""
        return self._deaf_seconds + (self._reactor.seconds() - self._since if self._since is not None else 0.0)

    def start(self) -> None:
        """Begin to doubt."""
        self._ticking.start(self._seconds / TICKS, now=False)

    def stop(self) -> None:
        """Let it be."""
        self._ticking.stop()

    def complete(self) -> None:
        """All that is wanted is subscribed to: prove it, if that has not been."""
        self._subscribed = True
        if self.fault is not None:
            self.prove()

    def prove(self) -> None:
        """Send a canary out now, unless one is under way."""
        if not self._subscribed or self._flying:
            return
        self._flying, self._ticks = True, 0
        self._serial += 1
        self._fly(str(self._serial).encode()).addErrback(self._unsent, self._serial)

    def heard(self, payload: bytes) -> None:
        """A canary came back."""
        if not self._flying or payload != str(self._serial).encode():
            return
        self._flying, self._ticks = False, 0
        if self.fault is None:
            return
        self.fault = None
        if self._since is not None:
            seconds = self._reactor.seconds() - self._since
            self._deaf_seconds += seconds
            self._since = None
            self._log.info("hears Redis again after {seconds} s", seconds=round(seconds, 1))
        self._restored()

    def unsubscribed(self, reason: str) -> None:
        """The link for subscriptions is lost."""
        self._subscribed = False
        self.lost(reason)

    def lost(self, reason: str) -> None:
        """A link is lost: what stands of it is not proven any more."""
        self._flying = False
        self._deafen(reason)

    def _unsent(self, _: object, serial: int) -> None:
        # The link is lost, or will be if it stays like this: the next tick tries again.
        if serial == self._serial:
            self._flying = False

    def _tick(self) -> None:
        self._ticks += 1
        if self._ticks < TICKS:
            return
        if self._flying:
            reason = f"a message of its own did not come back within {self._seconds:g} s"
            self._flying = False
            self._deafen(reason)
            self._missed(reason)
        else:
            self.prove()

    def _deafen(self, reason: str) -> None:
        if self._since is None:
            self._since = self._reactor.seconds()
            self.times += 1
            self._log.warn("deaf to Redis: {reason}", reason=reason)
        self.fault = reason
