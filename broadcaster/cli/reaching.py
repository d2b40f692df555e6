"""How a running server is reached from here: by one of the addresses that it listens on, or by a URL."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import click

from broadcaster.cli.endpoints import endpoint
from broadcaster.errors import BroadcasterError

PATIENCE = 10.0
"""Seconds for a connection, and for each answer."""

_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class Unreachable(BroadcasterError):
    """Nobody answers; one line that names the address and the remedy."""


@dataclass(frozen=True, slots=True)
class Door:
    """``address`` is a path, or host and port. Behind a ``proxied`` one a PROXY header comes first."""

    address: str | tuple[str, int]
    host: str = "localhost"
    tls: ssl.SSLContext | None = None
    proxied: bool = False

    def open(self) -> socket.socket:
        """A connected socket. Raises `Unreachable`."""
        link = None
        try:
            link = self._connect()
            if self.proxied:
                link.sendall(b"PROXY UNKNOWN\r\n")
            return link if self.tls is None else self.tls.wrap_socket(link, server_hostname=self.host)
        except OSError as error:
            if link is not None:
                link.close()
            reason = error.strerror or str(error) or type(error).__name__
            if isinstance(error, ssl.SSLCertVerificationError):
                reason = error.verify_message
            raise Unreachable(f"no server answers at {self}: {reason}; start it, or name another with --url") from None

    def _connect(self) -> socket.socket:
        if not isinstance(self.address, str):
            return socket.create_connection(self.address, PATIENCE)
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(PATIENCE)
        try:
            link.connect(self.address)
        except OSError:
            link.close()
            raise
        return link

    def __str__(self) -> str:
        return self.address if isinstance(self.address, str) else f"{self.address[0]}:{self.address[1]}"


def door_of_url(url: str) -> Door:
    """The one behind ``http://…`` or ``https://…``, whose certificate must be good. Raises `click.BadParameter`."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or parts.path not in ("", "/"):
        raise click.BadParameter(f"{url!r} is none: write it as https://ws.example.com:6001", param_hint="'--url'")
    secure = parts.scheme == "https"
    tls = ssl.create_default_context() if secure else None
    return Door((parts.hostname, port or (443 if secure else 80)), parts.hostname, tls)


def door_of_endpoints(descriptions: Iterable[str]) -> Door:
    """The one that is quickest to go through of those endpoint strings. Raises `Unreachable`."""
    doors = [door for description in descriptions if (door := _door(description)) is not None]
    if not doors:
        raise Unreachable("the server listens on no address that can be reached from here; name one with --url")
    return min(doors, key=lambda door: (door.proxied, door.tls is not None))


def _door(description: str) -> Door | None:
    found = endpoint(description)
    if found is None:
        return None
    if found.path is not None:
        return Door(found.path, proxied=found.proxied)
    assert found.port is not None
    address = (_ANYWHERE.get(found.interface, found.interface), found.port)
    return Door(address, tls=_unverified() if found.secure else None, proxied=found.proxied)


def _unverified() -> ssl.SSLContext:
    # An address of this machine: its certificate is for the names that visitors use, and what goes there is signed.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
