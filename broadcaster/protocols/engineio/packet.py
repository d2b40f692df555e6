"""Engine.IO's packets, and what both revisions read alike."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from enum import IntEnum

from msgspec import Struct

from broadcaster.errors import BroadcasterError


class ParseError(BroadcasterError):
    """The client sent what this protocol has no meaning for; its session ends."""


class Type(IntEnum):
    """What a packet is for."""

    OPEN = 0
    CLOSE = 1
    PING = 2
    PONG = 3
    MESSAGE = 4
    UPGRADE = 5
    NOOP = 6


class Packet(Struct, frozen=True):
    """One packet; only messages may have bytes for data."""

    type: Type
    data: str | bytes = ""


_TYPES = {str(int(each)): each for each in Type}


def read_text(text: str) -> Packet:
    """The packet in ``<type><data>``. Raises `ParseError`."""
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise ParseError("not the type of a packet")
    return Packet(kind, text[1:])


def write_text(packet: Packet) -> bytes:
    """A packet whose data is text, as ``<type><data>``."""
    assert isinstance(packet.data, str)
    return b"%d%b" % (packet.type, packet.data.encode())


def from_base64(text: str) -> bytes:
    """The bytes in base64, whose padding may be missing. Raises `ParseError`."""
    try:
        return a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise ParseError("not base64") from None


def to_base64(data: bytes) -> bytes:
    """Base64 with padding, on one line."""
    return b2a_base64(data, newline=False)
