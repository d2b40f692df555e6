"""Handshakes wait for one another: a storm of them takes a bounded part of each turn, and none is forgotten."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from broadcaster.tls import wrapping
from tests.failures import no_failures
from tests.sockets import Catcher, Peer, listening, run_until, trusting, turn

MANY = 20


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    with no_failures() as failures:
        yield failures


@pytest.fixture
def catcher() -> Catcher:
    return Catcher()


@pytest.fixture
def address(catcher: Catcher) -> Iterator[tuple[str, int]]:
    """Where a listener with TLS is."""
    with listening("sealed", catcher) as connect:
        yield connect().socket.getpeername()


@pytest.fixture
def one_a_turn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Handshakes take no time, so that one is done in each turn; gives the steps that were gone, as they come."""
    monkeypatch.setattr(wrapping, "SLICE", -1.0)
    steps: list[int] = []
    go_on: Callable[[wrapping.Sealing], None] = wrapping.Sealing.go_on

    def counted(link: wrapping.Sealing) -> None:
        steps.append(len(steps))
        go_on(link)

    monkeypatch.setattr(wrapping.Sealing, "go_on", counted)
    return steps


def hello() -> tuple[ssl.SSLObject, ssl.MemoryBIO, bytes]:
    """A client, what it is told with, and its first bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting().wrap_bio(incoming, outgoing, server_hostname="server.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return client, incoming, outgoing.read()


def test_no_more_are_done_in_a_turn_than_there_is_time_for(
    address: tuple[str, int], catcher: Catcher, one_a_turn: list[int]
) -> None:
    peers = [Peer(address) for _ in range(MANY)]
    for peer in peers:
        peer.socket.send(hello()[2])
    before = len(one_a_turn)
    turn(5)
    assert len(one_a_turn) - before <= 5
    run_until(lambda: all(peer.received or peer.read() for peer in peers), "an answer to each")
    assert len(one_a_turn) - before == MANY
    for peer in peers:
        peer.socket.close()
    run_until(lambda: all(each.lost for each in catcher.caught[1:]), "the end")


def test_what_comes_in_pieces_and_while_it_waits_is_taken_in_order(address: tuple[str, int], catcher: Catcher) -> None:
    _, _, first = hello()
    with Peer(address) as peer:
        for start in range(0, len(first), 20):
            peer.socket.send(first[start : start + 20])
            turn(1)
        peer.read_until(lambda data: data.startswith(b"\x16\x03\x03"))


def test_one_that_is_gone_before_its_turn_is_left_out(
    address: tuple[str, int], catcher: Catcher, one_a_turn: list[int]
) -> None:
    peers = [Peer(address) for _ in range(MANY)]
    for peer in peers:
        peer.socket.send(hello()[2])
        peer.socket.close()
    run_until(lambda: len(catcher.caught) > MANY and all(each.lost for each in catcher.caught[1:]), "the end")
    turn(MANY)


def test_one_that_says_too_much_before_it_is_answered_is_cut(
    address: tuple[str, int], catcher: Catcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wrapping.Handshakes, "add", lambda handshakes, link: None)
    with Peer(address) as peer:
        with suppress(ConnectionError):
            for _ in range(5):
                peer.socket.send(b"\x16" * 20_000)
                turn()
        assert peer.read_to_end() == b""
    assert len(catcher.caught[-1].transport._unread) <= wrapping.LARGEST_FLIGHT + 65_536


def test_what_is_no_handshake_ends_its_link_and_no_other(address: tuple[str, int], catcher: Catcher) -> None:
    with Peer(address) as stranger, Peer(address, context=trusting()) as peer:
        stranger.send(b"GET / HTTP/1.1\r\n\r\n")
        stranger.read_to_end()
        peer.send(b"still here")
        run_until(lambda: catcher.caught[-1].received == b"still here", "hearing the peer")
