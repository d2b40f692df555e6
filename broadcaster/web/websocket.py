"""WebSocket links: Autobahn reads the frames, our outbox sends them.

The opening handshake is the front door's, so a link starts open: Autobahn's state for that is class attributes, and
an instance holds only what differs. That is what lets five thousand connections a second in, and is the same entry
that a link taken over from another process needs. Texts that come whole never reach Autobahn: it takes 5 µs for each,
`whole_text` 1. Autobahn claims ``log`` and ``factory`` for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflate
from autobahn.websocket.protocol import TrafficStats
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.interfaces import ITransport
from broadcaster.protocols.deflate import WINDOW_BITS
from broadcaster.protocols.frames import PING, PONG, close_frame, frame, whole_text
from broadcaster.web.outbox import Outbox
from broadcaster.wheel import Wheel

CLOSE_SECONDS = 5.0
"""How long a peer may take to answer a close frame before the link is cut."""


class Client(Protocol):
    """What a link reports to: a connection, or whoever refuses one."""

    def receive(self, frame: bytes | str) -> None:
        """One text message."""

    def binary(self, data: bytes) -> None:
        """One binary message."""

    def heard(self, size: int) -> None:
        """So many bytes came in, whatever they are."""

    def gone(self) -> None:
        """The link carries nothing more, though it may not be down yet; called once."""


class Quiet:
    """Stands in for Autobahn's log: what a stranger sends is counted, not written down line by line."""

    def debug(self, *args: object, **kwargs: object) -> None:
        """Nothing."""

    info = warn = error = debug


class ServerSide:
    """All that Autobahn asks of ``factory`` once a link is open."""

    isServer = True


