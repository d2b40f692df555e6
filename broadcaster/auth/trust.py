"""Whose certificates are believed when the application is asked over TLS."""

from __future__ import annotations

from OpenSSL.SSL import Connection, Context
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

MOST_HOSTS = 20
"""Whose settings are kept; reading all the authorities of the system for each connection takes milliseconds."""


class Trust:
    """Makes the client side of TLS: by the system's authorities and the host's name, or blindly."""

    def __init__(self, verify: bool) -> None:
        self._blind = None if verify else CertificateOptions(verify=False).getContext()
        self._creators: dict[str, IOpenSSLClientConnectionCreator] = {}

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """What makes connections to ``host``."""
        if self._blind is not None:
            return Blind(self._blind, host)
        creator = self._creators.get(host)
        if creator is None:
            if len(self._creators) == MOST_HOSTS:
                self._creators.pop(next(iter(self._creators)))
            creator = self._creators[host] = optionsForClientTLS(host)
        return creator


@implementer(IOpenSSLClientConnectionCreator)
class Blind:
    """Believes whoever answers; says the name all the same, since servers of many names choose by it."""

    def __init__(self, context: Context, host: str) -> None:
        self._context = context
        self._host = host

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> Connection:
        """See `IOpenSSLClientConnectionCreator`."""
        connection = Connection(self._context, None)
        if not (isIPAddress(self._host) or isIPv6Address(self._host)):
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection
