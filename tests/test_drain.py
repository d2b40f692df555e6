"""Who is let go when a server ends, when, and what is waited for: requests under way, perhaps a successor."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.polling import Poller
from tests.inprocess import InProcess, server_with

REQUEST = b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def server() -> Iterator[InProcess]:
    server = InProcess(server=server_with(drain_seconds=2))
    yield server
    server.stop()


def drained(server: InProcess, seconds: float | None = None, wait: bool = False) -> list[object]:
    """Begin; what is given has an item once it is over."""
    over: list[object] = []
    server.service.drain(seconds, wait).addBoth(over.append)
    return over


def test_an_idle_link_is_closed_at_once(server: InProcess) -> None:
    link = server.link()
    server.feed(link, REQUEST)
    over = drained(server)
    server.turn()
    assert link not in server.links
    assert len(over) == 1


def test_a_request_that_is_half_there_is_answered_and_then_its_link_is_closed(server: InProcess) -> None:
    link = server.link()
    server.feed(link, REQUEST[:9])
    over = drained(server)
    server.advance(1)
    assert not over
    server.feed(link, REQUEST[9:])
    answer = link.take()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
    server.advance(0.1)
    assert link not in server.links
    assert len(over) == 1


def test_a_link_that_was_just_accepted_may_still_ask(server: InProcess) -> None:
    link, silent = server.link(), server.link()
    over = drained(server)
    server.advance(0.5)
    assert not over
    server.feed(link, REQUEST)
    assert link.take().startswith(b"HTTP/1.1 200 ")
    server.advance(0.7)
    assert silent not in server.links
    assert len(over) == 1


def test_a_request_that_never_ends_is_not_waited_for_without_end(server: InProcess) -> None:
    server.feed(server.link(), REQUEST[:9])
    over = drained(server)
    server.advance(5)
    assert not over
    server.advance(2)
    assert len(over) == 1


def test_who_polls_keeps_the_link_until_it_is_let_go(server: InProcess) -> None:
    server.joined("a")
    poller = Poller(server, 3)
    poll = poller.get()
    over = drained(server)
    server.publish("a")
    server.advance(0.05)
    while poll.text is None:
        server.advance(0.1)
    answer = poll.answer
    assert answer is not None
    assert (answer.text, "connection" in answer.headers) == ("1:1", False)
    server.advance(10)
    assert len(over) == 1


def test_who_has_a_session_but_never_joined_is_told_at_the_end(server: InProcess) -> None:
    poll = Poller(server, 4).get()
    over = drained(server)
    assert poll.text == "1"
    server.advance(1)
    assert len(over) == 1


def test_who_joins_while_others_are_sent_away_is_sent_away_with_them(server: InProcess) -> None:
    stubborn = server.joined("a")
    late = Poller(server, 4)
    over = drained(server)
    late.say("40")
    server.advance(4)
    assert late.poll().endswith("\x1e1")
    stubborn.events()
    stubborn.leave(4200)
    server.advance(2)
    assert len(over) == 1


def test_a_stop_waits_for_a_successor_though_nobody_is_there(server: InProcess) -> None:
    over = drained(server, 3, wait=True)
    server.advance(2.9)
    assert not over
    server.advance(0.2)
    assert len(over) == 1


def test_and_no_longer_than_until_it_has_one(server: InProcess) -> None:
    over = drained(server, 3, wait=True)
    server.advance(1)
    server.service.drain(600)
    server.advance(0.1)
    assert len(over) == 1


def test_with_a_successor_those_who_are_left_have_the_longer_time(server: InProcess) -> None:
    clients = [server.joined() for _ in range(40)]
    drained(server, 4, wait=True)
    server.advance(2)
    server.service.drain(20)
    gone = []
    for seconds in (10, 10.2):
        server.advance(seconds)
        for client in clients:
            client.events()
        gone.append(sum(client.close_code == 4200 for client in clients))
    assert 27 <= gone[0] <= 32
    assert gone[1] == 40
