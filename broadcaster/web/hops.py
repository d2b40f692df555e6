"""The hops that a request came by, as ``X-Forwarded-For`` and ``Forwarded`` (RFC 7239) list them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from msgspec import Struct

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
# Values that should have been quoted, such as an IPv6 address, are taken as they are: many write them so.
_PAIR = re.compile(rf'[ \t]*({_TOKEN})=("(?:[^"\\]|\\.)*"|[^",;\s]*)[ \t]*')
_ELEMENT = re.compile(r'(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[^,"])+', re.DOTALL)
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5}|:_[\w.-]+)?\Z|([0-9.]+)(?::[0-9]{1,5}|:_[\w.-]+)?\Z", re.ASCII)
"""RFC 7239 §6: an IPv6 address in brackets or an IPv4 one, each perhaps with a port."""


class Hop(Struct, frozen=True):
    """Who came to a proxy: an address, or None where that is hidden or unknown; ``scheme`` by which it came."""

    address: str | None
    scheme: str | None = None


def x_forwarded_for(lines: Iterable[str]) -> list[Hop]:
    """The farthest first; several lines are one list."""
    return [Hop(_address(node.strip(' \t"'))) for line in lines for node in line.split(",")]


def forwarded(lines: Iterable[str]) -> list[Hop]:
    """The farthest first. Of a line that is malformed, what stands right of the fault is kept."""
    return [hop for line in lines for hop in _elements(line)]


def _elements(line: str) -> list[Hop]:
    hops: list[Hop] = []
    for element in _split(line):
        parameters: dict[str, str] = {}
        position = 0
        while position < len(element):
            pair = _PAIR.match(element, position)
            if pair is None or (pair.end() < len(element) and element[pair.end()] != ";"):
                parameters.clear()
                break
            parameters.setdefault(pair[1].lower(), _unquoted(pair[2]))
            position = pair.end() + 1
        scheme = parameters.get("proto")
        hops.append(Hop(_address(parameters.get("for", "")), scheme.lower() if scheme else None))
    return hops


def _split(line: str) -> list[str]:
    """At its commas, but for those in quotes; a quote that does not end hides all that follows it."""
    return [element for element in _ELEMENT.findall(line) if not element.isspace()]


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _address(node: str) -> str | None:
    found = _NODE.match(node)
    text = (found[1] or found[2]) if found else node
    address = parse(text)
    return str(address) if address is not None and "%" not in text else None


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is; an IPv4 one also where it is written as IPv6."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
