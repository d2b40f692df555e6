"""One Engine.IO session's links: the poll that is held, the WebSocket that it has or that wants to become it.

What connections write are finished WebSocket frames, since nearly all links are WebSockets; a poll's answer is made by
taking them apart again, once for all the pollers that are told the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from math import inf
from types import ModuleType

from msgspec.json import encode as _json
from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.interfaces import ITransport
from broadcaster.protocols.engineio import v3, v4
from broadcaster.protocols.engineio.packet import Packet, ParseError, Type
from broadcaster.protocols.engineio.session import EngineSession, State
from broadcaster.protocols.frames import frame, text_frame, unframed
from broadcaster.settings import SocketIO
from broadcaster.web.echo import EchoClient
from broadcaster.web.http import Held, Response
from broadcaster.web.outbox import Turns
from broadcaster.web.websocket import WebSocket
from broadcaster.wheel import Wheel

CODECS: dict[int, ModuleType] = {3: v3, 4: v4}

UPGRADE_SECONDS = 10.0
"""How long a WebSocket may take from its opening to ``5``."""


@lru_cache(maxsize=256)
def _packets(frames: bytes, revision: int) -> tuple[Packet, ...]:
    """The packets in finished frames; pollers of a channel are all told the same bytes."""
    return tuple(CODECS[revision].decode_frame(message) for message in unframed(frames))


@lru_cache(maxsize=256)
def _in_text(frames: bytes, revision: int) -> bytes:
    """The same frames without binary ones: those become text in base64."""
    if all(isinstance(message, str) for message in unframed(frames)):
        return frames
    return b"".join(frame(*CODECS[revision].encode_frame(packet, False)) for packet in _packets(frames, revision))


@implementer(ITransport)
class EngineLink:
    """A session, and what it acts through; see `Wire`, `Client` of ``websocket`` and `ITransport`."""

    def __init__(
        self,
        sid: str,
        revision: int,
        b64: bool,
        peer: str,
        settings: SocketIO,
        turns: Turns,
        wheel: Wheel,
        clock: Callable[[], float],
        forget: Callable[[str], None],
    ) -> None:
        self.sid = sid
        self.peer = peer
        self.spoke: int | None = None
        self.b64 = b64
        self.session: EngineSession
        self.client: EchoClient
        self._revision = revision
        self._codec = CODECS[revision]
        self._settings = settings
        self._turns = turns
        self._wheel = wheel
        self._clock = clock
        self._forget = forget
        self._socket: WebSocket | None = None
        self._probe: Probe | None = None
        self._poll: Deferred[Response] | None = None
        self._wrap: Callable[[bytes, bool], Response] = lambda body, binary: Response(200, body)
        self._connect_by = clock() + settings.connect_seconds if revision == 4 else inf

    def open(self, session: EngineSession, client: EchoClient, socket: WebSocket | None) -> None:
        """Begin: say so, and let a client of revision 3 in."""
        self.session = session
        self.client = client
        self._socket = socket
        upgrades = []
        if socket is None and self._settings.upgrades and "websocket" in self._settings.transports:
            upgrades = ["websocket"]
        opening: dict[str, object] = {
            "sid": self.sid,
            "upgrades": upgrades,
            "pingInterval": round(self._settings.ping_interval * 1000),
            "pingTimeout": round(self._settings.ping_timeout * 1000),
        }
        if self._revision == 4:
            opening["maxPayload"] = self._settings.max_bytes
        session.send(Packet(Type.OPEN, _json(opening).decode()))
        if self._revision == 3:
            client.join(self)
        self._wheel.set(self, self._next(session.deadline))

    # ---- ITransport -------------------------------------------------------------------------------------------

    def write(self, data: bytes, expendable: bool = False) -> None:
        """See `ITransport`."""
        if self.session.state is State.WEBSOCKET:
            assert self._socket is not None
            self._socket.write(data, expendable)
        elif data:
            for packet in _packets(data, self._revision):
                self.session.send(packet)
            self._turns.written(self)
            limit = self._turns.slow_client.buffer_bytes
            if limit and self.session.waiting > limit:
                self._turns.counters.slow_clients += 1
                self.client.overflowed()

    def flush(self) -> None:
        """See `Flushable`."""
        self.session.flush()

    def ping(self) -> None:
        """The session has a heartbeat of its own."""

    def close(self, code: int, reason: str) -> None:
        """See `ITransport`: 4000–4099 mean "do not come back", which only a DISCONNECT says in this dialect."""
        if 4000 <= code < 4100:
            self.write(text_frame(b"41"))
        self.session.close("forced close", self._clock())

    def abort(self) -> None:
        """See `ITransport`."""
        if self._socket is not None:
            self._socket.abort()

    # ---- requests ---------------------------------------------------------------------------------------------

    def hold(self, wrap: Callable[[bytes, bool], Response]) -> Deferred[Response]:
        """Answer a poll, now or later; ``wrap`` makes the response of a payload. Raises `Refused`."""
        poll = Held(lambda _: self._cut())
        if not self.session.held:
            self._poll, self._wrap = poll, wrap
        self.session.poll(self._clock())
        return poll

    def post(self, packets: Iterable[Packet]) -> None:
        """Take what a client posted. Raises `Refused`."""
        self.session.post(packets, self._clock())
        self._turns.written(self)

    def _cut(self) -> None:
        self._poll = None
        self.session.cut(self._clock())

    # ---- Wire -------------------------------------------------------------------------------------------------

    def answer(self, packets: list[Packet]) -> None:
        """See `Wire`."""
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.callback(self._wrap(*_payload(tuple(packets), self._revision, not self.b64)))

    def send(self, packets: Iterable[Packet]) -> None:
        """See `Wire`."""
        assert self._socket is not None
        for packet in packets:
            self._socket.write(frame(*self._codec.encode_frame(packet, not self.b64)))

    def probed(self) -> None:
        """See `Wire`."""
        assert self._probe is not None
        self._probe.socket.write(text_frame(b"3probe"))

    def upgraded(self) -> None:
        """See `Wire`."""
        probe, self._probe = self._probe, None
        assert probe is not None
        self._socket = probe.socket
        probe.socket.client = self

    def hang_up(self) -> None:
        """See `Wire`."""
        for socket in (self._socket, self._probe.socket if self._probe is not None else None):
            if socket is not None:
                socket.close()
        self._probe = None
        if self.session.state is State.CLOSED:
            self._wheel.clear(self)
            self._forget(self.sid)
        else:
            self._wheel.set(self, self.session.deadline)

    def message(self, data: str | bytes, now: float) -> None:
        """See `Wire`."""
        self.client.message(data, self)

    def ended(self, reason: str) -> None:
        """See `Wire`."""
        self.client.gone(self._clock(), for_good=False)

    # ---- the WebSocket that is the transport --------------------------------------------------------------------

    def receive(self, text: bytes | str) -> None:
        """See `Client`."""
        try:
            packet = self._codec.decode_frame(text)
        except ParseError:
            self.session.fail("parse error", self._clock())
        else:
            self.session.frame(packet, self._clock())

    binary = receive

    def heard(self, size: int) -> None:
        """See `Client`."""
        self.client.heard(size)

    def gone(self) -> None:
        """See `Client`."""
        self._socket = None
        self.session.lost(self._clock())

    # ---- upgrading and time -------------------------------------------------------------------------------------

    @property
    def upgradable(self) -> bool:
        """Whether a WebSocket may ask to become the transport; one at a time may."""
        return self._probe is None and self.session.state in (State.POLLING, State.UPGRADING)

    def probe(self, socket: WebSocket) -> Probe:
        """``socket`` asks to become the transport."""
        self._probe = Probe(self, socket, self._clock() + UPGRADE_SECONDS)
        self._wheel.set(self, self._next(self.session.deadline))
        return self._probe

    def probe_gone(self, probe: Probe) -> None:
        """It is gone, or did not behave."""
        if probe is self._probe:
            self._probe = None
            self.session.abandon()

    def due(self, now: float) -> float | None:
        """See `Timed`."""
        if self._probe is not None and now >= self._probe.deadline:
            self._probe.socket.close()
            self.probe_gone(self._probe)
        if now >= self._connect_by:
            self._connect_by = inf
            if not self.client.joined:
                self.session.close("forced close", now)
        following = self.session.due(now)
        self.flush()
        if following is None or self.session.state is State.CLOSED:
            self._forget(self.sid)
            return None
        return self._next(following)

    def _next(self, deadline: float) -> float:
        return min(deadline, self._connect_by, self._probe.deadline if self._probe is not None else inf)


class TextLink(EngineLink):
    """The link of a client that takes no binary messages (``b64``, JSONP)."""

    def write(self, data: bytes, expendable: bool = False) -> None:
        """See `ITransport`."""
        super().write(_in_text(data, self._revision) if self.session.state is State.WEBSOCKET else data, expendable)


class Probe:
    """The client of a WebSocket that wants to become a session's transport."""

    def __init__(self, link: EngineLink, socket: WebSocket, deadline: float) -> None:
        self.socket = socket
        self.deadline = deadline
        self._link = link

    def receive(self, text: bytes | str) -> None:
        """See `Client`."""
        link = self._link
        try:
            welcome = link.session.probe(CODECS[link.session.revision].decode_frame(text))
        except ParseError:
            welcome = False
        if not welcome:
            self.socket.close()
            link.probe_gone(self)

    binary = receive

    def heard(self, size: int) -> None:
        """See `Client`."""
        self._link.heard(size)

    def gone(self) -> None:
        """See `Client`."""
        self._link.probe_gone(self)


@lru_cache(maxsize=256)
def _payload(packets: tuple[Packet, ...], revision: int, binary: bool) -> tuple[bytes, bool]:
    body: tuple[bytes, bool] = CODECS[revision].encode_payload(packets, binary)
    return body
