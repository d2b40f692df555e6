"""Whose pages may come in: origins as a configuration names them, socket.io's own patterns among them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

from msgspec import Struct

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class _Pattern(Struct, frozen=True):
    """What an origin must be; without a scheme that is left open, without a port it is the scheme's own."""

    scheme: str
    host: str
    port: int | None
    any_port: bool

    def fits(self, scheme: str, host: str, port: int | None) -> bool:
        if self.scheme and self.scheme != scheme:
            return False
        if not self.any_port and port != (self.port or _DEFAULT_PORTS.get(scheme)):
            return False
        own = self.host
        return own in ("*", host) or (own.startswith("*.") and host.endswith(own[1:]) and host != own[1:])


def allowed_origin(origin: str | None, allowed: Iterable[str]) -> bool:
    """Whether a page from ``origin``, which may be any URL of it, may come in.

    Allowed are ``scheme://host[:port]``, ``host[:port]`` with any scheme, ``*.`` for sub-domains and ``*`` for any
    host or any port. No origin means no browser, and is let in.
    """
    allowed = tuple(allowed)
    if origin is None or not {"*", "*:*"}.isdisjoint(allowed):
        return True
    scheme, host, port = _origin(origin)
    return host != "" and any(_pattern(text).fits(scheme, host, port) for text in allowed)


def _origin(text: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(text.strip().lower())
        return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None


@lru_cache(maxsize=1_024)
def _pattern(text: str) -> _Pattern:
    scheme, _, place = text.strip().lower().rpartition("://")
    bare = place.removesuffix(":*")
    _, host, port = _origin(f"{scheme or 'any'}://{bare}")
    return _Pattern(scheme, host, port, any_port=bare != place)
