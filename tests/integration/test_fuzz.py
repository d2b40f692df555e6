"""Hostile bytes at every URL and at open WebSockets: no traceback, no 500, nothing kept, and the server still serves.

``FUZZ_SECONDS`` says for how long (a minute finds more than the few seconds of every day), ``FUZZ_SEED`` with what.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import product

import pytest

from tests.integration.mutations import CALLS, HEADERS, Mutations, events, spoilt_everywhere
from tests.integration.vitals import MIB, descriptors, metric, resident
from tests.integration.wire import CLOSE, TEXT, Peer, command, frame, request
from tests.processes import APP_ID, CONFIG, Server, until

pytestmark = pytest.mark.real

SECONDS = float(os.environ.get("FUZZ_SECONDS", "5"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

WARM_UP = 2_000
"""Exchanges after which a server has seen everything once and holds what it will go on holding."""

SLACK = 8 * MIB


UNTOLD = {b"\xff\xfe", b"\xed\xa0\x80"}
"""What is no UTF-8, and therefore no text frame."""


def test_whatever_is_wrong_with_a_command_the_client_is_told_and_stays_connected(server: Server) -> None:
    """Deep JSON, huge numbers, lone surrogates, NUL: each of them in each place of each command."""
    for index in range(len(events("1.1"))):
        for text in spoilt_everywhere(events("1.1")[index]):
            with Peer(server).open() as peer:
                peer.send(frame(text) + command("pusher:ping"))
                heard = [peer.frame()]
                while heard[-1][0] == TEXT and b'"pusher:pong"' not in heard[-1][1]:
                    heard.append(peer.frame())
                opcode, payload = heard[-1]
                if any(untold in text for untold in UNTOLD):
                    assert (opcode, payload[:2]) == (CLOSE, (1007).to_bytes(2, "big")), text
                else:
                    assert opcode == TEXT, (text, payload)


def test_whatever_is_wrong_with_a_call_its_sender_is_told(server: Server) -> None:
    for method, path, body in CALLS:
        for text in spoilt_everywhere(body):
            with Peer(server) as peer:
                peer.send(request(method, path, text))
                assert peer.head()[9:12] in (b"200", b"400", b"413"), text


def test_headers_twice_or_contradicting_each_other_are_refused_or_do_not_matter(server: Server) -> None:
    refused = (b"Host", b"Content-Length", b"Transfer-Encoding")
    for first, second in product(HEADERS, repeat=2):
        with Peer(server) as peer:
            lines = (f"POST /apps/{APP_ID}/events HTTP/1.1".encode(), b"Host: 127.0.0.1", first, second, b"", b"hello")
            peer.send(b"\r\n".join(lines))
            status = peer.finish()[9:12]
            if first.startswith(refused) and first == second:
                assert status == b"400", first
            assert status in (b"100", b"400", b"401"), (first, second, status)


def test_random_and_nearly_valid_bytes_leave_the_server_as_it_was() -> None:
    mutations = Mutations(SEED)
    with Server(CONFIG) as server:
        for _ in range(WARM_UP):
            exchange(server, mutations)
        until(lambda: metric(server, "broadcaster_connections") == 0, "the end of all connections")
        said, memory, files = server.log(), resident(server), descriptors(server)
        exchanges, deadline = 0, time.monotonic() + SECONDS
        with Peer(server).open() as settled:
            settled.subscribe("settled")
            while time.monotonic() < deadline:
                exchange(server, mutations)
                exchanges += 1
                if exchanges % 100 == 0:
                    assert_serves(server, settled, exchanges)
        until(lambda: metric(server, "broadcaster_connections") == 0, "the end of all connections")
        until(lambda: descriptors(server) <= files, "the return of the descriptors")
        assert metric(server, "broadcaster_channels") == 0
        assert resident(server) - memory < SLACK, f"after {exchanges} exchanges"
        assert server.log() == said


def exchange(server: Server, mutations: Mutations) -> None:
    """One hostile link, from its beginning to its end."""
    with Peer(server) as peer, suppress(ConnectionError):
        data = mutations.http() if mutations.maybe(0.5) else mutations.frames(peer.open().socket_id)
        for piece in mutations.pieces(data):
            peer.send(piece)
        if mutations.maybe(0.2):
            peer.vanish()
            return
        answer = peer.finish()
        assert b"Internal error" not in answer and b"HTTP/1.1 50" not in answer, (data, answer)


def assert_serves(server: Server, peer: Peer, number: int) -> None:
    peer.send(command("pusher:ping"))
    assert peer.event()["event"] == "pusher:pong"
    with Peer(server) as publisher:
        publisher.send(request("POST", "/events", b'{"name":"news","channel":"settled","data":"%d"}' % number))
        assert publisher.head().startswith(b"HTTP/1.1 200 ")
    assert peer.event() == {"event": "news", "channel": "settled", "data": str(number)}
