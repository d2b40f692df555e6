"""The opening handshake of a WebSocket, whatever is spoken on it, and the client of a link that was refused."""

from __future__ import annotations

import base64
import binascii

from broadcaster.web.http import Request, Response, text


def websocket_key(request: Request) -> bytes | Response:
    """The key to answer a handshake with, or the answer to one that is none (RFC 6455 §4.2.1)."""
    if request.method != "GET" or "upgrade" not in request.tokens("connection"):
        return text(400, "Bad WebSocket handshake: GET and Connection: Upgrade are required")
    if request.header("sec-websocket-version") != "13":
        return text(426, "Bad WebSocket handshake: version 13 is spoken here", ("Sec-WebSocket-Version", "13"))
    key = (request.header("sec-websocket-key") or "").strip()
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        return text(400, "Bad WebSocket handshake: Sec-WebSocket-Key must be 16 bytes in base64")
    return key.encode()


class Turned:
    """The client of a link that was refused: whatever it still says is not heard."""

    def receive(self, frame: bytes | str) -> None:
        """Nothing."""

    def binary(self, data: bytes) -> None:
        """Nothing."""

    def heard(self, size: int) -> None:
        """Nothing."""

    def gone(self) -> None:
        """Nothing."""
