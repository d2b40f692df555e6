"""HTTP/1.1 at the front door: what is answered, in which order, what is refused, and how long anything may take."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from broadcaster.counters import Counters
from broadcaster.settings import Limits, SlowClient
from broadcaster.web.forwarded import TrustedProxies
from broadcaster.web.frontdoor import (
    BODY_SECONDS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    PIPELINED,
    Answer,
    FrontDoors,
    Upgrade,
)
from broadcaster.web.http import Request, Response, text
from broadcaster.web.outbox import Outbox, Turns
from broadcaster.web.transports import hand_over
from broadcaster.wheel import Wheel
from tests.failures import no_failures
from tests.inprocess import InProcess, Link
from tests.sockets import Caught

LIMITS = Limits(handshake_bytes=2_000, handshake_seconds=10, body_bytes=5_000)
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"

on = pytest.mark.parametrize


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    with no_failures() as failures:
        yield failures


class Said(NamedTuple):
    """One answer as a client reads it."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def last(self) -> bool:
        return self.headers.get("connection") == "close"


def read_answers(raw: bytes, head: bool = False) -> list[Said]:
    """All answers in a stream; whatever is no whole answer fails."""
    answers = []
    while raw:
        start, blank, raw = raw.partition(b"\r\n\r\n")
        assert blank, start
        status_line, *lines = start.decode("latin-1").split("\r\n")
        assert status_line.startswith("HTTP/1.1 "), status_line
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = 0 if head else int(headers.get("content-length", 0))
        assert len(raw) >= size
        answers.append(Said(int(status_line.split()[1]), raw[:size], headers))
        raw = raw[size:]
    return answers


class House:
    """Front doors with a site of the test's own: `/slow…` is answered when the test says so, `/ws` is an upgrade."""

    def __init__(self, limits: Limits = LIMITS, proxies: tuple[str, ...] = ()) -> None:
        self.clock = Clock()
        self.wheel = Wheel(0)
        self.turns = Turns(self.clock, SlowClient(), Counters())
        self.asked: list[Request] = []
        self.slow: dict[str, Deferred[Response]] = {}
        self.successors: list[Caught] = []
        trusted = TrustedProxies(proxies)
        self.doors = FrontDoors(self.respond, self.turns, self.wheel, self.clock.seconds, limits, trusted)

    def respond(self, request: Request) -> Answer | Upgrade:
        self.asked.append(request)
        path = request.path
        if path.startswith("/slow"):
            self.slow[path] = Deferred()
            return self.slow[path]
        if path == "/ready":
            return succeed(text(200, path))
        if path == "/broken":
            raise ZeroDivisionError
        if path == "/ws":
            return Upgrade(self.take)
        body = path.encode() + (b" " + request.body if request.body else b"")
        return Response(200, body)

    def take(self, transport: Any, outbox: Outbox) -> Caught:
        outbox.write(b"101 ")
        successor = Caught()
        self.successors.append(successor)
        hand_over(transport, successor)
        return successor

    def enter(self, peer: str = "192.0.2.7", secure: bool = False) -> Visitor:
        return Visitor(self, Link(peer, secure))

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass as the server's second hand does."""
        for _ in range(int(seconds)):
            self.clock.advance(1)
            self.wheel.turn(self.clock.seconds())


class Visitor:
    """A client of the house."""

    def __init__(self, house: House, link: Link) -> None:
        self.house = house
        self.link = link
        link.protocol = house.doors.buildProtocol(type("Address", (), {"host": link.peer_address})())
        link.protocol.makeConnection(link)

    @property
    def gone(self) -> bool:
        """Whether the server has let go, after which nothing is taken from it."""
        return bool(self.link.disconnecting or self.link.disconnected)

    def send(self, data: bytes) -> None:
        if not self.gone:
            self.link.protocol.dataReceived(data)
            self.house.clock.advance(0)

    def trickle(self, data: bytes, size: int = 1) -> None:
        for at in range(0, len(data), size):
            self.send(data[at : at + size])

    def get(self, *paths: str) -> None:
        self.send(b"".join(get(path) for path in paths))

    def answers(self, head: bool = False) -> list[Said]:
        return read_answers(self.link.take(), head)

    def paths(self) -> list[str]:
        """Of the answers since the last call, what they were about."""
        return [said.body.decode().strip() for said in self.answers()]

    def lose(self) -> None:
        self.link.protocol.connectionLost(Failure(ConnectionDone()))


def get(path: str, more: bytes = b"") -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: server.test\r\n%b\r\n" % (path.encode(), more)


def post(path: str, body: bytes, more: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: server.test\r\nContent-Length: %d\r\n%b\r\n"
    return head % (path.encode(), len(body), more) + body


def chunked(path: str, *chunks: bytes, trailers: bytes = b"") -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: server.test\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailers + b"\r\n"


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def visitor(house: House) -> Visitor:
    return house.enter()


# ---- order ----------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_their_order(visitor: Visitor) -> None:
    visitor.send(post("/a", b"1") + post("/b", b"22") + get("/c"))
    assert [said.body for said in visitor.answers()] == [b"/a 1", b"/b 22", b"/c"]
    assert not visitor.gone


def test_a_slow_answer_holds_back_those_after_it(house: House, visitor: Visitor) -> None:
    visitor.get("/a", "/slow/1", "/b", "/slow/2", "/c")
    assert visitor.paths() == ["/a"]
    assert list(house.slow) == ["/slow/1"], "one at a time, so that what they do has an order too"
    house.slow["/slow/1"].callback(text(200, "/slow/1"))
    house.clock.advance(0)
    assert visitor.paths() == ["/slow/1", "/b"]
    visitor.get("/d")
    assert visitor.paths() == []
    house.slow["/slow/2"].callback(text(200, "/slow/2"))
    house.clock.advance(0)
    assert visitor.paths() == ["/slow/2", "/c", "/d"]


def test_what_is_refused_is_told_after_the_answers_before_it(house: House, visitor: Visitor) -> None:
    visitor.send(get("/slow") + get("/a") + b"no HTTP at all\r\n\r\n" + get("/b"))
    assert visitor.answers() == []
    assert not visitor.link.half_closed
    visitor.send(get("/c"))
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert [said.status for said in visitor.answers()] == [200, 200, 400]
    assert [request.path for request in house.asked] == ["/slow", "/a"]
    assert visitor.link.half_closed


def test_after_a_request_that_closes_nothing_is_answered_not_even_nonsense(house: House, visitor: Visitor) -> None:
    visitor.send(get("/last", b"Connection: close\r\n") + get("/a") + b"nonsense")
    [said] = visitor.answers()
    assert (said.status, said.body, said.last) == (200, b"/last", True)
    assert visitor.gone
    assert [request.path for request in house.asked] == ["/last"]


def test_however_many_answers_are_there_at_once_the_stack_stands(visitor: Visitor) -> None:
    visitor.get(*["/ready"] * 2_000)
    assert visitor.paths() == ["/ready"] * 2_000


def test_requests_far_ahead_of_their_answers_are_read_no_further(house: House, visitor: Visitor) -> None:
    visitor.get("/slow", *["/a"] * (PIPELINED - 1))
    assert visitor.link.producerState == "producing"
    visitor.get("/a")
    assert visitor.link.producerState == "paused"
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert visitor.link.producerState == "producing"
    assert visitor.paths() == ["/slow"] + ["/a"] * PIPELINED


def test_a_failure_is_one_500_and_the_link_lives(house: House, visitor: Visitor, logged: list[str]) -> None:
    visitor.get("/broken", "/slow", "/a")
    house.slow["/slow"].errback(ZeroDivisionError())
    house.clock.advance(0)
    assert [said.status for said in visitor.answers()] == [500, 500, 200]
    assert len(logged) == 2
    assert not visitor.gone
    logged.clear()


def test_an_answer_for_a_link_that_is_lost_goes_nowhere(house: House, visitor: Visitor) -> None:
    visitor.get("/slow", "/a")
    visitor.lose()
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert [request.path for request in house.asked] == ["/slow"]
    assert not house.wheel._spokes


# ---- upgrades -------------------------------------------------------------------------------------------------


def test_a_websocket_may_be_the_last_of_many_and_gets_what_came_behind_it(house: House, visitor: Visitor) -> None:
    visitor.send(post("/a", b"1") + get("/b") + get("/ws", UPGRADE) + b"\x81\x85maskframes")
    raw = visitor.link.take()
    assert raw.endswith(b"/b101 ")
    assert house.successors[0].received == b"\x81\x85maskframes"
    visitor.send(b" and more")
    assert house.successors[0].received == b"\x81\x85maskframes and more"
    visitor.lose()
    assert house.successors[0].lost is not None


def test_an_upgrade_behind_a_slow_answer_waits_with_all_its_frames(house: House, visitor: Visitor) -> None:
    visitor.send(get("/slow") + get("/ws", UPGRADE) + b"one ")
    assert visitor.link.producerState == "paused", "frames may be many"
    visitor.send(b"two")
    assert not house.successors
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert visitor.link.take().endswith(b"/slow\n101 ")
    assert house.successors[0].received == b"one two"
    assert visitor.link.producerState == "producing"


def test_an_upgrade_that_waited_and_is_refused_ends_the_link_all_the_same(house: House, visitor: Visitor) -> None:
    visitor.send(get("/slow") + get("/not-here", UPGRADE) + b"frames")
    assert visitor.link.producerState == "paused"
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert visitor.paths() == ["/slow", "/not-here"]
    assert visitor.gone


def test_an_upgrade_of_a_link_that_is_half_closed_meanwhile_is_not_begun(house: House, visitor: Visitor) -> None:
    visitor.send(get("/slow") + get("/ws", UPGRADE))
    visitor.link.protocol.readConnectionLost()
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert not house.successors
    assert visitor.gone


def test_an_upgrade_that_is_refused_ends_the_link(visitor: Visitor) -> None:
    visitor.send(get("/not-here", UPGRADE) + b"frames")
    [said] = visitor.answers()
    assert (said.body, said.last) == (b"/not-here", True)
    assert visitor.gone


@on(
    "offer",
    [
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        b"Connection: upgrade\r\nUpgrade: TLS/1.2\r\n",
    ],
)
def test_an_offer_to_speak_something_else_is_answered_as_if_it_were_not_there(visitor: Visitor, offer: bytes) -> None:
    visitor.send(post("/a", b"body", offer) + get("/b", offer) + chunked("/c", b"cc") + get("/ws", UPGRADE))
    raw = visitor.link.take()
    assert raw.endswith(b"101 ")
    assert [said.body for said in read_answers(raw.removesuffix(b"101 "))] == [b"/a body", b"/b", b"/c cc"]


def test_such_an_offer_may_come_in_any_pieces(visitor: Visitor) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n"
    visitor.trickle(post("/a", b"x" * 100, offer) * 2)
    assert [said.body for said in visitor.answers()] == [b"/a " + b"x" * 100] * 2


def test_many_such_offers_in_one_packet_are_as_good_as_any(visitor: Visitor) -> None:
    visitor.send(post("/a", b"1", b"Connection: Upgrade\r\nUpgrade: h2c\r\n") * 1_500)
    assert [said.body for said in visitor.answers()] == [b"/a 1"] * 1_500


def test_a_websocket_is_only_for_get_and_http_1_1(house: House, visitor: Visitor) -> None:
    visitor.send(post("/ws", b"body", UPGRADE).replace(b"/ws", b"/a") + get("/b"))
    assert visitor.paths() == ["/a body", "/b"]
    old = house.enter()
    old.send(b"GET /a HTTP/1.0\r\n" + UPGRADE + b"\r\n")
    assert old.paths() == ["/a"]
    assert old.gone


# ---- what is refused ------------------------------------------------------------------------------------------

REFUSED = {
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "two lengths in one": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "a length after chunks": chunked("/", b"x", trailers=b"Content-Length: 1\r\n"),
    "a negative length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
    "an empty length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    "a length beyond numbers": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "chunked not last": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "nearly chunked": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked after a control": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "a chunk size that is none": chunked("/").replace(b"\r\n0\r\n", b"\r\ng\r\n"),
    "a negative chunk size": chunked("/").replace(b"\r\n0\r\n", b"\r\n-1\r\n"),
    "a chunk size in C": chunked("/").replace(b"\r\n0\r\n", b"\r\n0x1\r\n"),
    "a chunk size beyond numbers": chunked("/").replace(b"\r\n0\r\n", b"\r\nfffffffffffffffff\r\n"),
    "a blank after a chunk size": chunked("/").replace(b"\r\n0\r\n", b"\r\n0 \r\n"),
    "chunks with bare line feeds": chunked("/").replace(b"\r\n0\r\n\r\n", b"\r\n0\n\n"),
    "a chunk longer than its size": chunked("/", b"xy").replace(b"2\r\n", b"1\r\n"),
    "obsolete folding": b"GET / HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n",
    "folding of the first header": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a bare line feed after the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "a bare line feed after a header": b"GET / HTTP/1.1\r\nHost: a\n\r\n",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0z\r\n\r\n",
    "NUL in a name": b"GET / HTTP/1.1\r\nHost: a\r\nX\0: y\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two Hosts of HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "an unknown method": b"MAKE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown version": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "another protocol": b"GET / HTCPCP/1.0\r\nHost: a\r\n\r\n",
    "a blank in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a control in the target": b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes in the target": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target that is none": b"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS on a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a frame instead of a handshake": b"\x81\x85maskframe",
}


@on("raw", REFUSED.values(), ids=REFUSED)
@on("size", [1, 7, 10_000])
def test_what_could_be_read_in_two_ways_is_refused_and_the_link_ends(
    house: House, visitor: Visitor, raw: bytes, size: int
) -> None:
    visitor.trickle(raw + get("/smuggled"), size)
    [said] = visitor.answers()
    assert (said.status, said.last) == (400, True)
    assert said.body.startswith(b"Bad request: ")
    assert said.body.count(b"\n") == 1
    assert "/smuggled" not in [request.path for request in house.asked]
    house.pass_seconds(LINGER_SECONDS + 1)
    assert visitor.link.disconnected


@on("raw", REFUSED.values(), ids=REFUSED)
def test_the_same_holds_behind_a_good_request(visitor: Visitor, raw: bytes) -> None:
    visitor.send(get("/good") + raw)
    assert [said.status for said in visitor.answers()] == [200, 400]


# ---- what is taken although it is odd -------------------------------------------------------------------------

TAKEN = {
    "blank lines first": (b"\r\n\r\n" + get("/a"), "/a"),
    "absolute form": (b"GET http://other.test:80/a?b=c HTTP/1.1\r\nHost: a\r\n\r\n", "/a"),
    "absolute form without a path": (b"GET http://other.test HTTP/1.1\r\nHost: a\r\n\r\n", "/"),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "/"),
    "an empty Host": (b"GET /a HTTP/1.1\r\nHost:\r\n\r\n", "/a"),
    "headers in any case": (b"GET /a HTTP/1.1\r\nhOsT: a\r\n\r\n", "/a"),
    "a fragment": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "/a#b"),
    "a chunk with an extension": (chunked("/a").replace(b"\r\n0\r\n", b"\r\n0;name=value\r\n"), "/a"),
    "several chunks": (chunked("/a", b"one", b"two"), "/a onetwo"),
    "a length of nothing": (post("/a", b""), "/a"),
    "a body with GET": (b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "/a x"),
}


