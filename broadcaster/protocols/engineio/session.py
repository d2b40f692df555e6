"""What an Engine.IO ``sid`` names: one client over polling, WebSocket, or the first and then the second.

Pure: what happens is told to it together with the time, and what must be done it tells its `Wire`. Revision 3 (the
client pings) and 4 (the server does) differ in their heartbeat; everything else of their difference is encoding, which
the wire knows. Rules: Engine.IO's protocol documents and what engine.io 3.6 and 6.6 answered when they were asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import Protocol

from broadcaster.errors import BroadcasterError
from broadcaster.protocols.engineio.packet import Packet, ParseError, Type
from broadcaster.settings import SocketIO

MOST_PACKETS = 16
"""Packets in one poll's answer: python-engineio refuses more."""

LAST_POLL = 30.0
"""Seconds that a closed session is kept for the poll that is told so."""


class Refused(BroadcasterError):
    """A request is answered with Engine.IO's error ``code``, or with an empty 400 if that is None."""

    def __init__(self, code: int | None) -> None:
        self.code = code
        super().__init__(f"Engine.IO error {code}")


class Wire(Protocol):
    """What a session acts through; each call is about this session's client."""

    def answer(self, packets: list[Packet]) -> None:
        """Answer the poll that is held."""

    def send(self, packets: Iterable[Packet]) -> None:
        """Write to the WebSocket that is the session's transport."""

    def probed(self) -> None:
        """Write ``3probe`` to the WebSocket that asks to become it."""

    def upgraded(self) -> None:
        """The WebSocket that probed is the transport now."""

    def hang_up(self) -> None:
        """Close the session's WebSocket, if it has one."""

    def message(self, data: str | bytes, now: float) -> None:
        """The client sent a message."""

    def ended(self, reason: str) -> None:
        """It is over; called once, before the goodbye is sent."""


class State(Enum):
    """Where a session stands. From POLLING it may go on to UPGRADING and WEBSOCKET; CLOSING waits for a last poll."""

    POLLING = auto()
    UPGRADING = auto()
    WEBSOCKET = auto()
    CLOSING = auto()
    CLOSED = auto()


