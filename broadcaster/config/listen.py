"""What a listen string means here, before Twisted reads it."""

from __future__ import annotations

import re
import socket

BACKLOG = 4096
"""Handshakes that may wait in the kernel: with Twisted's 50, a storm of reconnects is turned away."""


PROXIED = "haproxy:"

_TLS = re.compile(r"tls:(?=[0-9]+(:|\Z))")


def quote(argument: str) -> str:
    """``argument`` as one of an endpoint string."""
    return argument.replace("\\", "\\\\").replace(":", "\\:")


def without_proxy(description: str) -> tuple[bool, str]:
    """Whether links there begin with a PROXY header, and the endpoint string of what follows it."""
    return description.startswith(PROXIED), description.removeprefix(PROXIED)


def is_secure(description: str) -> bool:
    """Whether it is TLS by the ``[tls]`` table: a ``tls:`` with a port. One with a path is Twisted's own."""
    return _TLS.match(without_proxy(description)[1]) is not None


def resolve(description: str) -> str:
    """A Twisted endpoint string: ``tcp:`` and ``ssl:`` listen on IPv4 and IPv6, with a backlog for storms.

    Unless they say otherwise with ``interface`` and ``backlog``. What `is_secure` becomes the ``tcp:`` that TLS is
    spoken on.
    """
    description = _TLS.sub("tcp:", description)
    if not description.startswith(("tcp:", "ssl:")):
        return description
    if "interface=" not in description and _has_ipv6():
        description += ":interface=\\:\\:"
    if "backlog=" not in description:
        description += f":backlog={BACKLOG}"
    return description


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True