@implementer(ITransport)
class WebSocket(WebSocketServerProtocol):
    """One open link. `largest` bounds a message in bytes, fragments together; 0 is no bound."""

    CONFIG_ATTRS: tuple[str, ...] = ()

    # What Autobahn's own connectionMade would set on every instance, for a link that is open and uncompressed.
    log = Quiet()
    factory = ServerSide()
    trafficStats = TrafficStats()
    state = WebSocketServerProtocol.STATE_OPEN
    websocket_version = 13
    data = b""
    current_frame = None
    inside_message = False
    message_data: list[bytes]
    failByDrop = False
    failedByMe = closedByMe = droppedByMe = wasClean = False
    logOctets = logFrames = trackTimings = False
    trackedTimings = None
    echoCloseCodeReason = True
    requireMaskedClientFrames = True
    maskServerFrames = False
    applyMask = True
    utf8validateIncoming = False
    maxFramePayloadSize = maxMessagePayloadSize = 0
    closeHandshakeTimeout = 0
    closeHandshakeTimeoutCall = None
    autoPingPending = autoPingTimeoutCall = None
    _perMessageCompress = None

    _log = Logger()

    def __init__(self, outbox: Outbox, peer: str, largest: int, wheel: Wheel, clock: Callable[[], float]) -> None:
        self.peer = peer
        self.spoke: int | None = None
        self.client: Client | None = None
        self.write: Callable[..., None] = outbox.write
        self._outbox = outbox
        self._wheel = wheel
        self._clock = clock
        if largest:
            self.maxMessagePayloadSize = largest

    def inflate(self) -> None:
        """The client may deflate what it sends, each message for itself; Autobahn bounds what comes out of it."""
        self._perMessageCompress = PerMessageDeflate(True, True, True, WINDOW_BITS, 0, None)

    # ---- ITransport -------------------------------------------------------------------------------------------

    def ping(self) -> None:
        """See `ITransport`."""
        self.write(frame(PING, b""))

    def close(self, code: int | None = None, reason: str = "") -> None:
        """See `ITransport`: a close frame, with a code or none, then five seconds for its answer."""
        if self.state == self.STATE_OPEN:
            self.write(close_frame(code, reason))
            self.write = _nowhere
            self.state = self.STATE_CLOSING
            self.closedByMe = True
            self._wheel.set(self, self._clock() + CLOSE_SECONDS)

    def abort(self) -> None:
        """See `ITransport`."""
        self.transport.abortConnection()

    def due(self, now: float) -> float | None:
        """See `Timed`: the peer has not answered our close in time, or does not take what it asked for."""
        self.abort()
        return None

    # ---- Twisted ----------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """The link is open already."""

    def dataReceived(self, data: bytes) -> None:
        """Take texts out of it, and let Autobahn take whatever else it is."""
        if self.state == self.STATE_CLOSED:
            return
        if self.client is not None:
            self.client.heard(len(data))
        self.data = self.data + data if self.data else data
        try:
            if self.current_frame is None and not self.inside_message:
                self._take_texts()
            if self.data:
                self.consumeData()
        except Exception:
            self._log.failure("reading frames of {peer} failed", peer=self.peer, log_level=LogLevel.error)
            self.close(4200, "Internal error")
            self.dropConnection()
        if self.state == self.STATE_CLOSED:
            self.data = b""

    def _take_texts(self) -> None:
        data, at, most = self.data, 0, self.maxMessagePayloadSize or len(self.data)
        while self.state == self.STATE_OPEN and (found := whole_text(data, at, most)) is not None:
            text, at = found
            self._heard_text(text)
        self.data = data[at:]

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The link is down."""
        self.state = self.STATE_CLOSED
        self.write = _nowhere
        self._wheel.clear(self)
        self._outbox.stopProducing()
        self._let_go()

    def _let_go(self) -> None:
        client, self.client = self.client, None
        if client is not None:
            client.gone()

    # ---- Autobahn ---------------------------------------------------------------------------------------------

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """What Autobahn itself sends (close frames) goes the way of everything else, so that nothing overtakes."""
        self.write(data)

    def dropConnection(self, abort: bool = False) -> None:
        """The closing handshake is done: let what is queued out, then the link go."""
        if self.state != self.STATE_CLOSED:
            self.state = self.STATE_CLOSED
            self.write = _nowhere
            self._wheel.set(self, self._clock() + CLOSE_SECONDS)
            self._outbox.close()

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Autobahn answers the peer's close, and closes by itself on a peer's fault: five seconds then, too."""
        if self.state == self.STATE_OPEN and not isReply:
            self._wheel.set(self, self._clock() + CLOSE_SECONDS)
        super().sendCloseFrame(code, reasonUtf8, isReply)
        self.write = _nowhere
        self._let_go()

    def onFrameData(self, payload: bytes) -> bool | None:
        """Autobahn holds whatever it is sent: not here once the link has failed, nor fragments of nothing."""
        if payload and not self.failedByMe:
            super().onFrameData(payload)
        if self.failedByMe:
            # The rest of what failed is skipped, not inflated, so that the frames behind it can be told apart.
            self._isMessageCompressed = False
        return None

    def onMessageEnd(self) -> None:
        """A whole message; its UTF-8 is judged once, by the decoder that is needed anyhow."""
        pieces, self.message_data = self.message_data, []
        if self._perMessageCompress is not None:
            # No context is taken over, and an idle inflater would hold its window for as long as the link lives.
            self._perMessageCompress._decompressor = None
        if self.failedByMe or self.state != self.STATE_OPEN:
            return
        message = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not self.message_is_binary:
            self._heard_text(message)
        elif self.client is not None:
            self.client.binary(message)

    def _heard_text(self, message: bytes) -> None:
        try:
            text = message.decode()
        except UnicodeDecodeError as error:
            self._invalid_payload(f"invalid UTF-8: {error.reason}")
            return
        if self.client is not None:
            self.client.receive(text)

    def _onPing(self, payload: Any) -> None:
        if self.state == self.STATE_OPEN:
            self.write(frame(PONG, payload))

    def _onPong(self, payload: Any) -> None:
        """Heard already."""


def _nowhere(data: bytes, expendable: bool = False) -> None:
    """Where bytes go after the close frame, which nothing may follow, and when there is no link any more."""