class EngineSession:
    """One session."""

    def __init__(self, revision: int, websocket: bool, settings: SocketIO, wire: Wire, now: float) -> None:
        self.revision = revision
        self.state = State.WEBSOCKET if websocket else State.POLLING
        self.held = False
        self._settings = settings
        self._wire = wire
        self._queue: list[Packet] = []
        self.waiting = 0
        """Characters and bytes that wait for a poll."""
        self._pinged = False
        self._until = 0.0
        self._heard(now)

    # ---- time -------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When to call `due`."""
        return self._until

    def due(self, now: float) -> float | None:
        """Ping, or give up; gives the next deadline, None once it is over."""
        if now < self._until:
            return self._next(now)
        if self.state in (State.CLOSING, State.CLOSED):
            self.state = State.CLOSED
            return None
        if self.revision == 3 or self._pinged:
            self.fail("ping timeout", now)
            return self._until
        self._pinged = True
        self._until = now + self._settings.ping_timeout
        self.send(Packet(Type.PING, ""))
        return self._next(now)

    def _next(self, now: float) -> float:
        """The deadline; sooner where an answer to the ping may come, from which on the next ping is due before that."""
        return min(self._until, now + self._settings.ping_interval) if self._pinged else self._until

    def _heard(self, now: float) -> None:
        self._pinged = False
        patience = self._settings.ping_timeout if self.revision == 3 else 0
        self._until = now + self._settings.ping_interval + patience

    # ---- sending ----------------------------------------------------------------------------------------------

    def send(self, packet: Packet) -> None:
        """Send it when and where the client can take it."""
        if self.state is State.WEBSOCKET:
            self._wire.send((packet,))
        elif self._polled:
            self._queue.append(packet)
            self.waiting += len(packet.data)

    def flush(self) -> None:
        """Answer the held poll with what waits; called at the end of a turn, so that it is answered once."""
        if self.held and self._queue:
            self._answer(self._take())

    def _take(self) -> list[Packet]:
        taken, self._queue = self._queue[:MOST_PACKETS], self._queue[MOST_PACKETS:]
        self.waiting -= sum([len(packet.data) for packet in taken])
        return taken

    def _answer(self, packets: list[Packet]) -> None:
        self.held = False
        self._wire.answer(packets)

    # ---- polling ----------------------------------------------------------------------------------------------

    def poll(self, now: float) -> None:
        """A GET came: it is answered now or held. Raises `Refused`, and then it is answered with that."""
        if self.state is State.CLOSING:
            self.state = State.CLOSED
            self.held = True
            self._answer([*self._take(), Packet(Type.NOOP, ""), Packet(Type.CLOSE, "")])
            return
        if not self._polled:
            raise Refused(3)
        if self.held:
            self.fail("transport error", now)
            raise Refused(None)
        self.held = True
        if self._queue:
            self._answer(self._take())
        elif self.state is State.UPGRADING:
            self._answer([Packet(Type.NOOP, "")])

    def cut(self, now: float) -> None:
        """The client let go of a request before it was answered."""
        self.held = False
        self.fail("transport error", now)

    def post(self, packets: Iterable[Packet], now: float) -> None:
        """A POST came with these packets; those before a fault count. Raises `Refused` after the session is closed."""
        if not self._polled:
            raise Refused(3)
        try:
            for packet in packets:
                self._receive(packet, now)
                if self.state in (State.CLOSING, State.CLOSED):
                    return
        except ParseError:
            self.fail("parse error", now)
            raise Refused(3) from None

    # ---- WebSocket --------------------------------------------------------------------------------------------

    def frame(self, packet: Packet, now: float) -> None:
        """A message came on the WebSocket that is the transport; faults close the session."""
        try:
            self._receive(packet, now)
        except ParseError:
            self.fail("parse error", now)

    def probe(self, packet: Packet) -> bool:
        """A message came on a WebSocket that wants to become the transport; whether that socket may stay."""
        if not self._polled:
            return False
        if packet == Packet(Type.PING, "probe"):
            self.state = State.UPGRADING
            self._wire.probed()
            if self.held:
                self._answer(self._take() or [Packet(Type.NOOP, "")])
            return True
        if packet.type is not Type.UPGRADE:
            return False
        if self.held:
            self._answer([Packet(Type.NOOP, "")])
        self.state = State.WEBSOCKET
        self._wire.upgraded()
        queue, self._queue, self.waiting = self._queue, [], 0
        if queue:
            self._wire.send(queue)
        return True

    def abandon(self) -> None:
        """The socket that probed is gone, or took too long: polling goes on."""
        if self.state is State.UPGRADING:
            self.state = State.POLLING

    def lost(self, now: float) -> None:
        """The WebSocket that was the transport is gone."""
        if self.state is State.WEBSOCKET:
            self.fail("transport close", now)

    # ---- both -------------------------------------------------------------------------------------------------

    def _receive(self, packet: Packet, now: float) -> None:
        if self.revision == 3:
            self._heard(now)
        if packet.type is Type.MESSAGE:
            self._wire.message(packet.data, now)
        elif packet.type is Type.PING:
            if self.revision == 4:
                raise ParseError("clients of revision 4 do not ping")
            self.send(Packet(Type.PONG, ""))
        elif packet.type is Type.PONG and self.revision == 4:
            self._heard(now)
        elif packet.type is Type.CLOSE:
            if self.held:
                self._answer([Packet(Type.NOOP, "")])
            self._end("transport close", State.CLOSED, now)

    def close(self, reason: str, now: float) -> None:
        """The server ends it: what waits is sent first, then the close; without a poll, the next one is told."""
        self._close(reason, State.CLOSING if self._polled and not self.held else State.CLOSED, now)

    def fail(self, reason: str, now: float) -> None:
        """The client broke the rules or is not there any more: it is over, which only a held poll is told."""
        self._close(reason, State.CLOSED, now)

    @property
    def _polled(self) -> bool:
        return self.state in (State.POLLING, State.UPGRADING)

    def _close(self, reason: str, state: State, now: float) -> None:
        if self.state not in (State.CLOSING, State.CLOSED):
            self._end(reason, state, now)
            if self.held:
                self._answer([*self._take(), Packet(Type.CLOSE, "")])

    def _end(self, reason: str, state: State, now: float) -> None:
        self._wire.ended(reason)
        # A connection that is told so may have had last words; they go out before the close.
        self.state = state
        self._until = now + LAST_POLL
        self._wire.hang_up()
