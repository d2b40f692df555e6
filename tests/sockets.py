"""Real sockets and the real reactor, which tests run by hand: what the kernel and Twisted make of our bytes."""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor as _reactor
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

from broadcaster.settings import TLS
from broadcaster.tls.certificates import Certificates
from broadcaster.tls.wrapping import over_tls

reactor: Any = _reactor

PATIENCE = 10.0
"""Seconds after which something that should have happened counts as failed."""


def turn(times: int = 3) -> None:
    """Let the reactor do what can be done at once."""
    for _ in range(times):
        reactor.iterate(0)


def run_until(happened: Callable[[], Any], what: str, seconds: float = PATIENCE) -> None:
    """Run the reactor until something is so; ``what`` is what failed when it never is."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        reactor.iterate(0.005)


class Peer:
    """A client's end: never blocks, and has the reactor run while it waits."""

    def __init__(self, address: Any, receive_buffer: int | None = None, context: ssl.SSLContext | None = None) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket: socket.socket = socket.socket(family)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.received = b""
        self.ended = self.reset = False
        self.socket.connect(address)
        self.socket.setblocking(False)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, do_handshake_on_connect=False)
            self._wait_for(self.socket.do_handshake)
        turn()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        turn()

    def _wait_for(self, step: Callable[[], Any]) -> None:
        def done() -> bool:
            with suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                step()
                return True
            return False

        run_until(done, "the TLS handshake")

    def send(self, data: bytes) -> None:
        """Send all of it, however slowly it is taken."""
        left = memoryview(data)

        def sent() -> bool:
            nonlocal left
            with suppress(BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                left = left[self.socket.send(left) :]
            return not left

        run_until(sent, "sending")
        turn()

    def end(self) -> None:
        """Say that nothing more will come."""
        self.socket.shutdown(socket.SHUT_WR)
        turn()

    def read(self, size: int = 1 << 20) -> bytes:
        """Take what has arrived, at most ``size`` bytes."""
        try:
            data = self.socket.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        except (ConnectionResetError, ssl.SSLError):
            self.ended = self.reset = True
            return b""
        self.ended = not data
        self.received += data
        return data

    def read_until(self, enough: Callable[[bytes], Any]) -> bytes:
        """Read on until all that was received suffices; gives all of it."""

        def happened() -> bool:
            self.read()
            return bool(enough(self.received)) or self.ended

        run_until(happened, "the expected answer")
        assert enough(self.received), f"the link ended after {self.received[-200:]!r}"
        return self.received

    def read_to_end(self) -> bytes:
        """Read until the server lets go; gives all that was ever received."""

        def ended() -> bool:
            self.read()
            return self.ended

        run_until(ended, "the end of the link")
        return self.received


class Caught(Protocol):
    """The server's end, which only remembers."""

    def __init__(self) -> None:
        self.received = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class Catcher(ServerFactory):
    """Remembers the protocols of the links it opened."""

    noisy = False

    def __init__(self, opening: type[Caught] = Caught) -> None:
        self.opening = opening
        self.caught: list[Caught] = []

    def buildProtocol(self, addr: Any) -> Caught:
        self.caught.append(self.opening())
        return self.caught[-1]


KINDS = ("tcp", "unix", "tls", "sealed", "wrapped")
"""Transports as Twisted makes them: on plain sockets, under its TLS and ours, and with a wrapper between."""


@contextmanager
def listening(kind: str, factory: ServerFactory) -> Iterator[Callable[..., Peer]]:
    """Listen on a socket of that kind; gives what connects to it."""
    with tempfile.TemporaryDirectory(prefix="broadcaster-") as folder:
        if kind == "unix":
            address: Any = str(Path(folder) / "socket")
            port = reactor.listenUNIX(address, factory)
        else:
            if kind == "tls":
                pem = Path(folder) / "server.pem"
                pem.write_bytes(certificate())
                port = reactor.listenSSL(
                    0, factory, DefaultOpenSSLContextFactory(str(pem), str(pem)), interface="127.0.0.1"
                )
            else:
                wanted = factory
                if kind in ("sealed", "sealed and wrapped"):
                    pem = Path(folder) / "server.pem"
                    pem.write_bytes(certificate())
                    wanted = over_tls(Certificates(TLS(certificate=str(pem)), "", time.time), wanted, reactor)
                if kind.endswith("wrapped"):
                    wanted = WrappingFactory(wanted)
                wanted.noisy = False
                port = reactor.listenTCP(0, wanted, interface="127.0.0.1")
            address = ("127.0.0.1", port.getHost().port)
        context = trusting() if kind.startswith(("tls", "sealed")) else None
        peers: list[Peer] = []

        def connect(**options: Any) -> Peer:
            peers.append(Peer(address, context=context, **options))
            return peers[-1]

        try:
            yield connect
        finally:
            for peer in peers:
                peer.socket.close()
            stopped: list[object] = []
            port.stopListening().addBoth(stopped.append)
            run_until(lambda: stopped, "the end of listening")
            turn()


@cache
def certificate() -> bytes:
    """A certificate that nobody but the test believes, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server.test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@cache
def trusting() -> ssl.SSLContext:
    """A client that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
