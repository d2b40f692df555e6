"""A connection that is only memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport


class FakeTransport(StringTransport):
    """The server's end of a connection that is only memory; ``secure`` makes it look like one over TLS."""

    def __init__(self, peer: str = "192.0.2.7", secure: bool = False) -> None:
        StringTransport.__init__(self)
        self.peer_address = peer
        self.protocol: Any = None
        self.half_closed = False
        self.read = 0
        if secure:
            self.getPeerCertificate = lambda: None

    def abortConnection(self) -> None:
        """See ``ITCPTransport``."""
        self.disconnected = True
        StringTransport.abortConnection(self)

    def loseWriteConnection(self) -> None:
        """See ``ITCPTransport``."""
        self.half_closed = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """See ``ITCPTransport``; memory knows no delay."""

    def take(self) -> bytes:
        """What the server has sent since the last call."""
        sent: bytes = StringTransport.value(self)[self.read :]
        self.read += len(sent)
        return sent
