"""Sending clients away without a stampede: each gets 4200, at a moment of its own within the time that there is."""

from __future__ import annotations

from random import shuffle
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from broadcaster.hub import Hub
from broadcaster.interfaces import ISubscriber

INTERVAL = 0.05
PATIENCE = 6.0
"""Seconds that the last close handshakes may take: a little more than a link waits for its peer's answer."""


class Drain:
    """Closes the connections of ``hub`` in random order."""

    def __init__(self, reactor: Any, hub: Hub) -> None:
        self._reactor = reactor
        self._hub = hub
        self._seconds = 0.0
        self._left: list[ISubscriber] = []
        self._total = 0
        self._began = 0.0
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor
        self._over: Deferred[None] = Deferred()

    def spread(self, seconds: float) -> Deferred[None]:
        """Send away, over so long from now, all who are still to be sent; said again, it counts from then on.

        Fires, the same Deferred each time, when nobody is left, or has not gone although it was told to.
        """
        self._seconds = seconds
        self._began = self._reactor.seconds()
        if not self._loop.running and not self._over.called:
            self._left = self._hub.connections()
            shuffle(self._left)
            self._total = len(self._left)
            self._loop.start(INTERVAL)
        self._total = len(self._left)
        return self._over

    def _tick(self) -> None:
        elapsed = self._reactor.seconds() - self._began
        share = min(1.0, elapsed / self._seconds) if self._seconds > 0 else 1.0
        while self._left and self._total - len(self._left) < share * self._total:
            self._left.pop().close(4200, "Server is shutting down")
        if not self._hub.count() or elapsed > self._seconds + PATIENCE:
            self._loop.stop()
            self._over.callback(None)
