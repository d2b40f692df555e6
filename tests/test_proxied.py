"""Listeners whose links begin with a PROXY header: on every kind of socket, from proxies, strangers and the silent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock

from broadcaster.counters import Counters
from broadcaster.service import BroadcasterService, build
from broadcaster.settings import TLS as TLSTable
from broadcaster.settings import App, Server, Settings
from tests.sockets import Peer, certificate, reactor, run_until, trusting, turn
from tests.test_proxy_header import BAD, INET, TLS, binary

# Twisted's own ``ssl:`` makes its certificates by a call that pyOpenSSL deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

V1 = b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n"
V2 = binary(block=INET)
LOCAL = binary(command=0x20)
UNKNOWN = b"PROXY UNKNOWN\r\n"

ASK = b"GET /app/key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
ASK += b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
UP = b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n"


class House:
    """A server with one listener behind a proxy; ``peers`` tells whom its connections are from."""

    def __init__(self, service: BroadcasterService, connect: Callable[[], Peer], clock: Clock) -> None:
        self.service = service
        self.connect = connect
        self.clock = clock

    @property
    def peers(self) -> list[str]:
        return [connection._transport.peer for connection in self.service.hub.connections()]  # type: ignore[attr-defined]

    @property
    def counters(self) -> Counters:
        return self.service.hub._counters

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            self.service._turning.f()
        turn()


@contextmanager
def house(
    kind: str, folder: Path, trusted: tuple[str, ...] = ("127.0.0.1",), tls_only: bool = False
) -> Iterator[House]:
    pem = folder / "server.pem"
    pem.write_bytes(certificate())
    path = str(folder / "socket")
    listen = {
        "tcp": "haproxy:tcp:0:interface=127.0.0.1",
        "unix": f"haproxy:unix:{path}",
        "ssl": f"haproxy:ssl:0:interface=127.0.0.1:privateKey={pem}:certKey={pem}",
        "tls": "haproxy:tls:0:interface=127.0.0.1",
    }[kind]
    app = App(id="1", key="key", secrets=("secret",), tls_only=tls_only)
    clock = Clock()
    server = Server(listen=(listen,), trusted_proxies=trusted)
    settings = Settings(apps=(app,), tls=TLSTable(certificate=str(pem)), server=server)
    service = build(reactor, settings, clock.seconds)
    service.bind()
    (address,) = service.listeners.addresses
    peers: list[Peer] = []

    def connect() -> Peer:
        peers.append(Peer(path if kind == "unix" else ("127.0.0.1", address.port)))
        return peers[-1]

    try:
        yield House(service, connect, clock)
    finally:
        for peer in peers:
            peer.socket.close()
        stopped: list[Any] = []
        service.listeners.close().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of listening")
        run_until(lambda: not service.hub.connections(), "the end of the links")


def over_tls(peer: Peer) -> Peer:
    """The TLS handshake, after what was sent in the clear."""
    peer.socket = trusting().wrap_socket(peer.socket, do_handshake_on_connect=False)
    peer._wait_for(peer.socket.do_handshake)
    return peer


KINDS = pytest.mark.parametrize("kind", ("tcp", "unix", "ssl", "tls"))


@KINDS
@pytest.mark.parametrize("header", (V1, V2, binary(block=INET + TLS)), ids=("v1", "v2", "v2-ssl"))
def test_the_client_is_whom_the_proxy_names(kind: str, header: bytes, tmp_path: Path) -> None:
    with house(kind, tmp_path) as there:
        peer = there.connect()
        peer.send(header)
        if kind in ("ssl", "tls"):
            over_tls(peer)
        peer.send(ASK)
        assert b"connection_established" in peer.read_until(lambda data: b"established" in data)
        assert there.peers == ["192.0.2.1"]
        assert there.counters.headers_missing == 0


@KINDS
@pytest.mark.parametrize("header", (LOCAL, UNKNOWN), ids=("local", "unknown"))
def test_a_proxy_that_speaks_for_itself_is_the_client(kind: str, header: bytes, tmp_path: Path) -> None:
    with house(kind, tmp_path) as there:
        peer = there.connect()
        peer.send(header)
        if kind in ("ssl", "tls"):
            over_tls(peer)
        peer.send(ASK)
        peer.read_until(lambda data: b"established" in data)
        assert there.peers == ["" if kind == "unix" else "127.0.0.1"]


@pytest.mark.parametrize("header", (V1, V2), ids=("v1", "v2"))
def test_a_stranger_is_served_as_who_it_is(header: bytes, tmp_path: Path) -> None:
    with house("tcp", tmp_path, trusted=("192.0.2.0/24",)) as there:
        peer = there.connect()
        # Who is not believed about itself is not believed about others either, although the header names a proxy.
        peer.send(header + ASK.replace(b"Host: x", b"Host: x\r\nX-Forwarded-For: 203.0.113.5"))
        peer.read_until(lambda data: b"established" in data)
        assert there.peers == ["127.0.0.1"]


def test_a_chain_of_proxies_is_followed(tmp_path: Path) -> None:
    with house("tcp", tmp_path, trusted=("127.0.0.1", "192.0.2.1")) as there:
        peer = there.connect()
        peer.send(V1 + ASK.replace(b"Host: x", b"Host: x\r\nX-Forwarded-For: 203.0.113.5"))
        peer.read_until(lambda data: b"established" in data)
        assert there.peers == ["203.0.113.5"]


@pytest.mark.parametrize(
    ("trusted", "header", "let_in"),
    (
        ("127.0.0.1", binary(block=INET + TLS), True),
        ("127.0.0.1", V2, False),
        ("127.0.0.1", V1, False),
        ("10.1.1.1", binary(block=INET + TLS), False),
    ),
    ids=("tls", "plain", "v1", "stranger"),
)
def test_a_header_of_version_2_tells_that_tls_ended_at_the_proxy(
    trusted: str, header: bytes, let_in: bool, tmp_path: Path
) -> None:
    with house("tcp", tmp_path, trusted=(trusted,), tls_only=True) as there:
        peer = there.connect()
        peer.send(header + ASK)
        said = peer.read_until(lambda data: b"established" in data or b"4000" in data)
        assert (b"established" in said) is let_in


@KINDS
@pytest.mark.parametrize("header", (V1, V2), ids=("v1", "v2"))
def test_it_may_come_in_any_pieces(kind: str, header: bytes, tmp_path: Path) -> None:
    with house(kind, tmp_path) as there:
        for cut in range(1, len(header)):
            peer = there.connect()
            peer.send(header[:cut])
            peer.send(header[cut:])
            if kind in ("ssl", "tls"):
                if cut > 2:
                    break
                over_tls(peer)
            peer.send(UP)
            assert peer.read_until(lambda data: b"\r\n\r\n" in data).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("header", (V1, V2), ids=("v1", "v2"))
def test_byte_by_byte_and_all_at_once(header: bytes, tmp_path: Path) -> None:
    with house("tcp", tmp_path) as there:
        slow, fast = there.connect(), there.connect()
        for byte in header + UP:
            slow.send(bytes((byte,)))
        fast.send(header + UP)
        for peer in (slow, fast):
            assert peer.read_until(lambda data: b"\r\n\r\n" in data).startswith(b"HTTP/1.1 200")


@KINDS
def test_whatever_else_comes_first_is_closed_without_a_word_and_counted(kind: str, tmp_path: Path) -> None:
    with house(kind, tmp_path) as there:
        for count, garbage in enumerate((UP, ASK, *BAD), 1):
            peer = there.connect()
            peer.send(garbage)
            assert peer.read_to_end() == b""
            assert there.counters.headers_missing == count
        assert there.peers == []


@KINDS
@pytest.mark.parametrize("begun", (b"", V1[:-1], V2[:-1]), ids=("nothing", "v1", "v2"))
def test_whoever_sends_no_header_in_time_is_let_go(kind: str, begun: bytes, tmp_path: Path) -> None:
    with house(kind, tmp_path) as there:
        peer = there.connect()
        if begun:
            peer.send(begun)
        there.pass_seconds(9)
        peer.read()
        assert not peer.ended
        there.pass_seconds(3)
        assert peer.read_to_end() == b""
        assert there.counters.headers_missing == 1


def test_after_the_header_the_time_for_the_request_is_bounded_too(tmp_path: Path) -> None:
    with house("tcp", tmp_path) as there:
        peer = there.connect()
        peer.send(V1)
        there.pass_seconds(12)
        there.pass_seconds(3)
        assert peer.read_to_end() == b""
        assert there.counters.headers_missing == 0


def test_who_only_looks_whether_the_port_is_open_is_not_counted(tmp_path: Path) -> None:
    with house("tcp", tmp_path) as there:
        there.connect().socket.close()
        peer = there.connect()
        peer.send(V1[:7])
        peer.end()
        assert peer.read_to_end() == b""
        assert there.counters.headers_missing == 0


def test_sockets_are_written_to_directly_behind_a_proxy_too(tmp_path: Path) -> None:
    with house("tcp", tmp_path) as there:
        peer = there.connect()
        peer.send(V1 + ASK)
        peer.read_until(lambda data: b"established" in data)
        (connection,) = there.service.hub.connections()
        assert connection._transport._outbox._socket is not None  # type: ignore[attr-defined]
