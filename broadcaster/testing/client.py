"""A WebSocket client of a server in memory."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from broadcaster.testing.frames import client_frame

if TYPE_CHECKING:
    from broadcaster.testing.server import MemoryServer


class Client:
    """A WebSocket client: sends what it is told to, and reads the server's frames.

    It insists on what holds for every frame of the server, whatever the test is about. ``early`` is sent in one packet
    with the handshake.
    """

    def __init__(
        self, server: MemoryServer, target: str, headers: dict[str, str] | None = None, early: bytes = b"", **link: Any
    ) -> None:
        self.server = server
        server.clients.append(self)
        self.link = server.link(**link)
        self.received = b""
        self.head = ""
        self.close_code: int | None = None
        self.close_reason = ""
        self.pings: list[bytes] = []
        self.pongs: list[bytes] = []
        self.socket_id = ""
        lines = {
            "Host": "server.test",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version": "13",
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        server.feed(self.link, f"GET {target} HTTP/1.1\r\n{head}\r\n".encode() + early)

    # ---- sending ----------------------------------------------------------------------------------------------

    def raw(self, data: bytes) -> None:
        self.server.feed(self.link, data)

    def text(self, text: str) -> None:
        self.raw(client_frame(0x1, text.encode()))

    def say(self, event: str, data: Any = None, **more: Any) -> None:
        self.text(json.dumps({"event": event, **({} if data is None else {"data": data}), **more}))

    def subscribe(self, channel: str, member: dict[str, Any] | str | None = None, **more: Any) -> None:
        """Subscribe, rightly signed; presence channels need a ``member``."""
        data: dict[str, Any] = {"channel": channel}
        if channel.startswith(("private-", "presence-")):
            text = self.name()
            text = f"{text}:{channel}"
            if member is not None:
                data["channel_data"] = member if isinstance(member, str) else json.dumps(member)
                text += f":{data['channel_data']}"
            app = self.server.settings.apps[0]
            data["auth"] = f"{app.key}:{hmac.new(app.secrets[0].encode(), text.encode(), 'sha256').hexdigest()}"
        self.say("pusher:subscribe", data | more)

    def sign_in(self, user: dict[str, Any] | str, secret: str | None = None, **more: Any) -> None:
        """Say that this is ``user``, rightly signed (with the newest secret unless another is named)."""
        user_data = user if isinstance(user, str) else json.dumps(user)
        app = self.server.settings.apps[0]
        text = f"{self.name()}::user::{user_data}"
        signature = hmac.new((secret or app.secrets[0]).encode(), text.encode(), "sha256").hexdigest()
        self.say("pusher:signin", {"auth": f"{app.key}:{signature}", "user_data": user_data} | more)

    def leave(self, code: int = 1000) -> None:
        """Close, or answer the server's close, as a well-behaved client does."""
        self.raw(client_frame(0x8, code.to_bytes(2, "big")))

    def drop(self) -> None:
        """Vanish without a word."""
        self.server.drop(self.link)
        self.server.turn()

    # ---- reading ----------------------------------------------------------------------------------------------

    def name(self) -> str:
        """This client's socket id."""
        if not self.socket_id:
            for event in self.events():
                if event["event"] == "pusher:connection_established":
                    self.socket_id = json.loads(event["data"])["socket_id"]
        return self.socket_id

    def events(self) -> list[dict[str, Any]]:
        """The JSON frames since the last call; control frames go to `pings`, `pongs` and `close_code`."""
        self.server.turn()
        self.received += self.link.take()
        if not self.head and b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.head = head.decode("latin-1")
        events = []
        for opcode, payload in self._frames():
            assert self.close_code is None, "nothing follows a close frame"
            if opcode == 0x1:
                event = json.loads(payload)
                assert isinstance(event["event"], str)
                assert type(event["data"]) is (dict if event["event"] == "pusher:error" else str), event
                events.append(event)
                if event["event"] == "pusher:connection_established":
                    self.socket_id = json.loads(str(event["data"]))["socket_id"]
            elif opcode == 0x8:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.close_reason = payload[2:].decode()
            else:
                (self.pings if opcode == 0x9 else self.pongs).append(payload)
        return events

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        while len(self.received) >= 2:
            opcode, size, at = self.received[0] & 0x0F, self.received[1], 2
            assert self.received[0] & 0xF0 == 0x80, "whole frames without reserved bits only"
            assert size < 128, "a server never masks"
            if size >= 126:
                wide = 2 if size == 126 else 8
                size, at = int.from_bytes(self.received[2 : 2 + wide], "big"), 2 + wide
            if len(self.received) < at + size:
                return
            payload, self.received = self.received[at : at + size], self.received[at + size :]
            yield opcode, payload

    @property
    def closed(self) -> bool:
        """Whether the server has let go of the link."""
        with suppress(ValueError):
            self.events()
        return self.link not in self.server.links
