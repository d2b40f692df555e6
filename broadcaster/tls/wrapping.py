"""Puts TLS before whatever a listener speaks; handshakes wait for one another, so that a storm of them harms no one.

A handshake costs as much as some hundred messages. Twisted would do all that have come in one turn, for seconds when
ten thousand clients are back at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from broadcaster.tls.certificates import Certificates

SLICE = 0.005
"""Seconds of a turn that handshakes may take."""

LARGEST_FLIGHT = 65_536
"""Bytes that a client may send before it is answered."""


class Handshakes:
    """Those that wait for their turn, of all links of a listener."""

    _log = Logger()

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiting: deque[Any] = deque()

    def add(self, link: Sealing) -> None:
        """Have ``link`` go on soon."""
        if not self._waiting:
            self._reactor.callLater(0, self._go_on)
        self._waiting.append(link)

    def _go_on(self) -> None:
        stop = perf_counter() + SLICE
        while self._waiting:
            link = self._waiting.popleft()
            try:
                link.go_on()
            except Exception:
                self._log.failure("a handshake failed")
                link.abortConnection()
            if perf_counter() > stop:
                break
        if self._waiting:
            self._reactor.callLater(0, self._go_on)


class Sealing(TLSMemoryBIOProtocol):
    """A link under TLS: Twisted's that does not gather small writes, since the outbox has done that."""

    factory: Any
    _unread: bytes | None = None

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`: until the handshake is done, what comes in waits."""
        if self._unread is not None:
            self._unread += data
            if len(self._unread) > LARGEST_FLIGHT:
                self._unread = b""
                abort: Callable[[], None] = self.abortConnection
                abort()
        elif self._handshakeDone:
            TLSMemoryBIOProtocol.dataReceived(self, data)
        else:
            self._unread = data
            self.factory.handshakes.add(self)

    def go_on(self) -> None:
        """Its turn has come."""
        unread, self._unread = self._unread, None
        if unread and self.connected and not self._aborted:
            TLSMemoryBIOProtocol.dataReceived(self, unread)


def over_tls(certificates: Certificates, factory: Factory, reactor: Any) -> Factory:
    """``factory`` for links that begin with a handshake; each is given its transport before that is done."""
    wrapping: Any = TLSMemoryBIOFactory(certificates, False, factory)
    wrapping.protocol = Sealing
    wrapping.handshakes = Handshakes(reactor)
    over: Factory = wrapping
    return over
