"""A peer that says exactly the bytes it is told to, on a socket of its own, and reads no more than it is told to."""

from __future__ import annotations

import hmac
import json
import socket
import struct
import time
from contextlib import suppress
from typing import Any, Self

from broadcaster.settings import App
from tests.inprocess import signed
from tests.processes import APP_ID, KEY, PATIENCE, SECRET, Server

APP = App(id=APP_ID, key=KEY, secrets=(SECRET,))

HANDSHAKE = (
    f"GET /app/{KEY}?protocol=7&client=js&version=8.4.0 HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A client's frame under a mask of zeros, which leaves the payload as it is."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + b"\0\0\0\0" + payload


def command(event: str, **data: Any) -> bytes:
    """What pusher-js says, as a frame."""
    return frame(json.dumps({"event": event, "data": data}).encode())


def auth(socket_id: str, *rest: str) -> str:
    """The application's signature under a subscription (to a channel, as a member) or, with ``:user:``, a sign-in."""
    return f"{KEY}:{hmac.new(SECRET.encode(), ':'.join((socket_id, *rest)).encode(), 'sha256').hexdigest()}"


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """A signed call of the HTTP API; ``path`` comes after ``/apps/<id>``."""
    target = signed(APP, method, f"/apps/{APP_ID}{path}", body, "", int(time.time()))
    return f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


class Peer:
    """A link to the server, open while the ``with`` block runs. ``window`` bounds what the kernel takes in for it."""

    def __init__(self, server: Server, window: int | None = None) -> None:
        self.socket = socket.socket()
        if window is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", server.port))
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def vanish(self) -> None:
        """Go without a word: the kernel resets the link."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def finish(self) -> bytes:
        """Say that nothing more is said, and hear all that still comes."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
        return self.rest()

    def rest(self) -> bytes:
        """All that still comes, until the server ends the link."""
        with suppress(ConnectionError):
            while received := self.socket.recv(65_536):
                self._received += received
        return self._take(len(self._received))

    def read(self, size: int) -> bytes:
        """That many bytes."""
        return self._take(size)

    def head(self) -> bytes:
        """The next HTTP answer up to the empty line that ends its head."""
        while (end := self._received.find(b"\r\n\r\n")) < 0:
            self._receive()
        return self._take(end + 4)

    # ---- WebSocket --------------------------------------------------------------------------------------------

    def open(self) -> Self:
        """Do the handshake and hear the greeting."""
        self.send(HANDSHAKE)
        answer = self.head()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        greeting = self.event()
        assert greeting["event"] == "pusher:connection_established"
        self.socket_id = str(json.loads(greeting["data"])["socket_id"])
        return self

    def subscribe(self, channel: str) -> None:
        """Subscribe, and hear that it is done."""
        self.send(command("pusher:subscribe", channel=channel))
        assert self.event()["event"] == "pusher_internal:subscription_succeeded"

    def event(self) -> dict[str, Any]:
        """The next message; pings are passed over."""
        opcode, payload = self.frame()
        while opcode == PING:
            opcode, payload = self.frame()
        assert opcode == TEXT, (opcode, payload)
        message = json.loads(payload)
        assert isinstance(message, dict)
        return message

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        head = self._take(2)
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return head[0] & 0x0F, self._take(size)

    def _take(self, size: int) -> bytes:
        while len(self._received) < size:
            self._receive()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _receive(self) -> None:
        received = self.socket.recv(1_048_576)
        assert received, "the server has ended the link"
        self._received += received
