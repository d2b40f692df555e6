"""A client's WebSocket on a blocking socket: as much of RFC 6455 as it takes to listen to a server that we trust."""

from __future__ import annotations

import os
from base64 import b64encode
from typing import NamedTuple

from broadcaster.cli.reaching import Door, Unreachable
from broadcaster.protocols.frames import CLOSE, PING, PONG, TEXT, accept

_LARGEST_HEAD = 65_536


class Closed(NamedTuple):
    """The server has said goodbye, or the link is lost (1006)."""

    code: int
    reason: str


class WebSocket:
    """An open link. Raises `Unreachable` if none comes about."""

    def __init__(self, door: Door, path: str, headers: dict[str, str]) -> None:
        self._heard = b""
        self._link = door.open()
        try:
            self._shake_hands(door, path, headers)
        except OSError as error:
            self._link.close()
            raise Unreachable(f"{door}: {error.strerror or error}; look into the server's log") from None
        except BaseException:
            self._link.close()
            raise

    def _shake_hands(self, door: Door, path: str, headers: dict[str, str]) -> None:
        key = b64encode(os.urandom(16)).decode()
        fields = {
            "Host": door.host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": key,
            "Sec-WebSocket-Version": "13",
            **headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self._link.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        while b"\r\n\r\n" not in self._heard and len(self._heard) < _LARGEST_HEAD:
            self._hear()
        answer, _, self._heard = self._heard.partition(b"\r\n\r\n")
        status = answer.partition(b"\r\n")[0].decode(errors="replace")
        if " 101 " not in f"{status} " or accept(key.encode()).lower() not in answer.lower():
            raise Unreachable(f"{door} does not speak WebSocket at {path}: {status}")

    def receive(self, seconds: float) -> str | Closed | None:
        """The next text, the end, or None if so long nothing was said."""
        self._link.settimeout(seconds)
        text = b""
        try:
            while True:
                opcode, final, payload = self._frame()
                if opcode == CLOSE:
                    self.send(payload, CLOSE)
                    return Closed(int.from_bytes(payload[:2], "big") or 1005, payload[2:].decode(errors="replace"))
                if opcode == PING:
                    self.send(payload, PONG)
                elif opcode in (TEXT, 0):
                    text += payload
                    if final:
                        return text.decode(errors="replace")
        except TimeoutError:
            return None
        except OSError as error:
            return Closed(1006, error.strerror or "connection lost")

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one frame. Raises `OSError`."""
        size = len(payload)
        if size < 126:
            head = bytes((0x80 | opcode, 0x80 | size))
        elif size < 65_536:
            head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
        else:
            head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
        mask = os.urandom(4)
        pad = (mask * (size // 4 + 1))[:size]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(size, "big")
        self._link.sendall(head + mask + masked)

    def close(self) -> None:
        """Let go."""
        self._link.close()

    def _frame(self) -> tuple[int, bool, bytes]:
        """Leaves what has come of a frame where it is until all of it has."""
        self._need(2)
        size, at = self._heard[1] & 0x7F, 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            self._need(2 + wide)
            size, at = int.from_bytes(self._heard[2 : 2 + wide], "big"), 2 + wide
        self._need(at + size)
        first, payload = self._heard[0], self._heard[at : at + size]
        self._heard = self._heard[at + size :]
        return first & 0x0F, bool(first & 0x80), payload

    def _need(self, size: int) -> None:
        while len(self._heard) < size:
            self._hear()

    def _hear(self) -> None:
        heard = self._link.recv(65_536)
        if not heard:
            raise ConnectionResetError(0, "the server hung up")
        self._heard += heard
