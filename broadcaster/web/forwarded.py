"""The client's true address and scheme behind proxies, believed only from proxies that are trusted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from broadcaster.errors import ConfigError
from broadcaster.web.hops import Hop, forwarded, parse, x_forwarded_for


class TrustedProxies:
    """The addresses and networks whose ``Forwarded``, ``X-Forwarded-…`` and PROXY headers count."""

    def __init__(self, proxies: Iterable[str], source: str = "configuration") -> None:
        self._networks = []
        for proxy in proxies:
            try:
                self._networks.append(ip_network(proxy, strict=False))
            except ValueError:
                remedy = 'write an address or a network, such as "10.0.0.0/8"'
                raise ConfigError(source, "server.trusted_proxies", f"{proxy!r} is no address", remedy) from None
        self._known: dict[str, bool] = {}

    def adopt(self, other: TrustedProxies) -> None:
        """Trust whom ``other`` trusts from now on."""
        self._networks = other._networks
        self._known.clear()

    def trust(self, address: str) -> bool:
        """Whether what ``address`` says of others is believed; who comes over a unix socket is ours."""
        if not address:
            return True
        known = self._known.get(address)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            parsed = parse(address)
            known = self._known[address] = parsed is not None and any(parsed in network for network in self._networks)
        return known

    def client(self, peer: str, secure: bool, headers: Sequence[tuple[str, str]]) -> tuple[str, bool]:
        """(address, whether it came over TLS) of the client whom ``peer`` connected for.

        A proxy writes one of the two families of headers and may pass on what the client wrote as the other: so
        neither is believed where they contradict each other, and the address is ``peer``'s, or the way not secure.
        """
        if not self.trust(peer):
            return peer, secure
        hops: list[str] = []
        scheme: str | None = None
        standard: list[str] = []
        for name, value in headers:
            if name == "x-forwarded-proto":
                scheme = value.split(",")[-1].strip().lower()
            elif name == "x-forwarded-for":
                # HAProxy adds a line of its own to those that are there.
                hops.append(value)
            elif name == "forwarded":
                standard.append(value)
        client = self._walk(x_forwarded_for(hops))
        if standard:
            told = self._walk(forwarded(standard))
            if not hops and scheme is None:
                client, scheme = told, told.scheme
            else:
                if client.address and told.address and client.address != told.address:
                    client = Hop(None)
                if scheme is not None and told.scheme is not None and _is_secure(scheme) != _is_secure(told.scheme):
                    scheme = ""
        return client.address or peer, secure if scheme is None else _is_secure(scheme)

    def _walk(self, hops: list[Hop]) -> Hop:
        """The rightmost hop that is no trusted proxy: what stands left of it was written by whoever that is."""
        client = Hop(None)
        for hop in reversed(hops):
            if hop.address is None:
                break
            client = hop
            if not self.trust(hop.address):
                break
        return client


def _is_secure(scheme: str) -> bool:
    return scheme in ("https", "wss")
