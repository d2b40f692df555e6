"""The application that is asked, as far as a socket shows it: it keeps what it heard, and says what a test wants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.sockets import reactor, run_until, turn

NAME = "application.test"


class Asked(NamedTuple):
    """One request as it was on the wire, taken apart more strictly than any server would."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def value(self, name: str) -> str:
        """The only header of that name, whatever its case."""
        (value,) = (value for given, value in self.headers if given.lower() == name)
        return value


def take_apart(data: bytes) -> tuple[Asked, bytes] | None:
    """The first request in ``data`` and what follows it, or None while it is not whole."""
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = []
    for field in fields:
        parts = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\t -~\x80-\xff]*)", field)
        assert parts is not None, f"{field!r} is no header"
        headers.append((parts[1], parts[2]))
    asked = Asked(line, headers, b"")
    length = int(asked.value("content-length"))
    return None if len(rest) < length else (asked._replace(body=rest[:length]), rest[length:])


def said(body: bytes | str, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer."""
    body = body.encode() if isinstance(body, str) else body
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


class End(Protocol):
    """One connection of the server's."""

    factory: Application
    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        while (taken := take_apart(self.received)) is not None:
            asked, self.received = taken
            self.factory.asked.append(asked)
            self.factory.answer(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


class Application(ServerFactory):
    """Answers by ``answer``, which may write to a connection, end it, or leave it waiting."""

    noisy = False

    def __init__(self, answer: bytes | Callable[[End], object]) -> None:
        self.asked: list[Asked] = []
        self.ends: list[End] = []
        self.names: list[bytes | None] = []
        """What each client called it in its TLS greeting."""
        self.port = 0
        self.answer: Callable[[End], object] = lambda end: None
        self.says(answer)

    def says(self, answer: bytes | Callable[[End], object]) -> None:
        """From now on."""
        self.answer = answer if callable(answer) else lambda end: end.transport.write(answer)

    def buildProtocol(self, addr: Any) -> End:
        end = End()
        end.factory = self
        self.ends.append(end)
        return end


@contextmanager
def serving(answer: bytes | Callable[[End], object], pem: Path | None = None) -> Iterator[Application]:
    """An application on a port of its own, over TLS if it has a certificate."""
    application = Application(answer)
    if pem is None:
        port = reactor.listenTCP(0, application, interface="127.0.0.1")
    else:
        tls = DefaultOpenSSLContextFactory(pem, pem)
        tls.getContext().set_tlsext_servername_callback(lambda link: application.names.append(link.get_servername()))
        port = reactor.listenSSL(0, application, tls, interface="127.0.0.1")
    application.port = port.getHost().port
    try:
        yield application
    finally:
        for end in application.ends:
            if not end.lost:
                end.transport.abortConnection()
        stopped: list[object] = []
        port.stopListening().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of listening")
        turn()


@implementer(IHostnameResolver)
class Here:
    """Finds every name on this machine, without a thread; but ``nowhere.test``, or ``slow.test`` in time."""

    def __init__(self) -> None:
        self.sought: list[str] = []

    def resolveHostName(self, resolutionReceiver: Any, hostName: str, portNumber: int = 0, *_: Any, **__: Any) -> Any:
        self.sought.append(hostName)
        resolutionReceiver.resolutionBegan(None)
        if hostName == "slow.test":
            return None
        if hostName != "nowhere.test":
            resolutionReceiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        resolutionReceiver.resolutionComplete()
        return None


@cache
def certificate() -> bytes:
    """A certificate for `NAME` that only those believe who were told to, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
