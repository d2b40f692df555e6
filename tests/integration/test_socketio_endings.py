"""How Socket.IO sessions end for real: links that are reset, signals; and the application asked over HTTPS."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import socketio

from tests.integration.application import certificate
from tests.integration.echo_application import application
from tests.integration.wire import CLOSE, Peer, frame
from tests.processes import CONFIG, PATIENCE, Server

pytestmark = pytest.mark.real

ROOM = "presence-room"


@pytest.fixture(scope="module")
def asking() -> Iterator[Server]:
    with application() as port, Server(f'{CONFIG}\n[apps.auth]\nhost = ["http://127.0.0.1:{port}"]\n') as server:
        yield server


@pytest.fixture
def told(asking: Server) -> Iterator[Queue[Any]]:
    """What a member of the room hears, once it is one."""
    heard: Queue[Any] = Queue()
    client = socketio.Client(reconnection=False)
    client.on("*", lambda *arguments: heard.put(arguments[:3]))
    client.connect(asking.url, transports=["websocket"])
    client.emit("subscribe", {"channel": ROOM, "auth": {"headers": {"X-User": "watching"}}})
    assert heard.get(timeout=PATIENCE)[0] == "presence:subscribed"
    yield heard
    client.disconnect()


def subscribe(user: str, channel: str = ROOM) -> bytes:
    return b"42" + json.dumps(["subscribe", {"channel": channel, "auth": {"headers": {"X-User": user}}}]).encode()


def opened(peer: Peer, revision: int) -> None:
    """A WebSocket that has joined the namespace."""
    peer.send(
        f"GET /socket.io/?EIO={revision}&transport=websocket HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert peer.head().startswith(b"HTTP/1.1 101 ")
    assert peer.frame()[1].startswith(b"0{")
    if revision == 4:
        peer.send(frame(b"40"))
    assert peer.frame()[1].startswith(b"40")


def polled(peer: Peer, method: str, sid: str = "", body: bytes = b"") -> bytes:
    """The body of one answer of revision 3."""
    request(peer, method, sid, body)
    head = peer.head().decode().lower()
    assert head.startswith("http/1.1 200 "), head
    return peer.read(int(head.partition("content-length: ")[2].partition("\r\n")[0]))


def request(peer: Peer, method: str, sid: str = "", body: bytes = b"") -> None:
    target = "/socket.io/?EIO=3&transport=polling" + (f"&sid={sid}" if sid else "")
    peer.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def session(peer: Peer) -> str:
    opening = polled(peer, "GET").decode()
    return opening.partition('"sid":"')[2].partition('"')[0]


@pytest.mark.parametrize("revision", [3, 4])
def test_e132_a_websocket_that_is_reset_leaves_at_once(asking: Server, told: Queue[Any], revision: int) -> None:
    with Peer(asking) as peer:
        opened(peer, revision)
        peer.send(frame(subscribe("leaving")))
        assert told.get(timeout=PATIENCE)[0] == "presence:joining"
        peer.vanish()
        assert told.get(timeout=PATIENCE) == ("presence:leaving", ROOM, _member("leaving"))


def test_e132_a_poll_that_is_reset_leaves_at_once(asking: Server, told: Queue[Any]) -> None:
    with Peer(asking) as posts, Peer(asking) as poll:
        sid = session(posts)
        packet = subscribe("leaving")
        assert polled(posts, "POST", sid, b"%d:%b" % (len(packet), packet)) == b"ok"
        assert told.get(timeout=PATIENCE)[0] == "presence:joining"
        assert b"presence:subscribed" in polled(poll, "GET", sid)
        request(poll, "GET", sid)
        # What is sent after the poll, and after that was read, is answered when the poll was read too.
        for _ in range(2):
            polled(posts, "POST", sid, b"1:3")
        poll.vanish()
        assert told.get(timeout=PATIENCE) == ("presence:leaving", ROOM, _member("leaving"))


def _member(user: str) -> dict[str, Any]:
    return {"user_id": user, "user_info": {"name": user}}


def test_e192_sigterm_answers_every_poll_and_closes_every_websocket_and_tells_nobody_to_stay_away() -> None:
    with Server() as server, Peer(server) as poll, Peer(server) as old, Peer(server) as new:
        sid = session(poll)
        request(poll, "GET", sid)
        opened(old, 3)
        opened(new, 4)
        server.send(signal.SIGTERM)
        for socket in (old, new):
            assert socket.frame() == (CLOSE, b"")
        assert poll.head().startswith(b"HTTP/1.1 200 ")
        assert poll.read(3) == b"1:1"
        assert server.wait() == 0


@pytest.mark.parametrize(("verify", "told"), [("false", "presence:subscribed"), ("true", "subscription_error")])
def test_the_application_is_asked_over_https(tmp_path: Path, verify: str, told: str) -> None:
    pem = tmp_path / "application.pem"
    pem.write_bytes(certificate())
    heard: Queue[Any] = Queue()
    client = socketio.Client(reconnection=False)
    client.on("*", lambda *arguments: heard.put(arguments))
    with application(pem) as port:
        auth = f'[apps.auth]\nhost = ["https://127.0.0.1:{port}"]\nverify = {verify}\n'
        with Server(f"{CONFIG}\n{auth}") as server:
            client.connect(server.url, transports=["websocket"])
            client.emit("subscribe", {"channel": ROOM, "auth": {"headers": {"X-User": "ann"}}})
            event, channel, said = heard.get(timeout=PATIENCE)
            client.disconnect()
            assert (event, channel) == (told, ROOM)
            if verify == "true":
                assert said == 0
                assert "certificate" in server.log()
            else:
                assert [member["user_id"] for member in said] == ["ann"]
