"""The connection to Pusher's WebSocket: kept up as pusher-js keeps it, for whatever is wanted at the time."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from time import monotonic
from typing import Any, Protocol

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from broadcaster.drivers.pusher.listening import Heard, Listening
from broadcaster.drivers.pusher.options import Options

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before another connection is tried; doubled for each that fails before it is greeted."""

CONNECT_SECONDS = 10.0
"""How long a connection may take until Pusher's greeting."""

NEVER, AT_ONCE = range(4000, 4100), range(4200, 4300)
"""Close codes after which pusher-js comes back never, and at once."""

FRAME_BYTES = 1_048_576
"""The largest message that is taken in."""


class Listener(Protocol):
    """What a socket tells what happens to it."""

    def opened(self, socket: Socket) -> None:
        """It may be written to."""

    def received(self, text: bytes) -> None:
        """A text message came."""

    def closed(self, code: int | None, reason: str) -> None:
        """It is gone; ``code`` if a close frame said so."""


class Socket(WebSocketClientProtocol):
    """One WebSocket; Autobahn does all of it."""

    def onOpen(self) -> None:
        """See `WebSocketClientProtocol`."""
        self.factory.listener.opened(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """See `WebSocketClientProtocol`."""
        if not isBinary:
            self.factory.listener.received(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        """See `WebSocketClientProtocol`."""
        self.factory.listener.closed(self.remoteCloseCode, self.remoteCloseReason or reason or "")


class Bridge:
    """Listens to the channels that are wanted; ``heard`` is called with each event of theirs."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: Options,
        heard: Callable[[Heard], None],
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.reconnects = 0
        self._reactor = reactor
        self._options = options
        self._clock = clock
        self._listening = Listening(options.key, options.secret, self._send, heard, self._complain)
        self._socket: Socket | None = None
        self._connecting: Deferred[Any] | None = None
        self._since = 0.0
        self._lost = clock()
        self._waiting: Any = None
        self._pause = FIRST_PAUSE
        self._stopped = True
        self._complained: set[str] = set()
        self._watch = LoopingCall(self._look)
        self._watch.clock = reactor

    @property
    def up(self) -> bool:
        """Whether it hears what is wanted, or will as soon as Pusher has answered."""
        return self._listening.up

    def down(self) -> float:
        """For how many seconds it has heard nothing; 0 while it is `up`."""
        return 0.0 if self.up else self._clock() - self._lost

    def start(self) -> None:
        """Connect, and stay connected."""
        self._stopped = False
        self._watch.start(1.0, now=False)
        self._connect()

    def stop(self) -> Deferred[None]:
        """Let go of the connection."""
        self._stopped = True
        if self._watch.running:
            self._watch.stop()
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        if self._connecting is not None:
            self._connecting.cancel()
        if self._socket is not None:
            self._socket.transport.abortConnection()
        return succeed(None)

    def want(self, channel: str) -> None:
        """Hear it from now on."""
        self._listening.want(channel)

    def unwant(self, channel: str) -> None:
        """Hear it no more."""
        self._listening.unwant(channel)

    # ---- the connection -----------------------------------------------------------------------------------------

    def _connect(self) -> None:
        host, port, secure = self._options.socket()
        scheme, default = ("wss", 443) if secure else ("ws", 80)
        at = host if port == default else f"{host}:{port}"
        factory = WebSocketClientFactory(
            f"{scheme}://{at}/app/{self._options.key}?protocol=7&client=broadcaster&version=1", reactor=self._reactor
        )
        factory.protocol = Socket
        factory.listener = self
        factory.noisy = False
        factory.setProtocolOptions(
            openHandshakeTimeout=CONNECT_SECONDS, maxMessagePayloadSize=FRAME_BYTES, maxFramePayloadSize=FRAME_BYTES
        )
        endpoint: Any = HostnameEndpoint(self._reactor, host, port, timeout=CONNECT_SECONDS)
        if secure:
            endpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
        self._since = self._clock()
        self._connecting = endpoint.connect(factory)
        self._connecting.addCallbacks(lambda _: None, lambda failure: self.closed(None, failure.getErrorMessage()))

    def opened(self, socket: Socket) -> None:
        """See `Listener`."""
        self._socket = socket

    def received(self, text: bytes) -> None:
        """See `Listener`."""
        before = self._listening.up
        self._listening.received(text, self._clock())
        if self._listening.up and not before:
            self._pause = FIRST_PAUSE
            self._complained.clear()
            self._log.info("driver pusher: listens at {host}", host=self._options.socket()[0])

    def closed(self, code: int | None, reason: str) -> None:
        """See `Listener`."""
        was_up = self._listening.up
        if was_up:
            self._lost = self._clock()
        self._socket = self._connecting = None
        self._listening.lost()
        if self._stopped or (self._waiting is not None and self._waiting.active()):
            return
        why = " ".join(f"{code or ''} {reason}".split()) or "the connection was lost"
        if code in NEVER:
            self._log.error("driver pusher: listens no more, since Pusher closed with {why}", why=why)
            return
        self._complain(f"not connected ({why}); it is tried again")
        self.reconnects += 1
        at_once = code in AT_ONCE and was_up
        delay = 0.0 if at_once else uniform(0.5, 1.5) * self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._waiting = self._reactor.callLater(delay, self._connect)

    def _look(self) -> None:
        now = self._clock()
        late = self._socket is not None and not self._listening.up and now - self._since > CONNECT_SECONDS
        if self._socket is not None and (late or self._listening.silent(now)):
            self._socket.transport.abortConnection()

    def _send(self, text: str) -> None:
        if self._socket is not None:
            self._socket.sendMessage(text.encode())

    def _complain(self, words: str) -> None:
        """Each line once until the next greeting."""
        if words not in self._complained and len(self._complained) < 100:
            self._complained.add(words)
            self._log.warn("driver pusher: {words}", words=words)
