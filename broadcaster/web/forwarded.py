"""The client's true address and scheme behind proxies, believed only from proxies that are trusted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from broadcaster.errors import ConfigError


class TrustedProxies:
    """The addresses and networks whose ``X-Forwarded-…`` headers count."""

    def __init__(self, proxies: Iterable[str], source: str = "configuration") -> None:
        self._networks = []
        for proxy in proxies:
            try:
                self._networks.append(ip_network(proxy, strict=False))
            except ValueError:
                remedy = 'write an address or a network, such as "10.0.0.0/8"'
                raise ConfigError(source, "server.trusted_proxies", f"{proxy!r} is no address", remedy) from None
        self._known: dict[str, bool] = {}

    def trust(self, address: str) -> bool:
        """Whether what ``address`` says of others is believed; who comes over a unix socket is ours."""
        if not address:
            return True
        known = self._known.get(address)
        if known is None:
            if len(self._known) > 10_000:
                self._known.clear()
            parsed = _parse(address)
            known = self._known[address] = parsed is not None and any(parsed in network for network in self._networks)
        return known

    def client(self, peer: str, secure: bool, headers: Sequence[tuple[str, str]]) -> tuple[str, bool]:
        """(address, whether it came over TLS) of the client whom ``peer`` connected for.

        Of ``X-Forwarded-For`` the rightmost address that is no trusted proxy counts: what stands left of it was
        written by whoever that is.
        """
        if not self.trust(peer):
            return peer, secure
        address = peer
        hops: list[str] = []
        for name, value in headers:
            if name == "x-forwarded-proto":
                secure = value.split(",")[-1].strip().lower() in ("https", "wss")
            elif name == "x-forwarded-for":
                # HAProxy adds a line of its own to those that are there.
                hops += value.split(",")
        for hop in reversed(hops):
            parsed = _parse(hop.strip())
            if parsed is None:
                break
            address = str(parsed)
            if not self.trust(address):
                break
        return address, secure


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped
    return parsed
