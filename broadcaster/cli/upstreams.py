"""Where a proxy reaches the server, read from the endpoint strings that it listens on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from broadcaster.config.listen import without_proxy
from broadcaster.errors import ConfigError

_PIECE = re.compile(r"((?:\\.|[^\\:])*)(?::|\Z)")
_EVERYWHERE = ("", "0.0.0.0", "::")


class Upstream(Struct, frozen=True):
    """One listener: ``host:port``, or an absolute path if ``local``; whether TLS is spoken there and whether a PROXY
    header is awaited."""

    address: str
    local: bool = False
    secure: bool = False
    proxied: bool = False


def upstreams(listen: Sequence[str], source: str, proxied: bool) -> list[Upstream]:
    """Those of one kind, since a proxy speaks to all its servers alike: plain before TLS.

    With a PROXY header rather than without if ``proxied``, else the other way round. Raises `ConfigError` where none
    can be told.
    """
    found = [upstream for description in listen if (upstream := _upstream(description)) is not None]
    if not found:
        problem = f"where {', '.join(listen)} is cannot be told from it"
        raise ConfigError(source, "server.listen", problem, "say it: --upstream tcp:6001:interface=127.0.0.1")
    found.sort(key=lambda upstream: (upstream.proxied is not proxied, upstream.secure))
    _, kind = next(groupby(found, lambda upstream: (upstream.proxied, upstream.secure)))
    return list(dict.fromkeys(kind))


def _upstream(description: str) -> Upstream | None:
    proxied, description = without_proxy(description)
    kind, *pieces = _pieces(description)
    first = next((piece for piece in pieces if "=" not in piece), "")
    named = dict(piece.split("=", 1) for piece in pieces if "=" in piece)
    if kind == "unix":
        path = first or named.get("address", "")
        return Upstream(os.path.abspath(path), True, False, proxied) if path else None
    port = first or named.get("port", "")
    if kind not in ("tcp", "tls", "ssl") or not port.isdecimal() or port == "0":
        return None
    host = named.get("interface", "")
    host = "127.0.0.1" if host in _EVERYWHERE else f"[{host}]" if ":" in host else host
    return Upstream(f"{host}:{port}", False, kind != "tcp", proxied)


def _pieces(description: str) -> Iterator[str]:
    """At its colons, but for those with a backslash before them."""
    position = 0
    while (piece := _PIECE.match(description, position)) is not None:
        yield re.sub(r"\\(.)", r"\1", piece[1])
        position = piece.end()
        if position == len(description):
            return