@on(("raw", "path"), TAKEN.values(), ids=TAKEN)
@on("size", [1, 10_000])
def test_what_is_odd_but_clear_is_taken(visitor: Visitor, raw: bytes, path: str, size: int) -> None:
    visitor.trickle(raw + get("/next"), size)
    assert visitor.paths() == [path, "/next"]
    assert not visitor.gone


def test_a_request_is_told_as_it_was_on_the_wire(house: House, visitor: Visitor) -> None:
    visitor.send(b"GET /a%2Fb?c=%20d&e HTTP/1.1\r\nHost: h\r\nX-Odd:  \t two  words \t\r\nX-Odd: \xe9\r\n\r\n")
    [request] = house.asked
    assert (request.method, request.path, request.query) == ("GET", "/a%2Fb", "c=%20d&e")
    assert request.headers == [("host", "h"), ("x-odd", "two  words"), ("x-odd", "é")]
    assert (request.peer, request.secure) == ("192.0.2.7", False)


def test_a_mapped_address_is_the_one_it_maps_and_tls_is_secure(house: House) -> None:
    house.enter("::ffff:192.0.2.9", secure=True).get("/a")
    [request] = house.asked
    assert (request.peer, request.secure) == ("192.0.2.9", True)


def test_headers_after_the_body_count_for_nothing() -> None:
    house = House(proxies=("192.0.2.7",))
    trailers = b"Host: b\r\nX-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: https\r\n"
    house.enter().send(chunked("/a", b"body", trailers=trailers) + get("/b"))
    first, second = house.asked
    assert [name for name, _ in first.headers] == ["host", "transfer-encoding"]
    assert (first.peer, first.secure, first.body) == ("192.0.2.7", False, b"body")
    assert second.path == "/b"


