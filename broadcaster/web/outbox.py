"""The one hot loop: what is written in a turn of the reactor leaves at its end, joined, with one system call each.

`Turns` is the process's: it flushes the outboxes that were written to and takes broadcasts a bounded way on.
`Outbox` is one connection's: its bytes, and what happens when the client does not read them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from broadcaster.counters import Counters
from broadcaster.settings import SlowClient
from broadcaster.web.transports import is_clear, is_sealing, is_secure, leave, plain_socket, write_sealed

SLICE = 0.002
"""Seconds that broadcasting may take of a turn before the reactor looks after everybody else."""

LARGEST_WRITE = 65_536
"""Bytes that a backlog hands to the socket at once."""


class Reactor(Protocol):
    """The little of the reactor that `Turns` needs."""

    def callLater(self, delay: float, call: Callable[[], object]) -> Any:
        """``IReactorTime``."""


class Flushable(Protocol):
    """What is written to in a turn, and flushed at its end."""

    def flush(self) -> None:
        """Let go of what was written this turn."""


class Turns:
    """The end of each turn of the reactor in which something was written."""

    _log = Logger()

    def __init__(self, reactor: Reactor, slow_client: SlowClient, counters: Counters) -> None:
        self.slow_client = slow_client
        self.counters = counters
        self._reactor = reactor
        self._scheduled = False
        self._asked = False
        self._written: list[Flushable] = []
        self._waiting: list[Deferred[None]] = []
        self._step: Callable[[], bool] = lambda: False
        self._between: Callable[[], None] | None = None

    def broadcast_with(self, step: Callable[[], bool], between: Callable[[], None] | None = None) -> None:
        """``step`` serves some subscribers and says whether any are left; it is called after `wake`.

        ``between`` is called between two steps, for what cannot wait until the reactor looks after sockets again.
        """
        self._step, self._between = step, between

    def wake(self) -> None:
        """Something is to be done at the end of this turn."""
        self._asked = True
        if not self._scheduled:
            self._scheduled = True
            self._reactor.callLater(0, self._end)

    def written(self, outbox: Flushable) -> None:
        """``outbox`` has bytes to flush."""
        self._written.append(outbox)
        if not self._scheduled:
            self.wake()

    def next(self) -> Deferred[None]:
        """Fires when the coming end of a turn has done its work."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self.wake()
        return waiting

    def _end(self) -> None:
        # It counts as scheduled while it works: what that work writes is flushed right here, and needs no other turn.
        self._asked = False
        self._flush()
        stop = perf_counter() + SLICE
        more = self._more()
        while more and perf_counter() < stop:
            self._flush()
            more = self._more()
        self._flush()
        self._scheduled = False
        if more or self._asked or self._written:
            self.wake()
        waiting, self._waiting = self._waiting, []
        for deferred in waiting:
            deferred.callback(None)

    def _more(self) -> bool:
        try:
            if self._between is not None:
                self._between()
            return self._step()
        except Exception:
            # One event that cannot be told must not stop all that come after it.
            self._log.failure("a broadcast failed")
            return True

    def _flush(self) -> None:
        written, self._written = self._written, []
        for outbox in written:
            try:
                outbox.flush()
            except Exception:
                # As above: one link's fault is no other's.
                self._log.failure("a link could not be flushed")


