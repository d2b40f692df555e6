"""A whole server without sockets, processes or waiting: bytes in, bytes out, and time is what the test says it is."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from broadcaster.interfaces import IDriver
from broadcaster.service import build
from broadcaster.settings import App, Settings
from broadcaster.testing.client import Client
from broadcaster.testing.http import Answer, signed
from broadcaster.testing.transport import FakeTransport

APP = App(id="3", key="278d425bdf160c739803", secrets=("7ad3773142a6692b25b8",))
"""Pusher's own published credentials, which the vectors are made with."""

QUERY = "protocol=7&client=js&version=8.4.0"
NOW = 1_353_088_179


class MemoryServer:
    """A server built as in production, on a reactor and clocks of the test's own; started, until `stop`.

    ``apps`` are its applications, by default `APP`; ``using`` is a driver that the test has made, by default the one
    that ``settings`` name: those are the tables of `Settings`.
    """

    def __init__(self, *apps: App, using: IDriver | None = None, **settings: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.wall = float(NOW)
        self.settings = Settings(apps=apps or (APP,), **settings)
        self.service = build(
            self.reactor, self.settings, clock=self.reactor.seconds, now=lambda: self.wall, driver=using
        )
        self.doors = self.service.listeners.factories[0]
        self.service._reactor = self.reactor
        self.links: list[FakeTransport] = []
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

    def link(self, peer: str = "192.0.2.7", secure: bool = False) -> FakeTransport:
        """A fresh connection at the front door."""
        link = FakeTransport(peer, secure)
        address = type("Address", (), {"host": peer})()
        link.protocol = self.doors.buildProtocol(address)
        link.protocol.makeConnection(link)
        self.links.append(link)
        return link

    def feed(self, link: FakeTransport, data: bytes) -> None:
        """Bytes from the peer."""
        if link in self.links:
            link.protocol.dataReceived(data)
            self.turn()

    def drop(self, link: FakeTransport) -> None:
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
