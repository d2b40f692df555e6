"""WebSocket frames as a client makes them."""

from __future__ import annotations


def client_frame(opcode: int, payload: bytes, fin: bool = True, mask: bytes | None = b"mask", rsv: int = 0) -> bytes:
    """One frame as a client sends it; ``mask`` None leaves it bare, which is forbidden."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    masked = 0x80 if mask is not None else 0
    size = len(payload)
    if size < 126:
        head = bytes((first, masked | size))
    elif size < 65_536:
        head = bytes((first, masked | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, masked | 127)) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
