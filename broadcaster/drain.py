"""Sending clients away without a stampede: each gets 4200, at a moment of its own within the time that there is."""

from __future__ import annotations

from random import shuffle
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall

from broadcaster.hub import Hub
from broadcaster.interfaces import ISubscriber

INTERVAL = 0.05
PATIENCE = 6.0
"""Seconds that the last close handshakes may take: a little more than a link waits for its peer's answer."""


class Drain:
    """Closes the connections of ``hub`` over ``seconds``, in random order."""

    def __init__(self, reactor: Any, hub: Hub, seconds: float) -> None:
        self._reactor = reactor
        self._hub = hub
        self._seconds = seconds
        self._left: list[ISubscriber] = []
        self._total = 0
        self._began = 0.0
        self._loop: LoopingCall | None = None

    def start(self) -> Deferred[None]:
        """Begin; fires when nobody is left, or has not gone although it was told to."""
        self._left = self._hub.connections()
        if not self._left:
            return succeed(None)
        shuffle(self._left)
        self._total = len(self._left)
        self._began = self._reactor.seconds()
        self._loop = LoopingCall(self._tick)
        self._loop.clock = self._reactor
        return self._loop.start(INTERVAL).addCallback(lambda _: None)

    def _tick(self) -> None:
        elapsed = self._reactor.seconds() - self._began
        share = min(1.0, elapsed / self._seconds) if self._seconds > 0 else 1.0
        while self._left and self._total - len(self._left) < share * self._total:
            self._left.pop().close(4200, "Server is shutting down")
        if not self._hub.count() or elapsed > self._seconds + PATIENCE:
            assert self._loop is not None
            self._loop.stop()
