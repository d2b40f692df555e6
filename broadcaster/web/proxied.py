"""Links from proxies that say first whom they come for: a PROXY header, and then whatever the listener speaks.

Twisted's own ``haproxy:`` is not used: it believes anybody, tells the factory the proxy's address, closes when the
header comes in pieces, waits for ever when none comes, and expects it inside TLS, where no proxy sends it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure

from broadcaster.counters import Counters
from broadcaster.settings import Limits
from broadcaster.web.forwarded import TrustedProxies
from broadcaster.web.frontdoor import ARRIVAL_SECONDS, UNBOUNDED
from broadcaster.web.proxy_header import NoHeader, read
from broadcaster.web.transports import hand_over
from broadcaster.wheel import Wheel


class Proxied(ServerFactory):
    """Stands before ``factory`` on a listener's socket, so that the header precedes TLS as well.

    ``factory`` is given the client's address where the proxy is trusted, and who is really at the other end where it
    is not. Whoever sends no header, or not in time, is let go without a word and counted.
    """

    noisy = False

    def __init__(
        self,
        factory: Factory,
        proxies: TrustedProxies,
        limits: Limits,
        wheel: Wheel,
        clock: Callable[[], float],
        counters: Counters,
    ) -> None:
        self.factory = factory
        self.proxies = proxies
        self.adopt(limits)
        self.wheel = wheel
        self.clock = clock
        self.counters = counters

    def adopt(self, limits: Limits) -> None:
        """Wait for the headers of new links by ``limits``."""
        self.seconds = limits.handshake_seconds or UNBOUNDED

    def doStop(self) -> None:
        """See `ServerFactory`: the port started ``factory``, and stops whoever is there when it ends."""
        self.factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> Preface:
        """See `ServerFactory`."""
        return Preface(self, addr)


class Preface(Protocol):
    """One link, until its header has come."""

    def __init__(self, proxied: Proxied, address: IAddress | None) -> None:
        self.spoke: int | None = None
        self._proxied = proxied
        self._address = address
        self._received = b""
        self._arrived = proxied.clock()
        self._over = False

    def connectionMade(self) -> None:
        """See `Protocol`."""
        self._proxied.wheel.set(self, self._proxied.clock() + self._proxied.seconds)

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        if self._over:
            return
        self._received += data
        try:
            header = read(self._received)
        except NoHeader:
            self._refuse()
            return
        if header is None:
            return
        self._proxied.wheel.clear(self)
        believed = self._proxied.proxies.trust(peer_host(self._address))
        address = header.client if believed and header.client is not None else self._address
        protocol = self._proxied.factory.buildProtocol(address)
        assert protocol is not None
        hand_over(self.transport, protocol)
        if len(self._received) > header.size:
            protocol.dataReceived(self._received[header.size :])

    def due(self, now: float) -> float | None:
        """See `Timed`: the time for the header is over."""
        self._refuse()
        return None

    def part(self, now: float) -> bool:
        """The process ends; whether the header has to be waited for."""
        return not self._over and now < self._arrived + ARRIVAL_SECONDS

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`: gone again without a header, as those do who only look whether the port is open."""
        self._proxied.wheel.clear(self)

    def _refuse(self) -> None:
        self._over = True
        self._proxied.wheel.clear(self)
        self._proxied.counters.headers_missing += 1
        transport: Any = self.transport
        transport.abortConnection()


def peer_host(address: IAddress | None) -> str:
    """The address that Twisted tells, as text; empty for a unix socket."""
    return str(getattr(address, "host", "")).removeprefix("::ffff:")