def test_connect_is_no_way_to_anywhere(visitor: Visitor) -> None:
    visitor.send(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n" + get("/smuggled"))
    [said] = visitor.answers()
    assert said.last
    assert visitor.gone


# ---- HTTP/1.0, HEAD, Connection -------------------------------------------------------------------------------


@on("more", [b"", b"Connection: keep-alive\r\n", b"Connection: close\r\n"])
def test_an_http_1_0_client_reads_to_the_end_of_the_link(visitor: Visitor, more: bytes) -> None:
    visitor.send(b"GET /a HTTP/1.0\r\n" + more + b"\r\n")
    [said] = visitor.answers()
    assert (said.status, said.body, said.last) == (200, b"/a", True)
    assert visitor.gone


def test_head_is_answered_without_a_body(visitor: Visitor) -> None:
    visitor.send(b"HEAD /abc HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    first, second = visitor.answers(head=True)
    assert first == second
    assert (first.status, first.headers["content-length"], first.last) == (200, "4", False)


def test_close_is_said_and_done(visitor: Visitor) -> None:
    visitor.get("/a")
    [said] = visitor.answers()
    assert not said.last
    assert not visitor.gone
    visitor.send(get("/b", b"Connection: foo, Close\r\n"))
    [said] = visitor.answers()
    assert said.last
    assert visitor.gone


# ---- bounds ---------------------------------------------------------------------------------------------------


@on("size", [1, 100, 10_000])
def test_a_head_within_the_limit_is_taken_in_any_pieces(visitor: Visitor, size: int) -> None:
    visitor.trickle(get("/a", b"".join(b"X-%03d: %b\r\n" % (n, b"v" * 90) for n in range(19))), size)
    assert visitor.paths() == ["/a"]


def test_a_large_body_behind_which_a_head_begins_is_no_large_head(visitor: Visitor) -> None:
    second = get("/b")
    visitor.send(post("/a", b"x" * 4_900) + second[:10])
    visitor.send(second[10:])
    assert [len(path) for path in visitor.paths()] == [4_903, 2]


ENDLESS = {
    "a target": (b"GET /", b"a"),
    "a name": (b"GET / HTTP/1.1\r\n", b"a"),
    "a value": (b"GET / HTTP/1.1\r\nX: ", b"a"),
    "blanks before a value": (b"GET / HTTP/1.1\r\nX:", b" "),
    "headers": (b"GET / HTTP/1.1\r\n", b"a:\r\n"),
    "blank lines": (b"", b"\r\n"),
    "blank lines after an answer": (get("/a"), b"\r\n"),
    "a chunk extension": (chunked("/").removesuffix(b"\r\n\r\n") + b";", b"a"),
    "a trailer": (chunked("/").removesuffix(b"\r\n") + b"X: ", b"a"),
}


@on(("start", "unit"), ENDLESS.values(), ids=ENDLESS)
@on("size", [60, 500])
def test_what_never_ends_is_refused_at_the_limit(visitor: Visitor, start: bytes, unit: bytes, size: int) -> None:
    visitor.send(start)
    sent = 0
    while not visitor.link.half_closed:
        visitor.send(unit * (size // len(unit)))
        sent += size
        assert sent <= LIMITS.handshake_bytes + 2 * size
    said = visitor.answers()[-1]
    assert (said.status, said.last) == (431, True)
    assert b"limits.handshake_bytes = 2000" in said.body


def test_trailers_however_many_are_not_held(visitor: Visitor) -> None:
    visitor.send(chunked("/a", trailers=b"X: y\r\n" * 1_000))
    assert visitor.paths() == ["/a"]
    assert len(visitor.link.protocol._reading._raw) == 2


def test_a_body_too_large_is_refused_by_its_length_before_it_comes(house: House, visitor: Visitor) -> None:
    visitor.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5001\r\nExpect: 100-continue\r\n\r\n")
    [said] = visitor.answers()
    assert (said.status, said.last) == (413, True)
    assert b"limits.body_bytes = 5000" in said.body
    assert not house.asked


@on(
    "request_",
    [
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\nOrigin: https://a.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nOrigin: https://a.test\r\nHost: a\r\nBad Header: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nOrigin: https://a.test\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\norigin: https://a.test\r\nX: " + b"y" * 3_000 + b"\r\n\r\n",
    ],
)
def test_a_page_may_read_what_is_wrong_with_its_request_if_it_said_whose_it_is_before(
    visitor: Visitor, request_: bytes
) -> None:
    visitor.send(request_)
    [said] = visitor.answers()
    assert said.status in (400, 431)
    told = {name: value for name, value in said.headers.items() if name.startswith(("access-", "vary"))}
    if request_.startswith(b"POST"):
        assert told == {}
    else:
        assert told == {
            "access-control-allow-origin": "https://a.test",
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        }


@on("size", [1, 1_000, 4_000])
def test_a_body_too_large_is_refused_once_its_chunks_are(house: House, visitor: Visitor, size: int) -> None:
    visitor.trickle(chunked("/", *[b"x" * size] * (5_000 // size + 1)), 997)
    [said] = visitor.answers()
    assert said.status == 413
    assert visitor.link.half_closed
    assert not visitor.gone, "what the client still sends is taken for a while, or it would never see the answer"
    visitor.send(b"x" * 100_000)
    house.pass_seconds(LINGER_SECONDS + 1)
    assert visitor.link.disconnected


def test_a_body_of_exactly_the_limit_is_taken(visitor: Visitor) -> None:
    visitor.send(post("/a", b"x" * 5_000) + chunked("/b", b"x" * 2_500, b"x" * 2_500))
    assert [said.status for said in visitor.answers()] == [200, 200]


def test_a_limit_of_nothing_is_none() -> None:
    house = House(Limits(handshake_bytes=0, handshake_seconds=0, body_bytes=0))
    visitor = house.enter()
    house.pass_seconds(1_000)
    visitor.send(get("/a", b"X: " + b"y" * 500_000 + b"\r\n") + post("/b", b"x" * 3_000_000))
    assert [said.status for said in visitor.answers()] == [200, 200]


# ---- 100-continue ---------------------------------------------------------------------------------------------


def test_who_asks_before_sending_its_body_is_told_to_go_on(visitor: Visitor) -> None:
    raw = post("/a", b"body", b"Expect: 100-Continue\r\n")
    visitor.send(raw[:-4])
    [said] = visitor.answers()
    assert said.status == 100
    assert "content-length" not in said.headers
    visitor.send(raw[-4:])
    assert visitor.paths() == ["/a body"]


def test_nobody_is_told_to_go_on_before_its_turn(house: House, visitor: Visitor) -> None:
    visitor.send(get("/slow") + post("/a", b"body", b"Expect: 100-continue\r\n")[:-4])
    assert visitor.answers() == []
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    assert [said.status for said in visitor.answers()] == [200, 100]
    visitor.send(b"body")
    assert visitor.paths() == ["/a body"]


def test_http_1_0_knows_no_100(visitor: Visitor) -> None:
    visitor.send(b"POST /a HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx")
    assert visitor.paths() == ["/a x"]


# ---- time -----------------------------------------------------------------------------------------------------


def gone_after(house: House, visitor: Visitor, most: int = 300) -> int:
    """Seconds until the server lets go."""
    for second in range(most):
        if visitor.gone:
            return second
        house.pass_seconds(1)
    raise AssertionError(f"still there after {most} seconds")


def test_who_says_nothing_is_shown_out(house: House, visitor: Visitor) -> None:
    assert 10 <= gone_after(house, visitor) <= 11
    assert visitor.answers() == []


@on("earlier", [b"", get("/earlier")])
def test_a_head_that_comes_byte_by_byte_has_its_time(house: House, earlier: bytes) -> None:
    visitor = house.enter()
    visitor.send(earlier)
    house.pass_seconds(5)
    slow = iter(get("/a", b"X: " + b"y" * 1_000))
    seconds = 0
    while not visitor.gone:
        visitor.send(bytes([next(slow)]))
        house.pass_seconds(1)
        seconds += 1
        assert seconds < 60
    assert 10 <= seconds <= 11


def test_a_body_has_its_time_however_busily_it_trickles(house: House, visitor: Visitor) -> None:
    visitor.send(post("/a", b"x" * 1_000)[:-1_000])
    for second in range(int(BODY_SECONDS) + 1):
        assert visitor.gone is (second >= BODY_SECONDS)
        visitor.send(b"x")
        house.pass_seconds(1)
    assert visitor.gone
    assert not house.asked


def test_a_link_is_kept_for_a_next_request(house: House, visitor: Visitor) -> None:
    for _ in range(3):
        visitor.get("/a")
        house.pass_seconds(76)
    assert visitor.paths() == ["/a"] * 3
    assert not visitor.gone
    visitor.get("/a")
    assert IDLE_SECONDS <= gone_after(house, visitor) <= IDLE_SECONDS + 1


def test_an_answer_that_takes_long_is_waited_for(house: House, visitor: Visitor) -> None:
    visitor.get("/slow")
    house.pass_seconds(1_000)
    assert not visitor.gone
    house.slow["/slow"].callback(text(200, "/slow"))
    house.pass_seconds(80)
    assert not visitor.gone
    assert gone_after(house, visitor) <= IDLE_SECONDS + 1


def test_a_link_that_should_end_but_cannot_is_cut(house: House, visitor: Visitor) -> None:
    visitor.get("/a")
    visitor.link.protocol._outbox.pauseProducing()
    visitor.get("/b")
    visitor.link.loseConnection = lambda: None  # type: ignore[method-assign]
    house.pass_seconds(IDLE_SECONDS + LINGER_SECONDS + 2)
    assert visitor.link.disconnected


def test_a_lost_link_is_off_the_wheel(house: House) -> None:
    for start in (b"", b"GET", get("/a"), get("/slow"), get("/ws", UPGRADE), b"nonsense\r\n"):
        visitor = house.enter()
        visitor.send(start)
        visitor.lose()
    assert not house.wheel._spokes


# ---- half a link ----------------------------------------------------------------------------------------------


def test_it_knows_half_closed_links(visitor: Visitor) -> None:
    assert verifyObject(IHalfCloseableProtocol, visitor.link.protocol)


def test_who_has_nothing_more_to_say_gets_its_answers_and_the_end(house: House, visitor: Visitor) -> None:
    visitor.get("/a", "/slow", "/b")
    visitor.link.protocol.readConnectionLost()
    assert not visitor.gone
    house.slow["/slow"].callback(text(200, "/slow"))
    house.clock.advance(0)
    answers = visitor.answers()
    assert [said.body.strip() for said in answers] == [b"/a", b"/slow", b"/b"]
    assert [said.last for said in answers] == [False, False, True]
    assert visitor.gone


def test_who_ends_in_the_middle_of_a_request_is_let_go(visitor: Visitor) -> None:
    visitor.send(get("/a")[:-2])
    visitor.link.protocol.readConnectionLost()
    assert visitor.gone
    assert visitor.answers() == []


def test_who_was_refused_and_ends_is_let_go(visitor: Visitor) -> None:
    visitor.send(b"nonsense\r\n")
    assert visitor.link.half_closed
    visitor.link.protocol.readConnectionLost()
    assert visitor.gone


# ---- any bytes ------------------------------------------------------------------------------------------------

STREAM = b"".join(
    [
        post("/publish", b'{"name":"e"}'),
        get("/a?b=c", b"X-Long: " + b"v" * 300 + b"\r\n"),
        chunked("/chunked", b"one", b"x" * 40, trailers=b"X: y\r\n"),
        post("/offer", b"body", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"),
        b"\r\nPUT http://h/absolute HTTP/1.1\r\nHost: h\r\n\r\n",
        get("/ready"),
        get("/ws", UPGRADE),
        b"\x81\x85maskframes",
    ]
)


def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    house = House()
    visitor = house.enter()
    for piece in pieces:
        visitor.send(piece)
    asked = [(r.method, r.path, r.query, tuple(r.headers), r.body) for r in house.asked]
    return asked, visitor.link.take(), [successor.received for successor in house.successors]


WHOLE = outcome([STREAM])


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


def test_byte_by_byte_is_as_good_as_at_once() -> None:
    assert len(WHOLE[0]) == 7  # type: ignore[arg-type]
    assert outcome([bytes([byte]) for byte in STREAM]) == WHOLE


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_any_split_of_a_stream_gives_the_same(places: list[int]) -> None:
    assert outcome(cut(STREAM, places)) == WHOLE


FRAGMENTS = [
    *(b"GET ", b"POST ", b"/ws ", b"/slow ", b"* ", b"HTTP/1.1", b"HTTP/1.0", b"CONNECT a:1 "),
    *(b"\r\n", b"\r\n\r\n", b"\n", b"\r", b" ", b"\t", b"\0", b": "),
    *(b"Host: a\r\n", b"Content-Length: ", b"5", b"99999", b"Transfer-Encoding: chunked\r\n"),
    *(b"0\r\n\r\n", b"5\r\nabcde\r\n", b"Expect: 100-continue\r\n", b"x" * 1_500),
    *(b"Connection: ", b"Upgrade", b"close", b"\r\nUpgrade: websocket\r\n", b"h2c"),
    b"GET /a HTTP/1.1\r\nHost: a\r\n",
]
NEARLY = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)), max_size=25)


def survive(pieces: list[bytes]) -> None:
    """Whatever is sent: whole answers or none, no failure, and an end."""
    with no_failures():
        house = House()
        visitor = house.enter()
        for piece in pieces:
            visitor.send(piece)
        for deferred in list(house.slow.values()):
            deferred.callback(text(200, "slow"))
        house.clock.advance(0)
        if not house.successors:
            answers = read_answers(visitor.link.take(), head=False)
            assert all(not said.last for said in answers[:-1])
            house.pass_seconds(IDLE_SECONDS + BODY_SECONDS + LINGER_SECONDS)
            assert visitor.gone
        visitor.lose()
        assert not house.wheel._spokes


@settings(max_examples=150, deadline=None)
@given(NEARLY)
def test_nearly_http_is_answered_or_ended_and_never_fails(pieces: list[bytes]) -> None:
    survive(pieces)
    survive([b"".join(pieces)])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(0, len(STREAM)), st.integers(0, 40))
def test_a_good_stream_with_something_in_it_never_fails(junk: bytes, place: int, missing: int) -> None:
    survive(cut(STREAM[:place] + junk + STREAM[place + missing :], [place, 3 * place]))


def test_what_parsed_a_link_goes_at_once_and_is_no_garbage_to_be_searched_for() -> None:
    def count() -> int:
        return sum(type(thing).__name__ == "HttpRequestParser" for thing in gc.get_objects())

    server = InProcess()
    gc.collect()
    gc.disable()
    try:
        before = count()
        for start in (b"", b"GE", get("/up"), get("/up", b"Connection: close\r\n"), b"nonsense\r\n\r\n"):
            link = server.link()
            server.feed(link, start)
            server.drop(link)
        client = server.open()
        assert count() == before
        client.drop()
    finally:
        gc.enable()
        server.stop()


def test_links_leave_nothing_behind() -> None:
    def visit() -> None:
        for start in (b"", b"GE", get("/up"), post("/x", b"")[:-5], b"nonsense\r\n\r\n", get("/up") * 50):
            link = server.link()
            server.feed(link, start)
            server.drop(link)
        for _ in range(3):
            server.open().drop()
        server.clients.clear()
        server.advance(1)

    def count() -> int:
        gc.collect()
        kinds = ("FrontDoor", "Reading", "Outbox", "WebSocket", "Connection", "Link", "HttpRequestParser")
        return sum(type(thing).__name__ in kinds for thing in gc.get_objects())

    before = count()
    server = InProcess()
    for _ in range(10):
        visit()
    # What other tests' log lines held may go meanwhile: Twisted keeps the last ones until somebody listens.
    assert count() <= before
    server.stop()
