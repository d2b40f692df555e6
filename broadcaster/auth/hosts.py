"""Where the application is asked: the configured host, or the one of several that the client's Referer names. Pure.

The choice is laravel-echo-server's (``authHost``), with its trap: an entry ``.example.com`` lets the page choose, so
that a visitor's cookies go to whatever sub-domain the Referer says.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct

DEFAULT = "http://localhost"

_ORIGIN = r"(https?)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
# Nobody sends a name or a password in a Referer (RFC 9110 §10.1.3), and browsers turn `\` into `/` in one.
_REFERER = re.compile(rf"({_ORIGIN})(?:[/?#].*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_URL = re.compile(rf"{_ORIGIN}(/[!-\"$-~]*)?(?:#.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_PORTS = {"http": 80, "https": 443}


class Url(Struct, frozen=True):
    """Where a question goes: ``authority`` is for its Host header, without a port that goes without saying."""

    secure: bool
    host: str
    port: int
    authority: str
    target: str


def choose_host(hosts: Sequence[str], referer: str | None) -> tuple[str, bool]:
    """The host to ask, and False where it is the last of several, for want of one that the Referer names.

    Without a Referer it is the first. An entry matches as ``scheme://host[:port]``, as ``host[:port]``, or as
    ``.domain``, which stands for all hosts exactly one label below it.
    """
    if not hosts:
        return DEFAULT, True
    if not referer:
        return hosts[0], True
    parsed = _REFERER.fullmatch(referer)
    if parsed is not None:
        origin, name = parsed[1].lower(), parsed[3].lower()
        _, dot, domain = name.partition(".")
        if not {origin, origin.partition("://")[2], dot + domain or None}.isdisjoint(hosts):
            return origin, True
    return hosts[-1], len(hosts) == 1


def read_url(text: str) -> Url | None:
    """The parts of ``text``, or None where it is no URL of http or https that a request could go to."""
    parsed = _URL.fullmatch(text)
    if parsed is None:
        return None
    scheme, name = parsed[1].lower(), parsed[2].lower()
    usual = _PORTS[scheme]
    port = int(parsed[3] or usual)
    if not 0 < port < 65536:
        return None
    authority = name if port == usual else f"{name}:{port}"
    return Url(scheme == "https", name.strip("[]"), port, authority, parsed[4] or "/")
