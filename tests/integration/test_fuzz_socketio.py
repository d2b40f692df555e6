"""Hostile bytes in Engine.IO's sessions, by polling, WebSocket and the way from one to the other: see `test_fuzz`."""

from __future__ import annotations

import re
import time
from contextlib import suppress

import pytest

from tests.integration.mutations import Mutations
from tests.integration.test_fuzz import SECONDS, SEED
from tests.integration.vitals import descriptors, metric
from tests.integration.wire import HANDSHAKE, Peer
from tests.processes import CONFIG, Server, get, until

pytestmark = pytest.mark.real

IMPATIENT = CONFIG + "[socketio]\nping_interval = 1\nping_timeout = 1\n"
"""Sessions that are left alone end soon."""


def test_random_and_nearly_valid_packets_fail_nothing_and_leave_nothing_open() -> None:
    mutations = Mutations(SEED)
    with Server(IMPATIENT) as server:
        files = descriptors(server)
        deadline = time.monotonic() + SECONDS / 2
        while time.monotonic() < deadline:
            with Peer(server) as peer, suppress(ConnectionError):
                revision = mutations.one_of((3, 4))
                exchange = mutations.one_of((polled, upgraded, spoken))
                answer = exchange(peer, mutations, revision)
                assert b"Internal error" not in answer and b"HTTP/1.1 50" not in answer, answer
        until(lambda: metric(server, "broadcaster_connections") == 0, "the end of all sessions")
        until(lambda: descriptors(server) <= files, "the return of the descriptors")
        assert metric(server, "broadcaster_channels") == 0
        assert get(f"{server.url}/socket.io/?EIO=4&transport=polling")[0] == 200


def polled(peer: Peer, mutations: Mutations, revision: int) -> bytes:
    """A session whose client posts nonsense and polls now and then."""
    target = session(peer, revision)
    for _ in range(3):
        body = mutations.engine_payload(revision)
        kind = "application/octet-stream" if mutations.maybe(0.1) else "text/plain"
        peer.send(head("POST", target, f"Content-Type: {kind}", f"Content-Length: {len(body)}") + body)
        if mutations.maybe(0.3):
            peer.send(head("GET", target + mutations.one_of(("", "&j=0", "&b64=1"))))
    return peer.finish()


def upgraded(peer: Peer, mutations: Mutations, revision: int) -> bytes:
    """A session that becomes a WebSocket, or nearly."""
    target = session(peer, revision).replace("polling", "websocket")
    probe = b"\x81\x86\0\0\0\x002probe" + (b"\x81\x81\0\0\0\x005" if mutations.maybe(0.8) else b"")
    peer.send(websocket(target) + mutations.one_of((probe, b"")) + mutations.engine_frames())
    return peer.finish()


def spoken(peer: Peer, mutations: Mutations, revision: int) -> bytes:
    """A session that is a WebSocket from the beginning."""
    peer.send(websocket(f"/socket.io/?EIO={revision}&transport=websocket"))
    for piece in mutations.pieces(mutations.engine_frames()):
        peer.send(piece)
    return peer.finish()


def session(peer: Peer, revision: int) -> str:
    """Where the new session is found that a poll opens."""
    target = f"/socket.io/?EIO={revision}&transport=polling"
    peer.send(head("GET", target))
    found = re.search(rb"^Content-Length: (\d+)\r$", peer.head(), re.M)
    assert found is not None
    sid = re.search(rb'"sid":"([^"]+)"', peer.read(int(found[1])))
    assert sid is not None
    return f"{target}&sid={sid[1].decode()}"


def head(method: str, target: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def websocket(target: str) -> bytes:
    return re.sub(rb"^GET \S+", b"GET " + target.encode(), HANDSHAKE)
