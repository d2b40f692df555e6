"""Engine.IO revision 3 on the wire: payloads in text, binary and JSONP, WebSocket messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_to_bytes

from msgspec.json import encode as _json

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

MOST_DIGITS = 10
"""Of a length; engine.io takes up to 310, which no body can have."""

_LENGTH = re.compile(rf"([0-9]{{1,{MOST_DIGITS}}}):")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
_NOT_DIGITS = re.compile("[^0-9]+")
_NEWLINE = re.compile(rb"(\\)?\\n")
_ENDS_OF_LINE = {0x2028: "\\u2028", 0x2029: "\\u2029"}

# ---- payloads -------------------------------------------------------------------------------------------------


def decode_payload(body: bytes, binary: bool) -> Iterator[Packet]:
    """The packets of a POST, by its Content-Type; `ParseError` where it goes wrong, after those before."""
    if not body:
        raise ParseError("an empty payload")
    yield from _binary_packets(body) if binary else _text_packets(body)


def _text_packets(body: bytes) -> Iterator[Packet]:
    text = _units(_decoded(body))
    at = 0
    while at < len(text):
        length = _LENGTH.match(text, at)
        if length is None:
            raise ParseError("not a length")
        start, at = length.end(), length.end() + int(length[1])
        if at > len(text):
            raise ParseError("longer than the payload")
        if at > start:
            yield _read(_characters(text[start:at]))


def _units(text: str) -> str:
    """Lengths count UTF-16 units, as JavaScript does: what lies above the first plane becomes its two surrogates."""
    return text if text.isascii() else _ASTRAL.sub(_surrogates, text)


def _surrogates(match: re.Match[str]) -> str:
    point = ord(match[0])
    return chr(0xD7C0 + (point >> 10)) + chr(0xDC00 + (point & 0x3FF))


def _characters(units: str) -> str:
    try:
        return units if units.isascii() else units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise ParseError("a length that cuts a character") from None


def _binary_packets(body: bytes) -> Iterator[Packet]:
    at = 0
    while at < len(body):
        kind, end = body[at], body.find(b"\xff", at + 1, at + MOST_DIGITS + 2)
        digits = body[at + 1 : end] if end > 0 else b""
        if kind > 1 or not digits or max(digits) > 9:
            raise ParseError("not a length")
        start, at = end + 1, end + 1 + int(bytes(digit + 48 for digit in digits))
        if at > len(body):
            raise ParseError("longer than the payload")
        packet = body[start:at]
        yield decode_frame(packet if kind else _decoded(packet))


def encode_payload(packets: Sequence[Packet], binary: bool) -> tuple[bytes, bool]:
    """The answer to a poll, and whether it is binary: only if the client takes that and some packet needs it."""
    if binary and any(isinstance(packet.data, bytes) for packet in packets):
        return b"".join(map(_binary_packet, packets)), True
    return b"".join(map(_text_packet, packets)), False


def _text_packet(packet: Packet) -> bytes:
    text = write_text(_in_ascii(packet)) if isinstance(packet.data, str) else _write_base64(packet.data)
    return b"%d:%b" % (len(text), text)


def _in_ascii(packet: Packet) -> Packet:
    """The same JSON without a character that has two lengths.

    engine.io-parser 1.3 (socket.io-client 1.x) counts bytes of UTF-8 in text payloads and reads them as characters,
    2.x counts UTF-16 units, and both say EIO=3: what both understand is ASCII.
    """
    assert isinstance(packet.data, str)
    if packet.data.isascii():
        return packet
    return Packet(packet.type, _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], packet.data))


def _binary_packet(packet: Packet) -> bytes:
    kind, content = (1, _write_binary(packet.data)) if isinstance(packet.data, bytes) else (0, write_text(packet))
    length = bytes(int(digit) for digit in str(len(content)))
    return b"%c%b\xff%b" % (kind, length, content)


# ---- WebSocket ------------------------------------------------------------------------------------------------


def decode_frame(payload: str | bytes) -> Packet:
    """The packet in one WebSocket message. Raises `ParseError`."""
    if isinstance(payload, str):
        return _read(payload)
    if payload[:1] != b"%c" % Type.MESSAGE:
        raise ParseError("only messages are binary")
    return Packet(Type.MESSAGE, payload[1:])


def encode_frame(packet: Packet, binary: bool) -> tuple[int, bytes]:
    """Opcode and payload of a WebSocket message; ``binary`` says whether the client takes binary ones."""
    if isinstance(packet.data, str):
        return TEXT, write_text(packet)
    return (BINARY, _write_binary(packet.data)) if binary else (TEXT, _write_base64(packet.data))


def _read(text: str) -> Packet:
    if text[:1] != "b":
        return read_text(text)
    if text[1:2] != str(int(Type.MESSAGE)):
        raise ParseError("only messages are binary")
    return Packet(Type.MESSAGE, from_base64(text[2:]))


def _write_binary(data: bytes) -> bytes:
    return b"%c%b" % (Type.MESSAGE, data)


def _write_base64(data: bytes) -> bytes:
    return b"b%d%b" % (Type.MESSAGE, to_base64(data))


# ---- JSONP ----------------------------------------------------------------------------------------------------


def jsonp_answer(payload: str, index: str) -> bytes:
    """The script that hands a text payload to the client's callback; of ``index`` only the digits count."""
    script = _json(payload).decode().translate(_ENDS_OF_LINE)
    return f"___eio[{_NOT_DIGITS.sub('', index)}]({script});".encode()


def jsonp_body(form: bytes) -> bytes | None:
    """The text payload in a form's ``d``, None if there is not just one.

    Browsers change newlines in forms, so the client writes them as ``\\n``, and ``\\n`` as ``\\\\n``.
    """
    values = [field[2:] for field in form.split(b"&") if field.startswith(b"d=")]
    if len(values) != 1:
        return None
    text = unquote_to_bytes(values[0].replace(b"+", b" "))
    return _NEWLINE.sub(lambda match: rb"\n" if match[1] else b"\n", text)


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise ParseError("not UTF-8") from None
