"""RFC 6455 as far as a server sends it: finished, unmasked frames, and the answer to the opening handshake.

Of what it receives only the plainest: a text that came whole, in one frame.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
LARGEST_REASON = 123
"""Bytes of UTF-8 that fit into a close frame beside its code (RFC 6455 §5.5)."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented frame; control frames may hold 125 bytes (RFC 6455 §5.2, §5.5)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return b"%c~%c%c%b" % (0x80 | opcode, size >> 8, size & 255, payload)
    return b"%c\x7f%b%b" % (0x80 | opcode, size.to_bytes(8, "big"), payload)


def text_frame(text: bytes) -> bytes:
    """A whole text message."""
    return frame(TEXT, text)


def close_frame(code: int | None, reason: str) -> bytes:
    """A close frame; a reason that is too long is cut between characters, and there is none without a code."""
    if code is None:
        return frame(CLOSE, b"")
    text = reason.encode()[:LARGEST_REASON].decode(errors="ignore").encode()
    return frame(CLOSE, code.to_bytes(2, "big") + text)


def unframed(data: bytes) -> Iterator[str | bytes]:
    """The messages in a sequence of finished frames, text and binary, as `frame` makes them."""
    at = 0
    while at < len(data):
        opcode, size, at = data[at] & 0x0F, data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + wide], "big"), at + wide
        payload = data[at : at + size]
        yield payload if opcode == BINARY else payload.decode()
        at += size


def whole_text(data: bytes, at: int, most: int) -> tuple[bytes, int] | None:
    """The text of the client's frame at ``at``, unmasked, and where the next one begins.

    None if it is anything but a whole message of at most ``most`` and 65,535 bytes that is all there and needs nothing
    but unmasking; then it is for somebody who knows all of RFC 6455.
    """
    if len(data) < at + 6 or data[at] != 0x80 | TEXT:
        return None
    size, start = data[at + 1] - 0x80, at + 6
    if not 0 <= size <= 126:
        return None
    if size == 126:
        size, start = data[at + 2] << 8 | data[at + 3], at + 8
        if size < 126:
            return None
    end = start + size
    if size > most or len(data) < end:
        return None
    # One XOR of two long numbers, which is how the interpreter does it without a step for each byte.
    mask = int.from_bytes((data[start - 4 : start] * (size // 4 + 1))[:size], "little")
    return (int.from_bytes(data[start:end], "little") ^ mask).to_bytes(size, "little"), end


def accept(key: bytes) -> bytes:
    """``Sec-WebSocket-Accept`` for a ``Sec-WebSocket-Key`` (RFC 6455 §4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def switching_protocols(key: bytes, subprotocol: str | None, extension: str | None = None) -> bytes:
    """The whole 101 answer."""
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept(key),
    ]
    if subprotocol is not None:
        lines.append(b"Sec-WebSocket-Protocol: " + subprotocol.encode())
    if extension is not None:
        lines.append(b"Sec-WebSocket-Extensions: " + extension.encode())
    return b"\r\n".join(lines) + b"\r\n\r\n"
