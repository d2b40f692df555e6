"""A whole server without sockets, processes or waiting: bytes in, bytes out, and time is what the test says it is."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from msgspec.structs import replace
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure

from broadcaster.service import build
from broadcaster.settings import App, Limits, Server, Settings

PUSHER_LIMITS = Limits(event_bytes=10_240, members=100, member_bytes=1_024)
"""What the conformance cases assume."""

APP = App(id="3", key="278d425bdf160c739803", secrets=("7ad3773142a6692b25b8",))
"""Pusher's own published credentials, which the vectors are made with."""

QUERY = "protocol=7&client=js&version=8.4.0"
NOW = 1_353_088_179


class Link(StringTransport):
    """The server's end of a connection that is only memory."""

    def __init__(self, peer: str = "192.0.2.7", secure: bool = False) -> None:
        super().__init__()
        self.peer_address = peer
        self.protocol: Any = None
        self.half_closed = False
        self.read = 0
        if secure:
            self.getPeerCertificate = lambda: None

    def abortConnection(self) -> None:
        self.disconnected = True
        super().abortConnection()

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    def take(self) -> bytes:
        """What the server has sent since the last call."""
        sent = self.value()[self.read :]
        self.read += len(sent)
        return sent


class InProcess:
    """A server built as in production, on a reactor and clocks of the test's own."""

    def __init__(self, *apps: App, **settings: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.wall = float(NOW)
        settings.setdefault("limits", PUSHER_LIMITS)
        self.settings = Settings(apps=apps or (APP,), **settings)
        self.service = build(self.reactor, self.settings, clock=self.reactor.seconds, now=lambda: self.wall)
        self.doors = self.service._listeners[0][2]
        self.service._reactor = self.reactor
        self.links: list[Link] = []
        self.clients: list[Client] = []
        self.service.startService()

    def stop(self) -> None:
        for link in list(self.links):
            self.drop(link)
        self.service.stopService()

    def turn(self) -> None:
        """Let the reactor do what is due now, as often as that makes more due."""
        for _ in range(50):
            self.reactor.advance(0)
            for link in list(self.links):
                if link.disconnecting or link.disconnected:
                    self.drop(link)

    def step(self) -> None:
        """Let the reactor do one thing that is due now, and no more."""
        calls = self.reactor.calls
        if calls and calls[0].getTime() <= self.reactor.seconds():
            call = calls.pop(0)
            call.called = 1
            call.func(*call.args, **call.kw)

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass."""
        self.wall += seconds
        while seconds > 0:
            self.reactor.advance(min(step, seconds))
            seconds -= step
            self.turn()

    def link(self, peer: str = "192.0.2.7", secure: bool = False) -> Link:
        """A fresh connection at the front door."""
        link = Link(peer, secure)
        address = type("Address", (), {"host": peer})()
        link.protocol = self.doors.buildProtocol(address)
        link.protocol.makeConnection(link)
        self.links.append(link)
        return link

    def feed(self, link: Link, data: bytes) -> None:
        """Bytes from the peer."""
        if link in self.links:
            link.protocol.dataReceived(data)
            self.turn()

    def drop(self, link: Link) -> None:
        """The link is gone."""
        if link in self.links:
            self.links.remove(link)
            link.protocol.connectionLost(Failure(ConnectionDone()))

    def http(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None, **link: Any
    ) -> Answer:
        """One request on a link of its own."""
        lines = {"Host": "server.test", "Content-Length": str(len(body)), **(headers or {})}
        if method in ("GET", "OPTIONS", "HEAD") and not body:
            del lines["Content-Length"]
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        at = self.link(**link)
        self.feed(at, f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        self.turn()
        answer = Answer(at.take())
        self.drop(at)
        return answer

    def call(self, method: str, path: str, body: Any = None, query: str = "", app: App | None = None) -> Answer:
        """A signed call of the HTTP API; ``path`` comes after ``/apps/<id>``."""
        app = app or self.settings.apps[0]
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        target = signed(app, method, f"/apps/{app.id}{path}", raw, query, int(self.wall))
        return self.http(method, target, raw)

    def publish(self, channel: str | list[str], name: str = "e", data: Any = "1", **more: Any) -> Answer:
        """Publish one event by the HTTP API."""
        channels = [channel] if isinstance(channel, str) else channel
        return self.call("POST", "/events", {"name": name, "channels": channels, "data": data, **more})

    def open(self, query: str = QUERY, key: str | None = None, path: str | None = None, **options: Any) -> Client:
        """A WebSocket client whose handshake is done; ``headers`` adds to it."""
        path = path if path is not None else f"/app/{key or self.settings.apps[0].key}"
        return Client(self, f"{path}?{query}" if query else path, **options)

    def joined(self, *channels: str, **options: Any) -> Client:
        """A client that is subscribed to ``channels``, its answers read."""
        client = self.open(**options)
        client.events()
        for channel in channels:
            client.subscribe(channel)
        client.events()
        return client


class Answer:
    """An HTTP answer."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if raw else 0
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(self.headers.get("content-length", 0))
        self.body, self.rest = rest[:length], rest[length:]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """A WebSocket client: sends what it is told to, and reads the server's frames.

    It insists on what holds for every frame of the server, whatever the test is about. ``early`` is sent in one packet
    with the handshake.
    """

    def __init__(
        self, server: InProcess, target: str, headers: dict[str, str] | None = None, early: bytes = b"", **link: Any
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
                    self.socket_id = json.loads(event["data"])["socket_id"]
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


def signed(app: App, method: str, path: str, body: bytes, query: str, now: int, **more: str) -> str:
    """The target of a signed call, in the plain form that most SDKs use."""
    parameters = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    parameters |= {"auth_key": app.key, "auth_timestamp": str(now), "auth_version": "1.0", **more}
    if body:
        parameters["body_md5"] = hashlib.md5(body).hexdigest()
    plain = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    signature = hmac.new(app.secrets[0].encode(), f"{method}\n{path}\n{plain}".encode(), "sha256").hexdigest()
    return f"{path}?{plain}&auth_signature={signature}"


def app_with(**changes: Any) -> App:
    """`APP`, changed."""
    return replace(APP, **changes)


def server_with(**changes: Any) -> Server:
    """``[server]`` with some of it changed."""
    return Server(**changes)
