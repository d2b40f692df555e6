"""RFC 6455 as far as a server sends it: finished, unmasked frames, and the answer to the opening handshake."""

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


def texts(data: bytes) -> Iterator[str]:
    """The messages in a sequence of finished text frames, as `text_frame` makes them."""
    at = 0
    while at < len(data):
        size, at = data[at + 1], at + 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size, at = int.from_bytes(data[at : at + wide], "big"), at + wide
        yield data[at : at + size].decode()
        at += size


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
