"""Peers that do as they please, on real sockets: what they see, and that nothing of them stays."""

from __future__ import annotations

import gc
import os
import random
import socket
import ssl
import struct
from collections.abc import Callable, Iterator

import pytest

from broadcaster.settings import Limits
from broadcaster.web.frontdoor import IDLE_SECONDS, LINGER_SECONDS, FrontDoor
from broadcaster.web.outbox import Outbox
from broadcaster.web.reading import Reading
from broadcaster.web.websocket import WebSocket
from tests.failures import no_failures
from tests.inprocess import client_frame
from tests.serving import Serving
from tests.sockets import Peer, run_until, turn

pytestmark = pytest.mark.real

TEXT, CLOSE, PING = 0x1, 0x8, 0x9
BODY_BYTES = 100_000
HANDSHAKE = (
    b"GET /app/278d425bdf160c739803?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
UP = b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n"
SUBSCRIBE = client_frame(TEXT, b'{"event":"pusher:subscribe","data":{"channel":"a"}}')


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    with no_failures() as failures:
        yield failures


@pytest.fixture(params=["tcp", "unix", "tls", "wrapped"])
def server(request: pytest.FixtureRequest) -> Iterator[Serving]:
    limits = Limits(body_bytes=BODY_BYTES, frame_bytes=50_000)
    with Serving(request.param, limits=limits) as server:
        yield server


def on(*kinds: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("server", kinds, indirect=True)


def post(size: int) -> bytes:
    return b"POST /apps/3/events HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size


def links() -> int:
    """What this process holds of links, of any kind."""
    gc.collect()
    return sum(isinstance(each, FrontDoor | Reading | Outbox | WebSocket) for each in gc.get_objects())


def statuses(raw: bytes) -> list[int]:
    return [int(piece[:3]) for piece in raw.split(b"HTTP/1.1 ")[1:]]


# ---- HTTP -----------------------------------------------------------------------------------------------------


@on("tcp", "unix", "tls")
@pytest.mark.parametrize("way", ["length", "chunks"])
def test_a_body_too_large_is_answered_although_the_client_still_sends(server: Serving, way: str) -> None:
    peer = server.connect()
    if way == "length":
        peer.send(post(50_000_000))
    else:
        peer.send(b"POST /apps/3/events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    for _ in range(40):
        peer.send(chunk)
    answer = peer.read_until(lambda data: b"limits.body_bytes" in data)
    assert statuses(answer) == [413]
    assert b"Connection: close\r\n" in answer
    peer.read_to_end()
    assert not peer.reset
    server.pass_seconds(LINGER_SECONDS + 1)
    with pytest.raises((ConnectionError, ssl.SSLError)):
        for _ in range(100):
            peer.send(chunk)


@on("tcp", "unix", "wrapped")
def test_a_client_that_has_ended_its_side_gets_its_answers(server: Serving) -> None:
    peer = server.connect()
    peer.send(UP * 3)
    peer.end()
    assert statuses(peer.read_to_end()) == [200, 200, 200]
    assert not peer.reset


def test_requests_and_a_websocket_on_one_link_as_nginx_keeps_it(server: Serving) -> None:
    peer = server.connect()
    for number in range(5):
        peer.send(UP)
        peer.read_until(lambda data, number=number: data.count(b"OK\n") == number + 1)  # type: ignore[misc]
    server.pass_seconds(75)
    peer.send(post(2) + b"{}")
    peer.read_until(lambda data: 401 in statuses(data))
    peer.send(UP + UP + HANDSHAKE + SUBSCRIBE + client_frame(PING, b"at once"))
    raw = peer.read_until(lambda data: data.endswith(b"\x8a\x07at once"))
    assert statuses(raw) == [200] * 5 + [401, 200, 200, 101]
    assert raw.index(b"connection_established") < raw.index(b"subscription_succeeded")


def test_an_idle_link_is_let_go_and_a_dawdling_head_too(server: Serving) -> None:
    idle, dawdling, nothing = server.connect(), server.connect(), server.connect()
    idle.send(UP)
    dawdling.send(UP[:10])
    server.pass_seconds(9)
    dawdling.send(UP[10:11])
    assert not (dawdling.read() or dawdling.ended)
    server.pass_seconds(3)
    assert dawdling.read_to_end() == nothing.read_to_end() == b""
    server.pass_seconds(IDLE_SECONDS - 13)
    idle.read()
    assert not idle.ended
    server.pass_seconds(3)
    assert statuses(idle.read_to_end()) == [200]


@on("tcp", "unix")
def test_a_client_that_asks_and_never_reads_loses_its_link_not_some_answers(server: Serving) -> None:
    peer = server.connect(receive_buffer=8_192)
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n" * 100
    with pytest.raises(ConnectionError):
        for _ in range(1_000):
            peer.send(ask)
    raw = peer.read_to_end()
    bodies = raw.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(bodies) > 2
    assert len(set(bodies[:-1])) == 1, "whole answers, and the last perhaps cut"
    assert bodies[0].startswith(bodies[-1])


# ---- WebSockets -----------------------------------------------------------------------------------------------


def test_who_says_goodbye_gets_it_back_and_the_end(server: Serving) -> None:
    client = server.open()
    client.peer.send(client_frame(CLOSE, b"\x03\xe8done"))
    assert client.rest() == []
    assert client.close == (1000, "done")
    client.peer.read_to_end()
    assert not client.peer.reset
    client.peer.socket.close()
    run_until(lambda: not server.service.hub.count(), "its end")


def test_who_is_told_goodbye_and_answers_gets_the_end_at_once(server: Serving) -> None:
    client = server.open()
    [connection] = server.service.hub.connections()
    connection.close(4200, "bye")
    assert client.rest() == []
    assert client.close == (4200, "bye")
    client.peer.send(client_frame(CLOSE, b"\x10\x68"))
    client.peer.read_to_end()
    assert not client.peer.reset


def test_who_is_told_goodbye_and_only_ends_its_side_is_gone_too(server: Serving) -> None:
    client = server.open()
    [connection] = server.service.hub.connections()
    connection.close(4200, "bye")
    assert client.rest() == []
    client.peer.socket.close()
    run_until(lambda: not server.service.hub.count(), "its end")


@pytest.mark.parametrize("announced", [2**63 - 1, 70_000])
def test_a_message_too_large_is_refused_with_1009_although_it_still_comes(server: Serving, announced: int) -> None:
    client = server.open()
    client.peer.send(b"\x81\xff" + announced.to_bytes(8, "big") + b"mask" + b"x" * 50_000)
    for _ in range(100):
        client.peer.send(b"x" * (200 if announced == 70_000 else 65_536))
    assert client.rest() == []
    assert client.close is not None
    assert client.close[0] == 1009
    if announced == 70_000:
        client.peer.send(client_frame(CLOSE, b"\x03\xf1"))
    else:
        server.pass_seconds(6)
    client.peer.read_to_end()


@pytest.mark.parametrize(
    ("raw", "code"),
    [(b"\x81\x02{}", 1002), (client_frame(TEXT, b"\xff"), 1007), (client_frame(3, b""), 1002)],
    ids=["unmasked", "no UTF-8", "opcode 3"],
)
def test_a_fault_is_named_before_the_link_ends(server: Serving, raw: bytes, code: int) -> None:
    client = server.open()
    client.peer.send(SUBSCRIBE + raw + SUBSCRIBE)
    events = client.rest()
    assert [event["event"] for event in events] == ["pusher_internal:subscription_succeeded"]
    assert client.close is not None
    assert client.close[0] == code
    assert not server.service.hub.count()
    client.peer.send(client_frame(CLOSE, code.to_bytes(2, "big")))
    client.peer.read_to_end()


def test_one_byte_at_a_time_is_heard(server: Serving) -> None:
    peer = server.connect()
    for byte in UP + HANDSHAKE + SUBSCRIBE + client_frame(PING, b"slow"):
        peer.send(bytes([byte]))
    raw = peer.read_until(lambda data: data.endswith(b"\x8a\x04slow"))
    assert b"subscription_succeeded" in raw


def test_a_flood_of_pings_is_answered_and_delays_nobody_for_long(server: Serving) -> None:
    client, other = server.open(), server.open()
    client.peer.send(client_frame(PING, b"p") * 5_000)
    other.say("pusher:ping")
    other.wait_for("pusher:pong")
    client.say("pusher:ping")
    client.wait_for("pusher:pong")
    assert client.pongs == [b"p"] * 5_000


@on("tcp", "unix", "wrapped")
def test_who_ends_its_side_after_a_question_may_still_hear_the_answer(server: Serving) -> None:
    client = server.open()
    client.say("pusher:ping")
    client.peer.socket.shutdown(socket.SHUT_WR)
    assert [event["event"] for event in client.rest()] == ["pusher:pong"]
    run_until(lambda: not server.service.hub.count(), "its end")


@on("tcp", "unix")
def test_a_reset_link_is_gone_and_its_neighbours_hear_on(server: Serving) -> None:
    client, other = server.open(), server.open()
    for each in (client, other):
        each.subscribe("a")
    client.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.peer.socket.close()
    server.publish("a", "1")
    assert other.data() == "1"
    run_until(lambda: server.service.hub.count() == 1, "its end")


# ---- TLS ------------------------------------------------------------------------------------------------------


@on("tls")
def test_a_plain_request_to_a_tls_port_is_no_harm(server: Serving) -> None:
    peer = Peer(server.connect().socket.getpeername())
    try:
        peer.send(UP)
        assert statuses(peer.read_to_end()) == []
    finally:
        peer.socket.close()


@on("tls")
def test_a_tls_handshake_that_never_ends_has_its_time(server: Serving) -> None:
    peer = Peer(server.connect().socket.getpeername())
    try:
        peer.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        server.pass_seconds(9)
        assert not (peer.read() or peer.ended)
        server.pass_seconds(3)
        peer.read_to_end()
    finally:
        peer.socket.close()


@on("tls")
def test_a_tls_peer_that_never_says_goodbye_is_cut(server: Serving) -> None:
    peer = server.connect()
    before = links()
    peer.send(UP.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    peer.read_to_end()
    server.pass_seconds(IDLE_SECONDS + 1)
    run_until(lambda: links() < before, "its end")


# ---- nothing stays --------------------------------------------------------------------------------------------

WAYS: list[tuple[str, Callable[[Peer], object]]] = [
    ("nothing", lambda peer: None),
    ("half a head", lambda peer: peer.send(UP[:9])),
    ("an answer", lambda peer: peer.send(UP)),
    ("unread answers", lambda peer: peer.send(UP * 1_000)),
    ("half a body", lambda peer: peer.send(post(1_000) + b"x" * 500)),
    ("a refusal", lambda peer: peer.send(b"nonsense\r\n\r\n")),
    ("too large a body", lambda peer: peer.send(post(BODY_BYTES + 1))),
    ("an unknown key", lambda peer: peer.send(HANDSHAKE.replace(b"/app/2", b"/app/3"))),
    ("a subscription", lambda peer: peer.send(HANDSHAKE + SUBSCRIBE)),
    ("half a frame", lambda peer: peer.send(HANDSHAKE + SUBSCRIBE[:9])),
    ("a goodbye", lambda peer: peer.send(HANDSHAKE + client_frame(CLOSE, b"\x03\xe8"))),
    ("a fault", lambda peer: peer.send(HANDSHAKE + b"\x81\x02{}")),
]


@pytest.mark.parametrize("way", [way for _, way in WAYS], ids=[name for name, _ in WAYS])
def test_whoever_vanishes_leaves_nothing(server: Serving, way: Callable[[Peer], object]) -> None:
    before, descriptors = links(), len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        peer = server.connect()
        way(peer)
        peer.socket.close()
    turn()
    run_until(lambda: links() == before, "the end of all that")
    run_until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors, "the return of the descriptors")
    assert server.service.hub.count() == 0


def test_random_bytes_and_mangled_requests_leave_nothing_and_fail_nothing(server: Serving) -> None:
    dice = random.Random(6455)
    good = UP + post(5) + b"hello" + HANDSHAKE + SUBSCRIBE + client_frame(PING, b"p")
    before = links()
    for _ in range(100):
        raw = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(raw))
            raw[at : at + dice.randrange(3)] = dice.randbytes(dice.randrange(4))
        peer = server.connect()
        for start in range(0, len(raw), 97):
            if peer.ended:
                break
            try:
                peer.send(bytes(raw[start : start + 97]))
            except OSError:
                break
            peer.read()
        peer.socket.close()
    server.pass_seconds(IDLE_SECONDS + 1)
    server.pass_seconds(10)
    run_until(lambda: links() == before, "the end of all that")
    again = server.open()
    again.subscribe("a")
