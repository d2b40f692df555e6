"""The PROXY protocol's header, versions 1 and 2, as HAProxy's ``proxy-protocol.txt`` words it. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import unpack_from

from msgspec import Struct
from twisted.internet.interfaces import IAddress
from zope.interface import implementer

V1_LARGEST = 107
"""Bytes of the longest line there can be, its end included (§2.1)."""

V2_LARGEST = 4_096
"""Bytes of the longest binary header that is waited for; what proxies send has some hundred."""

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_V2_FIXED = 16
_PORT = re.compile(r"(?:0|[1-9][0-9]{0,4})\Z")
_FAMILIES = {0: 0, 1: 4, 2: 16, 3: 108}
"""Bytes of an address by the high half of the family byte: unspecified, IPv4, IPv6, unix."""
_STREAM = 1
_TLS = 0x20
"""The type of the record that says whether the client came over TLS (§2.2.6)."""


class NoHeader(ValueError):
    """What came is no PROXY header."""


@implementer(IAddress)
class Client(Struct, frozen=True):
    """Who connected to the proxy, as the proxy says it; ``secure`` whether that was over TLS."""

    host: str
    port: int
    secure: bool = False


class Header(Struct, frozen=True):
    """A whole header of ``size`` bytes; no client where the proxy speaks for itself or does not know."""

    size: int
    client: Client | None = None


def read(data: bytes) -> Header | None:
    """The header at the start of ``data``, or None while it may still become one. Raises `NoHeader`."""
    if data.startswith(_V1[: len(data)]):
        return _read_line(data)
    if data.startswith(_V2[: len(data)]):
        return _read_binary(data)
    raise NoHeader("neither version begins like this")


def _read_line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, V1_LARGEST)
    if end < 0:
        if len(data) >= V1_LARGEST:
            raise NoHeader("the line has no end")
        return None
    try:
        _, *fields = data[:end].decode("ascii").split(" ")
        if fields[0] == "UNKNOWN":
            return Header(end + 2)
        family, source, destination, source_port, destination_port = fields
        addresses = [ip_address(source), ip_address(destination)]
    except ValueError:
        raise NoHeader("the line is malformed") from None
    wanted = {"TCP4": IPv4Address, "TCP6": IPv6Address}.get(family)
    if wanted is None or any(type(address) is not wanted for address in addresses) or "%" in source:
        raise NoHeader("the addresses are of another family")
    for port in (source_port, destination_port):
        if not _PORT.match(port) or int(port) > 65_535:
            raise NoHeader("that is no port")
    return Header(end + 2, Client(_plain(addresses[0]), int(source_port)))


def _read_binary(data: bytes) -> Header | None:
    if len(data) < _V2_FIXED:
        return None
    version_and_command, family_and_protocol, length = unpack_from("!BBH", data, len(_V2))
    size = _V2_FIXED + length
    if version_and_command not in (0x20, 0x21) or size > V2_LARGEST:
        raise NoHeader("the version, the command or the length is not one that is known")
    if len(data) < size:
        return None
    if version_and_command == 0x20:
        # LOCAL: the proxy itself, asking whether we are there; all the rest is to be skipped.
        return Header(size)
    family, protocol = family_and_protocol >> 4, family_and_protocol & 15
    width = _FAMILIES.get(family)
    if width is None or protocol > 2:
        raise NoHeader("the family is not one that is known")
    ports = 4 if family in (1, 2) else 0
    block, records = data[_V2_FIXED:size], 2 * width + ports
    if len(block) < records:
        raise NoHeader("the addresses are cut off")
    secure = _secure(block[records:])
    if not ports or protocol != _STREAM:
        return Header(size)
    (port,) = unpack_from("!H", block, 2 * width)
    return Header(size, Client(_plain(ip_address(block[:width])), port, secure))


def _secure(records: bytes) -> bool:
    secure = False
    while records:
        if len(records) < 3:
            raise NoHeader("a record is cut off")
        kind, length = unpack_from("!BH", records)
        value, records = records[3 : 3 + length], records[3 + length :]
        if len(value) < length:
            raise NoHeader("a record is cut off")
        if kind == _TLS:
            secure = bool(value and value[0] & 1)
    return secure


def _plain(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