class Departure:
    """The end of a plain link whose last bytes are out; at the end of a turn, when its transport is within no call."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def flush(self) -> None:
        """See `Flushable`."""
        leave(self._transport)


@implementer(IPushProducer)
class Outbox:
    """The way out to one socket.

    Bytes go from the queue to the socket at the end of the turn. What the socket does not take waits in a backlog,
    as the very objects that other connections were sent too, until the transport asks for more; beyond
    ``buffer_bytes`` the slow-client policy decides. ``overflowed`` is called when it gives the client up; without one
    the link is cut, since a stream with a gap is worse than none.
    """

    __slots__ = (
        "_backlog",
        "_backlog_bytes",
        "_closing",
        "_paused",
        "_queue",
        "_sealing",
        "_socket",
        "_transport",
        "_turns",
        "overflowed",
    )

    def __init__(self, transport: Any, turns: Turns) -> None:
        self.overflowed: Callable[[], None] | None = None
        self._transport = transport
        self._socket = plain_socket(transport)
        self._sealing = is_sealing(transport)
        self._turns = turns
        self._queue: list[bytes] = []
        self._backlog: deque[tuple[bytes, bool]] | None = None
        self._backlog_bytes = 0
        self._paused = False
        self._closing = False
        if self._socket is None:
            transport.registerProducer(self, True)

    def write(self, data: bytes, expendable: bool = False) -> None:
        """See `ITransport`."""
        if self._backlog is not None:
            self._put_by(data, expendable)
            return
        if not self._queue:
            self._turns.written(self)
        self._queue.append(data)

    def flush(self) -> None:
        """Let go of what was written this turn."""
        queue = self._queue
        if not queue:
            return
        data = queue[0] if len(queue) == 1 else b"".join(queue)
        queue.clear()
        self._turns.counters.bytes_sent += len(data)
        if self._sealing:
            write_sealed(self._transport, data)
        elif self._socket is None:
            self._transport.write(data)
        elif is_clear(self._transport):
            self._send(data)
        else:
            self._block(data)

    def close(self) -> None:
        """Let go of the link once everything written is out."""
        if self._closing:
            return
        self._closing = True
        self.flush()
        if self._backlog is None:
            self._let_go()

    @property
    def idle(self) -> bool:
        """Whether everything written is out, as far as we have to do with it."""
        return not self._queue and self._backlog is None

    def half_close(self) -> None:
        """Say nothing more once everything written is out, but take what comes in until the link is cut."""
        if is_secure(self._transport):
            # TLS has no half: it says goodbye and waits for the peer's.
            self.close()
        else:
            self.flush()
            self._transport.loseWriteConnection()

    def _let_go(self) -> None:
        if self._socket is None:
            # TLS does not end while a producer may have more.
            self._transport.unregisterProducer()
            self._transport.loseConnection()
        else:
            self._turns.written(Departure(self._transport))

    # ---- the slow client --------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        assert self._socket is not None
        try:
            sent = self._socket.send(data)
        except OSError:
            # Full, or broken: Twisted's own writing tells which, and ends the connection if it is broken.
            sent = 0
        if sent < len(data):
            self._block(data[sent:] if sent else data)

    def _block(self, data: bytes) -> None:
        self._transport.write(data)
        if self._backlog is None:
            self._backlog = deque()
            self._transport.registerProducer(self, False)

    def _put_by(self, data: bytes, expendable: bool) -> None:
        assert self._backlog is not None
        self._backlog.append((data, expendable))
        self._backlog_bytes += len(data)
        limit = self._turns.slow_client.buffer_bytes
        if limit and self._backlog_bytes > limit:
            self._overflow(limit)

    def _overflow(self, limit: int) -> None:
        assert self._backlog is not None
        if self._turns.slow_client.policy == "drop_oldest":
            kept = []
            while self._backlog and self._backlog_bytes > limit:
                data, expendable = self._backlog.popleft()
                if expendable:
                    self._backlog_bytes -= len(data)
                    self._turns.counters.writes_dropped += 1
                else:
                    kept.append((data, expendable))
            self._backlog.extendleft(reversed(kept))
            if self._backlog_bytes <= limit:
                return
        self._backlog.clear()
        self._backlog_bytes = 0
        self._turns.counters.slow_clients += 1
        (self.overflowed or self._transport.abortConnection)()

    def pauseProducing(self) -> None:
        """The transport has enough: what follows is put by."""
        self._paused = True
        if self._backlog is None:
            self._backlog = deque()

    def resumeProducing(self) -> None:
        """The transport has room: send what was put by, until it has not."""
        plain = self._socket is not None
        if self._backlog is None or (plain and not is_clear(self._transport, closing=True)):
            return
        self._paused = False
        self.flush()
        while self._backlog and not self._paused:
            # A plain transport asks again when this is out; the others say when to stop.
            self._paused = plain
            self._transport.write(self._chunk())
        if not self._backlog and not self._paused:
            self._backlog = None
            if plain:
                self._transport.unregisterProducer()
            if self._closing:
                self._let_go()

    def _chunk(self) -> bytes:
        assert self._backlog is not None
        chunk: list[bytes] = []
        size = 0
        while self._backlog and size < LARGEST_WRITE:
            data, _ = self._backlog.popleft()
            chunk.append(data)
            size += len(data)
        self._backlog_bytes -= size
        self._turns.counters.bytes_sent += size
        return b"".join(chunk)

    def stopProducing(self) -> None:
        """The link is down."""
        self._closing = True
        self._queue.clear()
        self._backlog = None
        self.overflowed = None
