"""The one file that knows the private parts of Twisted's transports; each use says what it stands on.

Plain sockets are written to directly, which saves two system calls and a turn of the reactor for each write. That
is only right while Twisted itself holds nothing back for the socket, and never on a transport that merely forwards
one: a TLS transport has a ``socket`` attribute too, and plain text would go out on it.
"""

from __future__ import annotations

from socket import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IProtocol
from twisted.protocols.policies import ProtocolWrapper


def plain_socket(transport: Any) -> socket | None:
    """The socket to write to directly, chosen by the transport's very type; None where it must not be done."""
    if type(transport) in (tcp.Server, unix.Server):
        return transport.socket  # type: ignore[no-any-return]
    return None


def is_secure(transport: Any) -> bool:
    """Whether there is TLS between us and the peer of this link."""
    return getattr(transport, "getPeerCertificate", None) is not None


def is_clear(transport: Any, closing: bool = False) -> bool:
    """Whether a plain transport is up and has nothing buffered; one that is ``closing`` counts only if asked for.

    ``FileDescriptor.dataBuffer`` from ``offset`` on, and ``_tempDataBuffer``, are what ``write`` has put off.
    """
    return (
        transport.connected
        and (closing or not transport.disconnecting)
        and not transport._tempDataBuffer
        and transport.offset == len(transport.dataBuffer)
    )


def hand_over(transport: Any, protocol: IProtocol) -> None:
    """Let ``protocol`` be the one that ``transport`` talks to from now on.

    As ``twisted.web.websocket`` and Autobahn's resource do it: wrappers such as TLS call ``wrappedProtocol``.
    """
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
