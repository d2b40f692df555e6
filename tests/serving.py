"""The whole server in the test's own process, on real sockets, and clients that insist on whole frames."""

from __future__ import annotations

import json
import time
from typing import Any, Self

from broadcaster.service import build
from broadcaster.settings import Settings
from tests.inprocess import APP, PUSHER_LIMITS, client_frame, signed
from tests.sockets import Peer, listening, reactor, run_until, turn


class Serving:
    """The whole server in this process, on a real socket of some kind, while the ``with`` block runs.

    Its seconds pass as the reactor runs, and more of them when the test says so.
    """

    def __init__(self, kind: str = "tcp", **more: Any) -> None:
        more.setdefault("limits", PUSHER_LIMITS)
        self.skipped = 0.0
        self.settings = Settings(apps=(APP,), **more)
        self.service = build(reactor, self.settings, clock=lambda: time.monotonic() + self.skipped)
        self._listening = listening(kind, self.service.listeners.factories[0])
        self.publishers: list[Peer] = []

    def __enter__(self) -> Self:
        self.service.startService()
        self.connect = self._listening.__enter__()
        return self

    def __exit__(self, *of: Any) -> None:
        self._listening.__exit__(*of)
        run_until(lambda: not self.service.hub.count(), "the end of all connections")
        stopped: list[object] = []
        self.service.stopService().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of the service")

    def pass_seconds(self, seconds: float) -> None:
        """Be so much later at once."""
        self.skipped += seconds
        self.service._turning.f()
        turn()

    def open(self, early: bytes = b"", **options: Any) -> Browser:
        """A WebSocket client that has been greeted; ``early`` goes into the packet of its handshake."""
        return Browser(self, self.connect(**options), early)

    def publish(self, channel: str, data: str) -> None:
        """Publish by the HTTP API, on one link for all."""
        if not self.publishers:
            self.publishers.append(self.connect())
        body = json.dumps({"name": "e", "channels": [channel], "data": data}).encode()
        target = signed(APP, "POST", f"/apps/{APP.id}/events", body, "", int(time.time()))
        publisher = self.publishers[0]
        publisher.received = b""
        publisher.send(f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = publisher.read_until(lambda data: data.endswith(b"{}"))
        assert answer.startswith(b"HTTP/1.1 200 "), answer


class Browser:
    """A WebSocket client that insists on whole frames."""

    def __init__(self, server: Serving, peer: Peer, early: bytes = b"") -> None:
        self.peer = peer
        self.close: tuple[int, str] | None = None
        self.pongs: list[bytes] = []
        self._read = 0
        head = f"GET /app/{APP.key}?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        peer.send(head.encode() + early)
        answer = peer.read_until(lambda data: b"\r\n\r\n" in data)
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        self._read = answer.index(b"\r\n\r\n") + 4
        self.wait_for("pusher:connection_established")

    def say(self, event: str, data: Any = None, **more: Any) -> None:
        self.peer.send(client_frame(0x1, json.dumps({"event": event, "data": data, **more}).encode()))

    def subscribe(self, channel: str) -> None:
        self.say("pusher:subscribe", {"channel": channel})
        self.wait_for("pusher_internal:subscription_succeeded")

    def wait_for(self, event: str) -> dict[str, Any]:
        """The next event, which must be that."""
        found = self.next()
        assert found is not None
        assert found["event"] == event, found
        return found

    def data(self) -> str:
        """The data of the next event, which was published."""
        return str(self.wait_for("e")["data"])

    def next(self) -> dict[str, Any] | None:
        """The next event, or None at a close frame or the end."""
        while True:
            frame = self._frame()
            if frame is None:
                return None
            opcode, payload = frame
            assert self.close is None, "nothing follows a close frame"
            if opcode == 0x1:
                event: dict[str, Any] = json.loads(payload)
                return event
            if opcode == 0x8:
                self.close = int.from_bytes(payload[:2], "big"), payload[2:].decode()
                return None
            if opcode == 0xA:
                self.pongs.append(payload)

    def rest(self) -> list[dict[str, Any]]:
        """All events up to a close frame or the end."""
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        return events

    def _frame(self) -> tuple[int, bytes] | None:
        run_until(lambda: self.peer.read() or self._whole() or self.peer.ended, "a frame")
        while not self._whole():
            if self.peer.ended:
                assert len(self.peer.received) == self._read or self.peer.reset, "half a frame at the end"
                return None
            run_until(lambda: self.peer.read() or self.peer.ended, "the rest of a frame")
        raw, at = self.peer.received, self._read
        start, size = self._sizes()
        self._read = at + start + size
        frame = raw[at] & 0x0F, raw[at + start : self._read]
        if self._read > 1_000_000:
            self.peer.received, self._read = raw[self._read :], 0
        return frame

    def _whole(self) -> bool:
        waiting = len(self.peer.received) - self._read
        return waiting >= 2 and waiting >= sum(self._sizes())

    def _sizes(self) -> tuple[int, int]:
        head = self.peer.received[self._read : self._read + 10]
        size = head[1]
        if size < 126:
            return 2, size
        wide = 2 if size == 126 else 8
        return 2 + wide, int.from_bytes(head[2 : 2 + wide], "big")
