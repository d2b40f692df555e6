"""Socket.IO's packets, protocols 4 and 5: each the data of an Engine.IO message. JSON is checked, and stays text."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import Struct

from broadcaster.protocols.engineio.packet import ParseError
from broadcaster.text import UNREADABLE

MOST_DIGITS = 100
"""Of an acknowledgement's id; clients count up from 0."""

RESERVED = frozenset(("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"))
"""Events that protocol 5 does not let anybody send."""


class SocketType(IntEnum):
    """What a packet is for; ERROR is CONNECT_ERROR in protocol 5."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


class SocketPacket(Struct, frozen=True):
    """One packet; ``data`` is JSON as it was written, ``attachments`` how many binary messages belong to it."""

    type: SocketType
    namespace: str = "/"
    id: int | None = None
    data: bytes | None = None
    attachments: int = 0


class _Event(Struct, array_like=True):
    name: str | int | float


class _Array(Struct, array_like=True):
    pass


class _Object(Struct):
    pass


_event = msgspec.json.Decoder(_Event).decode
_JSON = {
    SocketType.CONNECT: msgspec.json.Decoder(_Object).decode,
    SocketType.EVENT: _event,
    SocketType.ACK: msgspec.json.Decoder(_Array).decode,
    SocketType.ERROR: msgspec.json.Decoder(msgspec.Raw).decode,
    SocketType.BINARY_EVENT: _event,
    SocketType.BINARY_ACK: msgspec.json.Decoder(_Array).decode,
}
"""What reads the JSON of each type; DISCONNECT has none."""

_PACKET = re.compile(
    r"(?:(?P<type>[0-4])|(?P<binary>[56])(?P<attachments>10|[1-9])-)"
    r"(?:(?P<namespace>/[^,]*),?)?(?P<id>[0-9]*)(?P<json>.*)",
    re.DOTALL,
)
_SURROGATES = re.compile(
    rb"(\\[^u]|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def decode(text: str, protocol: int) -> SocketPacket | None:
    """The packet in ``text``, None for one that means nothing. Raises `ParseError` for what ends the session.

    Which of the two it is depends on the ``protocol``: 4 is more patient than 5.
    """
    match = _PACKET.fullmatch(text)
    if match is None or len(match["id"]) > MOST_DIGITS:
        raise ParseError("not a packet")
    kind = SocketType(int(match["type"] or match["binary"]))
    try:
        data, read = _read(kind, match["json"])
    except UNREADABLE:
        raise ParseError("not the JSON of its type") from None
    number = int(match["id"]) if match["id"] else None
    packet = SocketPacket(kind, match["namespace"] or "/", number, data, int(match["attachments"] or 0))
    if packet.attachments:
        _check_placeholders(packet)
    name = read.name if isinstance(read, _Event) else None
    return None if _meaningless(packet, name, protocol) else packet


def _meaningless(packet: SocketPacket, name: str | int | float | None, protocol: int) -> bool:
    kind = packet.type
    if protocol == 5 and (kind is SocketType.ERROR or name in RESERVED):
        raise ParseError("only the server says that")
    if kind in (SocketType.EVENT, SocketType.ACK):
        return packet.data is None or name in RESERVED
    # A BINARY_EVENT with a reserved name counts nevertheless, for the sake of its attachments.
    return kind is SocketType.ERROR


def _read(kind: SocketType, text: str) -> tuple[bytes | None, object]:
    if not text:
        return None, None
    if kind is SocketType.DISCONNECT:
        raise ParseError("DISCONNECT has no data")
    data = text.encode()
    try:
        return data, _JSON[kind](data)
    except msgspec.DecodeError:
        data = whole_characters(data)
        return data, _JSON[kind](data)


def whole_characters(data: bytes) -> bytes:
    """JSON with U+FFFD for each escape that is half a character.

    JavaScript's strings may be cut between two surrogates, and JSON.stringify writes down the half that is left.
    Nobody else can read it.
    """
    return _SURROGATES.sub(lambda match: match[1] or rb"\ufffd", data)


def _check_placeholders(packet: SocketPacket) -> None:
    try:
        values = [msgspec.json.decode(packet.data or b"")]
    except UNREADABLE:
        raise ParseError("attachments to nothing") from None
    while values:
        value: Any = values.pop()
        if isinstance(value, list):
            values += value
        elif isinstance(value, dict):
            if value.get("_placeholder") is True:
                number = value.get("num")
                if type(number) is not int or not 0 <= number < packet.attachments:
                    raise ParseError("a placeholder of no attachment")
            else:
                values += value.values()


def encode(packet: SocketPacket) -> bytes:
    """The packet's text."""
    attachments = b"%d-" % packet.attachments if packet.attachments else b""
    namespace = packet.namespace.encode() + b"," if packet.namespace != "/" else b""
    number = b"%d" % packet.id if packet.id is not None else b""
    return b"%d%b%b%b%b" % (packet.type, attachments, namespace, number, packet.data or b"")


class Assembler:
    """Brings the packets of one client together with their attachments.

    Raises `ParseError` for what is out of turn, and for attachments of more than ``most`` bytes (0: no bound).
    """

    __slots__ = ("_attachments", "_most", "_packet")

    def __init__(self, most: int = 0) -> None:
        self._most = most
        self._packet: SocketPacket | None = None
        self._attachments: list[bytes] = []

    def text(self, packet: SocketPacket | None) -> SocketPacket | None:
        """A text message came, whose packet is this; given back if it is whole as it is."""
        if self._packet is not None:
            raise ParseError("text among attachments")
        if packet is None or not packet.attachments:
            return packet
        self._packet = packet
        return None

    def binary(self, data: bytes) -> tuple[SocketPacket, tuple[bytes, ...]] | None:
        """A binary message came; given is the packet with its attachments, once they are complete."""
        packet = self._packet
        if packet is None:
            raise ParseError("an attachment to nothing")
        self._attachments.append(data)
        if self._most and sum(map(len, self._attachments)) > self._most:
            raise ParseError("too many bytes for one packet")
        if len(self._attachments) < packet.attachments:
            return None
        attachments, self._packet, self._attachments = tuple(self._attachments), None, []
        return packet, attachments
