"""The one file that knows the private parts of Twisted's transports; each use says what it stands on.

Sockets are written to directly, which saves two system calls and a turn of the reactor for each write. That is only
right while Twisted itself holds nothing back for the socket, and never on a transport that merely forwards one: a TLS
transport has a ``socket`` attribute too, and plain text would go out on it. What goes out there is sealed first, by
the connection that Twisted has made for it.
"""

from __future__ import annotations

from socket import socket
from typing import Any

from OpenSSL._util import ffi, lib
from OpenSSL.SSL import Error
from twisted.internet import tcp, unix
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.protocols import tls
from twisted.protocols.policies import ProtocolWrapper

from broadcaster.tls.wrapping import Sealing

_PLAIN = (tcp.Server, unix.Server)

_GATHERING = getattr(tls, "BufferingTLSTransport", None)
"""Twisted's own choice for TLS since 22.4, which gathers small writes for a turn."""

RECORD = 16_384
"""Bytes of plain text in a record (RFC 8446 §5.1)."""

SEAL = 64
"""More bytes than sealing adds to a record."""


def plain_socket(transport: Any) -> socket | None:
    """The socket to write to directly, chosen by the transport's very type; None where it must not be done."""
    if type(transport) in _PLAIN:
        return transport.socket  # type: ignore[no-any-return]
    return None


def is_sealing(transport: Any) -> bool:
    """Whether this is TLS right on a plain socket, both by their very types: then `write_sealed` may be used."""
    return type(transport) in (Sealing, tls.TLSMemoryBIOProtocol, _GATHERING) and type(transport.transport) in _PLAIN


def write_sealed(transport: Any, data: bytes) -> None:
    """As ``transport.write``, but at once and straight to the socket while nothing is held back before it.

    Held back is what waits for the handshake (``_handshakeDone``) or for the peer in the midst of another one
    (``_appSendBuffer``), what was gathered to be sealed (``_aggregator``), and what is sealed and on its way
    (`is_clear`). The memory BIO is empty whenever Twisted is not within a call of its own, and read in order if not.
    """
    plain = transport.transport
    if (
        not transport._handshakeDone
        or transport.disconnecting
        or transport._lostTLSConnection
        or transport._appSendBuffer
        or (type(transport) is _GATHERING and transport._aggregator._buffer)
        or not is_clear(plain)
    ):
        transport.write(data)
        return
    connection = transport._tlsConnection
    rest = b""
    try:
        if len(data) <= RECORD:
            connection.send(data)
        else:
            for start in range(0, len(data), RECORD):
                rest = data[start:]
                connection.send(rest[:RECORD])
            rest = b""
        size = len(data) + SEAL * (len(data) // RECORD + 1)
        sealed = connection.bio_read(size)
    except Error:
        # It waits for the peer, or is broken: Twisted's own writing tells which, and what is to be done.
        transport._flushSendBIO()
        transport.write(rest or data)
        return
    try:
        sent = plain.socket.send(sealed)
    except OSError:
        sent = 0
    if sent < len(sealed):
        plain.write(sealed[sent:])
    if len(sealed) == size:
        transport._flushSendBIO()


def slim(transport: Any) -> None:
    """Let go of what the handshake has left behind, which is most of what an idle TLS link would keep: some 5 kB.

    OpenSSL's memory BIOs never shrink, and have held a certificate chain: where both are empty, fresh ones take over.
    """
    if not is_sealing(transport) or not transport._handshakeDone or transport._lostTLSConnection:
        return
    transport._flushSendBIO()
    connection = transport._tlsConnection
    unread = ffi.new("char **")
    if any(lib.BIO_get_mem_data(bio, unread) for bio in (connection._into_ssl, connection._from_ssl)):
        return
    connection._into_ssl = lib.BIO_new(lib.BIO_s_mem())
    connection._from_ssl = lib.BIO_new(lib.BIO_s_mem())
    lib.SSL_set_bio(connection._ssl, connection._into_ssl, connection._from_ssl)


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


def leave(transport: Any) -> None:
    """As ``loseConnection`` of a plain transport, but at once if nothing waits to be sent.

    Must not be called from within the transport's own calls (``dataReceived``, ``resumeProducing``). It does what
    Twisted does once the last byte is out, without asking the reactor first whether the socket takes another one.
    """
    if is_clear(transport):
        transport.connectionLost(connectionDone)
    else:
        transport.loseConnection()


def hand_over(transport: Any, protocol: IProtocol) -> None:
    """Let ``protocol`` be the one that ``transport`` talks to from now on.

    As ``twisted.web.websocket`` and Autobahn's resource do it: wrappers such as TLS call ``wrappedProtocol``.
    """
    if isinstance(transport, ProtocolWrapper):
        transport.wrappedProtocol = protocol
    else:
        transport.protocol = protocol
    protocol.makeConnection(transport)
