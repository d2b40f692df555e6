"""python-socketio 4, the other implementation of Socket.IO's protocol 4, beside version 5 on the same channel."""

from __future__ import annotations

import sys
from pathlib import Path
from queue import Queue
from typing import Any

import pusher
import pytest
import socketio

from tests.conftest import require
from tests.integration.echo_application import application
from tests.integration.javascript import Script
from tests.processes import APP_ID, CONFIG, KEY, PATIENCE, SECRET, Server

pytestmark = pytest.mark.real

LIBRARY = Path(sys.prefix) / "python-socketio-4"


class Old(Script):
    """Clients of version 4."""

    def __init__(self, server: Server, transports: str) -> None:
        super().__init__("")
        script = Path(__file__).with_name("python_socketio_4.py")
        self._command = [sys.executable, str(script), str(LIBRARY), server.url, transports]

    def told(self, client: str, event: str) -> list[Any]:
        """The arguments of the first such event."""
        arguments: list[Any] = self.expect(client=client, event=event)["arguments"]
        return arguments


@pytest.mark.parametrize("way", ["polling", "websocket", "polling,websocket"])
def test_e151_e193_python_socketio_4_beside_5(way: str) -> None:
    require(LIBRARY.exists(), "python-socketio 4 is not there (make test)")
    channel = "presence-old"
    heard: Queue[tuple[Any, ...]] = Queue()
    ben = socketio.Client(reconnection=False)
    ben.on("*", lambda *arguments: heard.put(arguments))
    with (
        application() as port,
        Server(f'{CONFIG}\n[apps.auth]\nhost = ["http://127.0.0.1:{port}"]\n') as server,
        Old(server, way) as old,
    ):
        sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=False, host="127.0.0.1", port=server.port)
        try:
            old.write(do="connect", client="ann")
            transport, sid = old.told("ann", "connected")
            assert transport == way.rpartition(",")[2]
            subscribe = {"channel": channel, "auth": {"headers": {"X-User": "ann"}}}
            old.write(do="emit", client="ann", event="subscribe", argument=subscribe)
            _, members = old.told("ann", "presence:subscribed")
            assert [(member["user_id"], member["socketId"]) for member in members] == [("ann", sid)]
            ben.connect(server.url, transports=way.split(","))
            ben.emit("subscribe", {"channel": channel, "auth": {"headers": {"X-User": "ben"}}})
            assert heard.get(timeout=PATIENCE)[0] == "presence:subscribed"
            assert old.told("ann", "presence:joining")[1]["user_id"] == "ben"
            sdk.trigger(channel, "news", {"text": "é😀"})
            assert old.told("ann", "news") == [channel, {"text": "é😀"}]
            assert heard.get(timeout=PATIENCE)[:3] == ("news", channel, {"text": "é😀"})
            whisper = {"channel": channel, "event": "client-b", "data": {"f": {"hex": "01ff"}}}
            old.write(do="emit", client="ann", event="client event", argument=whisper)
            assert heard.get(timeout=PATIENCE)[:3] == ("client-b", channel, {"f": b"\1\xff"})
            ben.emit("client event", {"channel": channel, "event": "client-c", "data": {"f": b"\2"}})
            assert old.told("ann", "client-c") == [channel, {"f": {"hex": "02"}}]
            old.write(do="disconnect", client="ann")
            assert heard.get(timeout=PATIENCE)[:2] == ("presence:leaving", channel)
        finally:
            ben.disconnect()
            sdk._pusher_client.http.session.close()
