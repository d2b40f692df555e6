"""Sending clients away without a stampede: each gets 4200, at a moment of its own within the time that there is."""

from __future__ import annotations

from collections.abc import Callable
from random import shuffle
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from broadcaster.hub import Hub
from broadcaster.interfaces import ISubscriber

INTERVAL = 0.05
PATIENCE = 6.0
"""Seconds that the last close handshakes, or the last requests, may take: a little more than a link waits for its
peer's answer."""
GOODBYE = "Server is shutting down"
LOOK_AROUND = 1.0
"""Seconds between two looks at the requests that are under way while there are clients."""


class Drain:
    """Closes the connections of ``hub`` in random order.

    ``part`` closes the links on which no request is under way, and says how many others there are; ``finish`` ends what
    became no connection in all that time.
    """

    def __init__(self, reactor: Any, hub: Hub, part: Callable[[], int], finish: Callable[[], None]) -> None:
        self._reactor = reactor
        self._hub = hub
        self._part = part
        self._finish = finish
        self._seconds = 0.0
        self._wait = False
        self._left: list[ISubscriber] = []
        self._total = 0
        self._began = 0.0
        self._looked = -LOOK_AROUND
        self._alone: float | None = None
        self._loop = LoopingCall(self._tick)
        self._loop.clock = reactor
        self._over: Deferred[None] = Deferred()

    def spread(self, seconds: float, wait: bool = False) -> Deferred[None]:
        """Send away, over so long from now, all who are still to be sent; said again, it counts from then on.

        Fires, the same Deferred each time, when nobody is left, or has not gone although it was told to, and all
        requests are answered; with ``wait`` not before the time is over, though nobody may be left.
        """
        self._seconds = seconds
        self._wait = wait
        self._began = self._reactor.seconds()
        if not self._loop.running and not self._over.called:
            self._left = self._hub.connections()
            shuffle(self._left)
            self._total = len(self._left)
            self._loop.start(INTERVAL)
        self._total = len(self._left)
        return self._over

    def stop(self) -> None:
        """Send nobody away any more."""
        if self._loop.running:
            self._loop.stop()

    def _tick(self) -> None:
        now = self._reactor.seconds()
        elapsed = now - self._began
        share = min(1.0, elapsed / self._seconds) if self._seconds > 0 else 1.0
        while self._left and self._total - len(self._left) < share * self._total:
            self._left.pop().close(4200, GOODBYE)
        if (self._wait and elapsed < self._seconds) or (self._hub.count() and elapsed <= self._seconds + PATIENCE):
            self._alone = None
            if now >= self._looked + LOOK_AROUND:
                self._looked = now
                self._part()
                if elapsed >= self._seconds:
                    # Who had a session but joined only now; all others have been told, and are told nothing twice.
                    for connection in self._hub.connections():
                        connection.close(4200, GOODBYE)
            return
        if self._alone is None:
            self._alone = now
            self._finish()
        if not self._part() or now > self._alone + PATIENCE:
            self._loop.stop()
            self._over.callback(None)
