"""The first to read a link: HTTP/1.1 requests one after another, each answered in order, until one becomes a WebSocket.

Parsing is httptools' (llhttp, which refuses two lengths, a length beside chunks, and folded headers); what is ours
are the bounds: a head and a body are never held beyond their limits, nor waited for beyond their time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import httptools
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.settings import Limits
from broadcaster.web.forwarded import TrustedProxies
from broadcaster.web.http import Request, Response, encode, text
from broadcaster.web.outbox import Outbox, Turns
from broadcaster.wheel import Wheel

IDLE_SECONDS = 90.0
"""How long a link may be kept for a next request: no less than SDKs keep theirs (the Ruby SDK: 30 s)."""
BODY_SECONDS = 30.0
LINGER_SECONDS = 2.0
"""How long a refused client may go on sending before it is cut: closing at once would destroy the answer."""
PIPELINED = 32
"""Requests that may wait on one link before it is read no further."""

Answer = Response | Deferred[Response]


class Upgrade:
    """What a site answers to a request that becomes something else: ``take`` gets the transport and its outbox.

    Bytes that came after the request are handed to the new protocol's ``dataReceived``.
    """

    __slots__ = ("take",)

    def __init__(self, take: Callable[[Any, Outbox], Protocol]) -> None:
        self.take = take


class FrontDoors(ServerFactory):
    """Opens a `FrontDoor` for each link. ``respond`` answers requests, ``now`` is monotonic seconds."""

    noisy = False

    def __init__(
        self,
        respond: Callable[[Request], Answer | Upgrade],
        turns: Turns,
        wheel: Wheel,
        clock: Callable[[], float],
        limits: Limits,
        proxies: TrustedProxies,
    ) -> None:
        self.respond = respond
        self.turns = turns
        self.wheel = wheel
        self.clock = clock
        self.limits = limits
        self.largest_body = limits.largest_body()
        self.proxies = proxies

    def buildProtocol(self, addr: IAddress | None) -> FrontDoor:
        """See `ServerFactory`."""
        return FrontDoor(self, getattr(addr, "host", "").removeprefix("::ffff:"))


@implementer(IHalfCloseableProtocol)
class FrontDoor(Protocol):
    """One link, for as long as it speaks HTTP."""

    _log = Logger()

    def __init__(self, doors: FrontDoors, address: str) -> None:
        self.spoke: int | None = None
        self._doors = doors
        self._address = address
        self._parser = httptools.HttpRequestParser(self)
        self._requests: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._refused = False
        self._ended = False
        self._rest: bytes | None = None
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._in_head = True

    # ---- the link ---------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """See `Protocol`."""
        transport: Any = self.transport
        self._outbox = Outbox(transport, self._doors.turns)
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None and self._address:
            set_no_delay(True)
        self._deadline = self._doors.clock() + self._doors.limits.handshake_seconds
        self._doors.wheel.set(self, self._deadline)

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        if self._refused:
            return
        if self._rest is not None:
            self._rest += data
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._rest = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            if not self._refused:
                self._refuse(text(400, f"Bad request: {error}"))
        if self._in_head and not self._refused:
            self._size += len(data)
            self._bound_head()
        self._serve()

    def due(self, now: float) -> float | None:
        """See `Timed`: the time for the head, the body or the next request is over."""
        if self._busy or self._requests:
            return now + self._doors.limits.handshake_seconds
        if now < self._deadline:
            return min(self._deadline, now + self._doors.limits.handshake_seconds)
        transport: Any = self.transport
        transport.abortConnection() if self._refused else transport.loseConnection()
        return now + LINGER_SECONDS

    def readConnectionLost(self) -> None:
        """See `IHalfCloseableProtocol`: no more requests, but the answers are still wanted."""
        self._ended = True
        if not self._busy:
            self._outbox.close()

    def writeConnectionLost(self) -> None:
        """See `IHalfCloseableProtocol`."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        self._doors.wheel.clear(self)
        self._requests.clear()
        self._refused = True

    # ---- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._begin()
        self._deadline = self._doors.clock() + self._doors.limits.handshake_seconds

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url
        self._size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
        self._size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._bound_head()
        self._in_head = False
        self._size = 0
        if self._refused:
            return
        self._deadline = self._doors.clock() + BODY_SECONDS
        length = expects = None
        hosts = 0
        for name, value in self._headers:
            if name == "content-length":
                length = int(value)
            elif name == "expect":
                expects = value.lower()
            elif name == "host":
                hosts += 1
        if hosts > 1 or (hosts == 0 and self._parser.get_http_version() == "1.1"):
            self._refuse(text(400, "Bad request: exactly one Host header is required"))
        elif length is not None and self._doors.largest_body and length > self._doors.largest_body:
            self._too_large()
        elif expects == "100-continue":
            self._outbox.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._refused:
            return
        self._size += len(body)
        if self._doors.largest_body and self._size > self._doors.largest_body:
            self._too_large()
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._refused:
            return
        self._deadline = self._doors.clock() + IDLE_SECONDS
        url = self._url.decode(errors="replace")
        if not url.startswith("/"):
            # The absolute form (RFC 9112 §3.2.2); `OPTIONS *` and CONNECT targets lead nowhere here.
            url = "/" + url.partition("://")[2].partition("/")[2]
        path, _, query = url.partition("?")
        transport: Any = self.transport
        peer, secure = self._doors.proxies.client(self._address, _is_secure(transport), self._headers)
        method = self._parser.get_method().decode("ascii")
        request = Request(method, path, query, self._headers, b"".join(self._body), peer, secure)
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._requests.append((request, keep_alive))
        if len(self._requests) == PIPELINED:
            transport.pauseProducing()

    def _bound_head(self) -> None:
        limit = self._doors.limits.handshake_bytes
        if limit and self._size > limit and not self._refused:
            self._refuse(text(431, f"Request head too large (limits.handshake_bytes = {limit})"))

    # ---- answers ----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while self._requests and not self._busy:
            request, keep_alive = self._requests.popleft()
            if len(self._requests) == PIPELINED - 1:
                transport: Any = self.transport
                transport.resumeProducing()
            try:
                answer = self._doors.respond(request)
            except Exception:
                self._log.failure("{method} {path} failed", method=request.method, path=request.path)
                answer = text(500, "Internal error")
            if isinstance(answer, Upgrade):
                self._upgrade(answer)
            elif isinstance(answer, Response):
                self._answer(answer, request, keep_alive)
            else:
                self._busy = True
                answer.addErrback(self._failed, request)
                answer.addCallback(self._answered, request, keep_alive)

    def _failed(self, failure: Failure, request: Request) -> Response:
        self._log.failure("{method} {path} failed", failure, method=request.method, path=request.path)
        return text(500, "Internal error")

    def _answered(self, response: Response, request: Request, keep_alive: bool) -> None:
        self._busy = False
        self._deadline = self._doors.clock() + IDLE_SECONDS
        self._answer(response, request, keep_alive)
        self._serve()

    def _answer(self, response: Response, request: Request, keep_alive: bool) -> None:
        keep_alive = keep_alive and not (self._ended and not self._requests)
        self._outbox.write(encode(response, keep_alive, request.method == "HEAD"))
        if not keep_alive:
            self._requests.clear()
            self._refused = True
            self._outbox.close()

    def _upgrade(self, upgrade: Upgrade) -> None:
        self._doors.wheel.clear(self)
        self._refused = True
        rest, self._rest = self._rest, None
        transport: Any = self.transport
        protocol = upgrade.take(transport, self._outbox)
        if rest:
            protocol.dataReceived(rest)

    def _too_large(self) -> None:
        limit = self._doors.largest_body
        self._refuse(text(413, f"Request body too large (limits.body_bytes = {limit})"))

    def _refuse(self, response: Response) -> None:
        """Answer and read no further; what the client still sends is thrown away for a while."""
        self._refused = True
        self._requests.clear()
        self._outbox.write(encode(response, keep_alive=False))
        self._outbox.flush()
        transport: Any = self.transport
        half_close = getattr(transport, "loseWriteConnection", transport.loseConnection)
        half_close()
        self._deadline = self._doors.clock() + LINGER_SECONDS
        self._doors.wheel.set(self, self._deadline)


def _is_secure(transport: Any) -> bool:
    return getattr(transport, "getPeerCertificate", None) is not None
