"""Engine.IO revision 4 on the wire: payloads of polls and posts, WebSocket messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from broadcaster.protocols.engineio.packet import (
    Packet,
    ParseError,
    Type,
    from_base64,
    read_text,
    to_base64,
    write_text,
)
from broadcaster.protocols.frames import BINARY, TEXT

SEPARATOR = "\x1e"


def decode_payload(body: bytes, binary: bool) -> Iterator[Packet]:
    """The packets of a POST; `ParseError` where it goes wrong, after those before. Binary payloads do not exist."""
    if binary:
        raise ParseError("revision 4 has no binary payloads")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ParseError("not UTF-8") from None
    for part in text.split(SEPARATOR):
        yield Packet(Type.MESSAGE, from_base64(part[1:])) if part.startswith("b") else read_text(part)


def encode_payload(packets: Sequence[Packet], binary: bool) -> tuple[bytes, bool]:
    """The answer to a poll, and whether it is binary, which it never is."""
    return SEPARATOR.encode().join(map(_write, packets)), False


def decode_frame(payload: str | bytes) -> Packet:
    """The packet in one WebSocket message. Raises `ParseError`."""
    return Packet(Type.MESSAGE, payload) if isinstance(payload, bytes) else read_text(payload)


def encode_frame(packet: Packet, binary: bool) -> tuple[int, bytes]:
    """Opcode and payload of a WebSocket message; ``binary`` says whether the client takes binary ones."""
    if binary and isinstance(packet.data, bytes):
        return BINARY, packet.data
    return TEXT, _write(packet)


def _write(packet: Packet) -> bytes:
    return b"b" + to_base64(packet.data) if isinstance(packet.data, bytes) else write_text(packet)
