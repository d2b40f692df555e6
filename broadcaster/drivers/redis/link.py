"""A connection to Redis that comes back: it never stops trying, whatever fails and wherever."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.drivers.redis.dialer import Dialer
from broadcaster.drivers.redis.protocol import RedisConnection
from broadcaster.errors import DriverError

FIRST_DELAY = 0.1
LONGEST_DELAY = 5.0
"""Seconds between two attempts: doubled each time, and up to a half of it less, so that processes get out of step."""

STEADY = 5.0
"""Seconds that a connection must have lasted for the next attempt to count as the first."""

WATCH = 1.0
"""Seconds between two looks at whether Redis still answers."""

DOUBT = 5.0
"""Seconds between two questions to Sentinels whether it is still the master: one that is cut off still answers us."""

T = TypeVar("T")


class Link:
    """One connection at a time. ``up`` is told of each, ``down`` why it is gone or cannot be had, once for each reason.

    ``ping`` has Redis answer something. ``connection`` is the one that stands, or None; ``fault`` says why there is
    none.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        name: str,
        dialer: Dialer,
        reply_seconds: float,
        up: Callable[[RedisConnection], None],
        down: Callable[[str], None],
        ping: Callable[[RedisConnection], None],
    ) -> None:
        self.connection: RedisConnection | None = None
        self.fault = "it has not been reached yet"
        self.connections = 0
        self._reactor = reactor
        self._name = name
        self._dialer = dialer
        self._reply_seconds = reply_seconds
        self._up = up
        self._down = down
        self._ping = ping
        self._stopping = False
        self._ended: Deferred[None] = succeed(None)
        self._step: Deferred[Any] | None = None
        self._told = ""

    def start(self) -> None:
        """Begin to connect, and go on until `stop`."""
        self._ended = Deferred.fromCoroutine(self._run()).addErrback(self._end)

    def stop(self) -> Deferred[None]:
        """Let go of the connection, or of the attempt; fires when it is gone."""
        self._stopping = True
        if self.connection is not None:
            self.connection.abort("this server stops")
        elif self._step is not None:
            self._step.cancel()
        return self._ended

    async def _run(self) -> None:
        attempts = 0
        while not self._stopping:
            try:
                connection = await self._cancellable(Deferred.fromCoroutine(self._dialer.dial()))
            except CancelledError:
                raise
            except Exception as error:
                # Also what nobody foresaw: whoever stopped trying would be deaf for ever.
                self._lost(str(DriverError.of(error)))
            else:
                since = self._reactor.seconds()
                await self._keep(connection)
                if self._reactor.seconds() - since >= STEADY:
                    attempts = 0
            if not self._stopping:
                delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(attempts, 10))
                attempts += 1
                await self._cancellable(deferLater(self._reactor, uniform(delay / 2, delay)))

    async def _keep(self, connection: RedisConnection) -> None:
        self.connection, self.fault, self._told = connection, "", ""
        self.connections += 1
        watching, doubting = LoopingCall(self._watch, connection), LoopingCall(self._doubt, connection)
        for call, seconds in ((watching, WATCH), (doubting, DOUBT)):
            call.clock = self._reactor
            call.start(seconds, now=False)
        self._up(connection)
        reason = await connection.lost
        for call in (watching, doubting):
            call.stop()
        self.connection = None
        self._lost(reason)

    def _watch(self, connection: RedisConnection) -> None:
        if connection.asked is None:
            self._ping(connection)
        elif self._reactor.seconds() - connection.asked > self._reply_seconds:
            connection.abort(f"Redis did not answer within {self._reply_seconds:g} s")

    async def _doubt(self, connection: RedisConnection) -> None:
        moved = await self._dialer.moved()
        if moved is not None:
            connection.abort(moved)

    def _lost(self, reason: str) -> None:
        self.fault = reason
        if self._stopping:
            return
        if reason != self._told:
            self._told = reason
            self._down(reason)

    def _cancellable(self, step: Deferred[T]) -> Deferred[T]:
        self._step = step
        return step

    def _end(self, failure: Failure) -> None:
        if not (self._stopping and failure.check(CancelledError)):
            self._log.failure("the link to Redis for {name} has ended", failure, name=self._name)
