"""Publishing as bytes on a link: bodies that wait, come in chunks or in pieces, links that are kept (P221, P222)."""

from __future__ import annotations

import json

import pytest

from tests.conformance.expected import published
from tests.inprocess import APP, NOW, Answer, InProcess, Link, signed

BODY = b'{"name":"e","channel":"a","data":"1"}'


def request(body: bytes, *headers: str, length: bool = True) -> bytes:
    """A signed publish as it stands on the wire."""
    target = signed(APP, "POST", "/apps/3/events", body, "", NOW)
    lines = [f"POST {target} HTTP/1.1", "Host: server.test", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode()


def answers(link: Link) -> list[Answer]:
    """All that came on a link since the last look."""
    found = []
    rest = link.take()
    while rest:
        found.append(Answer(rest))
        rest = found[-1].rest
    return found


def test_p221_a_client_that_waits_for_100_continue_gets_it_before_its_body(server: InProcess) -> None:
    client = server.joined("a")
    link = server.link()
    server.feed(link, request(BODY, "Expect: 100-continue"))
    assert link.take() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert client.events() == []
    server.feed(link, BODY)
    assert [answer.status for answer in answers(link)] == [200]
    assert client.events() == [published("a", "1")]


@pytest.mark.parametrize("size", (1, 7, len(BODY)))
def test_p222_a_chunked_body_is_read(server: InProcess, size: int) -> None:
    client = server.joined("a")
    chunks = [BODY[start : start + size] for start in range(0, len(BODY), size)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    link = server.link()
    server.feed(link, request(BODY, "Transfer-Encoding: chunked", length=False) + body)
    assert [answer.status for answer in answers(link)] == [200]
    assert client.events() == [published("a", "1")]


def test_p222_a_request_may_come_byte_by_byte(server: InProcess) -> None:
    link = server.link()
    for byte in request(BODY) + BODY:
        server.feed(link, bytes([byte]))
    assert [answer.status for answer in answers(link)] == [200]


def test_p222_a_link_serves_one_request_after_another(server: InProcess) -> None:
    client = server.joined("a")
    link = server.link()
    for _ in range(2):
        server.feed(link, request(BODY) + BODY)
        assert [answer.status for answer in answers(link)] == [200]
    assert len(client.events()) == 2


def test_p222_requests_that_come_together_are_answered_in_order(server: InProcess) -> None:
    server.joined("a")
    bodies = [BODY, b"x", json.dumps({"name": "e", "channel": "a", "data": "1", "info": "subscription_count"}).encode()]
    link = server.link()
    server.feed(link, b"".join(request(body) + body for body in bodies))
    server.turn()
    assert [answer.body for answer in answers(link)] == [
        b"{}",
        b"Invalid JSON\n",
        b'{"channels":{"a":{"subscription_count":1}}}',
    ]


def test_p222_an_idle_link_is_kept_for_75_seconds_at_least_but_not_for_ever(server: InProcess) -> None:
    link = server.link()
    server.feed(link, request(BODY) + BODY)
    server.advance(75)
    server.feed(link, request(BODY) + BODY)
    assert [answer.status for answer in answers(link)] == [200, 200]
    server.advance(100)
    assert link not in server.links


@pytest.mark.parametrize("ends", ("Connection: close", "HTTP/1.0"))
def test_p222_a_link_ends_when_the_client_wants_it_to(server: InProcess, ends: str) -> None:
    link = server.link()
    raw = request(BODY, "Connection: close") if ends != "HTTP/1.0" else request(BODY).replace(b"HTTP/1.1", b"HTTP/1.0")
    server.feed(link, raw + BODY)
    (answer,) = answers(link)
    assert (answer.status, answer.headers.get("connection")) == (200, "close")
    assert link not in server.links
