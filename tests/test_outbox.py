"""What is written leaves in order, together and whole, whatever the socket takes; and who does not read is bounded."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from zope.interface.verify import verifyObject

from broadcaster.counters import Counters
from broadcaster.settings import SlowClient
from broadcaster.web import outbox as outbox_module
from broadcaster.web.outbox import LARGEST_WRITE, Outbox, Turns
from tests.failures import no_failures
from tests.sockets import KINDS, Catcher, Peer, listening, reactor, run_until, turn

PLAIN = ("tcp", "unix")
UNBOUNDED = SlowClient(buffer_bytes=0)
PIECE = 10_000
MUCH = 8_000_000
"""More than the kernel takes of a client that does not read."""

on = pytest.mark.parametrize


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    with no_failures() as failures:
        yield failures


class Link:
    """A client on a real socket, and the server's outbox for it."""

    def __init__(self, peer: Peer, protocol: Any, slow_client: SlowClient) -> None:
        self.peer = peer
        self.protocol = protocol
        self.transport = protocol.transport
        self.counters = Counters()
        self.turns = Turns(reactor, slow_client, self.counters)
        self.outbox = Outbox(self.transport, self.turns)
        self.overflows = 0
        self.raw = self.transport
        while hasattr(self.raw, "wrappedProtocol"):
            self.raw = self.raw.transport
        self.raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)

    def give_up(self) -> None:
        self.overflows += 1

    def block(self) -> bytes:
        """Write until the socket takes no more; gives what was written, a multiple of `PIECE`."""
        written = 0
        while self.outbox._backlog is None:
            assert written < MUCH, "the kernel takes everything"
            self.outbox.write(b"b" * PIECE)
            written += PIECE
            turn()
        return b"b" * written

    def held(self) -> int:
        """Bytes that this process holds for the client."""
        backlog = sum(len(data) for data, _ in self.outbox._backlog or ())
        return backlog + len(self.raw.dataBuffer) - self.raw.offset + self.raw._tempDataLen

    def alive(self) -> bool:
        return self.protocol.lost is None


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def slow_client() -> SlowClient:
    return UNBOUNDED


@pytest.fixture
def link(kind: str, slow_client: SlowClient) -> Iterator[Link]:
    catcher = Catcher()
    with listening(kind, catcher) as connect:
        peer = connect(receive_buffer=32_768)
        run_until(lambda: catcher.caught and catcher.caught[0].transport, "the connection")
        yield Link(peer, catcher.caught[0], slow_client)


class Later:
    """A reactor's timed calls, turn by turn: what a turn asks for is done in the next."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def callLater(self, delay: float, call: Callable[[], object]) -> None:
        assert delay == 0
        self.calls.append(call)

    def turn(self) -> None:
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class Recorder:
    """A socket that remembers what it was asked to send."""

    def __init__(self, real: socket.socket) -> None:
        self.real = real
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> int:
        self.sent.append(data)
        return self.real.send(data)


# ---- a turn ---------------------------------------------------------------------------------------------------


@on("kind", PLAIN, indirect=True)
def test_what_is_written_in_one_turn_leaves_in_one_send(link: Link) -> None:
    recorder = Recorder(link.transport.socket)
    link.outbox._socket = recorder  # type: ignore[assignment]
    for piece in (b"one", b"two", b"three"):
        link.outbox.write(piece)
    assert link.peer.read() == b"", "nothing leaves before the end of the turn"
    turn()
    link.outbox.write(b"four")
    turn()
    assert recorder.sent == [b"onetwothree", b"four"]
    assert link.peer.read_until(lambda data: len(data) == 15) == b"onetwothreefour"
    assert link.counters.bytes_sent == 15


def test_a_single_write_is_passed_on_as_it_is() -> None:
    link = StringTransport()
    written: list[bytes] = []
    link.write = written.append  # type: ignore[method-assign]
    clock = Clock()
    outbox = Outbox(link, Turns(clock, UNBOUNDED, Counters()))
    frame = b"the very object that ten thousand others get"
    outbox.write(frame)
    clock.advance(0)
    assert written[0] is frame


def test_it_is_a_push_producer_for_transports_that_are_not_plain() -> None:
    transport = StringTransport()
    outbox = Outbox(transport, Turns(Clock(), UNBOUNDED, Counters()))
    assert verifyObject(IPushProducer, outbox)
    assert transport.producer is outbox
    assert transport.streaming is True


def test_many_outboxes_cost_one_timed_call_a_turn() -> None:
    later = Later()
    turns = Turns(later, UNBOUNDED, Counters())
    links = [StringTransport() for _ in range(10)]
    for transport in links:
        outbox = Outbox(transport, turns)
        outbox.write(b"a")
        outbox.write(b"b")
    assert len(later.calls) == 1
    later.turn()
    assert [transport.value() for transport in links] == [b"ab"] * 10
    assert not later.calls


# ---- order ----------------------------------------------------------------------------------------------------


@on("kind", PLAIN, indirect=True)
def test_nothing_overtakes_what_the_transport_holds_back(link: Link) -> None:
    link.transport.write(b"the 101 answer ")
    link.outbox.write(b"the first frame")
    turn()
    assert link.peer.read_until(lambda data: data.endswith(b"frame")) == b"the 101 answer the first frame"


def test_order_holds_however_little_the_socket_takes(link: Link) -> None:
    expected = link.block()
    for number in range(100):
        piece = b"%04d" % number * 500
        expected += piece
        link.outbox.write(piece)
        if number % 7 == 0:
            link.peer.read(3_000)
            turn(1)
    assert link.peer.read_until(lambda data: len(data) >= len(expected)) == expected
    link.outbox.write(b"again directly")
    assert link.peer.read_until(lambda data: len(data) > len(expected) + 13) == expected + b"again directly"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    moves=st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(1, 300_000)),
            st.tuples(st.just("read"), st.integers(1, 300_000)),
            st.just(("turn", 1)),
        ),
        max_size=40,
    )
)
def test_any_interleaving_of_writes_and_reads_gives_the_same_stream(link: Link, moves: list[tuple[str, int]]) -> None:
    expected = []
    already = len(link.peer.received)
    for number, (move, size) in enumerate(moves):
        if move == "write":
            expected.append(bytes([number]) * size)
            link.outbox.write(expected[-1])
        elif move == "read":
            link.peer.read(size)
        else:
            turn(1)
    whole = b"".join(expected)
    link.peer.read_until(lambda data: len(data) - already >= len(whole))
    assert link.peer.received[already:] == whole


@on("kind", PLAIN, indirect=True)
def test_a_backlog_goes_to_the_transport_piece_by_piece(link: Link) -> None:
    link.block()
    for _ in range(100):
        link.outbox.write(b"x" * PIECE)
    while link.outbox._backlog:
        link.peer.read(5_000)
        turn(1)
        assert len(link.raw.dataBuffer) + link.raw._tempDataLen <= LARGEST_WRITE + PIECE


def test_what_was_written_before_a_pause_goes_before_what_came_after() -> None:
    transport = StringTransport()
    clock = Clock()
    outbox = Outbox(transport, Turns(clock, UNBOUNDED, Counters()))
    outbox.write(b"before ")
    outbox.pauseProducing()
    outbox.write(b"after ")
    outbox.resumeProducing()
    outbox.write(b"later")
    clock.advance(0)
    assert transport.value() == b"before after later"


def test_a_paused_outbox_goes_on_only_as_far_as_the_transport_lets_it() -> None:
    transport = StringTransport()
    outbox = Outbox(transport, Turns(Clock(), UNBOUNDED, Counters()))
    outbox.pauseProducing()
    pieces = [bytes([65 + number]) * LARGEST_WRITE for number in range(4)]
    for piece in pieces:
        outbox.write(piece)
    written: list[bytes] = []

    def write(data: bytes) -> None:
        written.append(data)
        if len(written) in (2, 3):
            outbox.pauseProducing()

    transport.write = write  # type: ignore[method-assign]
    outbox.resumeProducing()
    assert written == pieces[:2]
    outbox.resumeProducing()
    assert written == pieces[:3]
    outbox.write(b"last")
    outbox.resumeProducing()
    assert written == [*pieces[:3], pieces[3], b"last"]


# ---- the end --------------------------------------------------------------------------------------------------


def test_closing_lets_everything_out_first_and_then_ends_the_link(link: Link) -> None:
    link.outbox.write(b"the last words")
    link.outbox.close()
    assert link.peer.read_to_end() == b"the last words"
    assert not link.peer.reset
    link.peer.socket.close()
    run_until(lambda: not link.alive(), "the end of the link")


def test_closing_with_a_backlog_delivers_it(link: Link) -> None:
    expected = link.block()
    for number in range(50):
        expected += bytes([number]) * PIECE
        link.outbox.write(bytes([number]) * PIECE)
    link.outbox.close()
    turn(10)
    assert link.alive()
    assert link.peer.read_to_end() == expected
    assert not link.peer.reset
    link.peer.socket.close()
    run_until(lambda: not link.alive(), "the end of the link")


def test_closing_again_changes_nothing(link: Link) -> None:
    link.outbox.write(b"once")
    link.outbox.close()
    link.outbox.close()
    assert link.peer.read_to_end() == b"once"
    link.peer.socket.close()
    run_until(lambda: not link.alive(), "the end of the link")
    link.outbox.close()
    link.outbox.write(b"nobody is there")
    turn()


def test_a_link_that_is_closed_while_its_bytes_are_heard_is_heard_to_the_end_of_that(link: Link) -> None:
    def close(data: bytes) -> None:
        link.outbox.write(b"answer")
        link.outbox.close()
        assert link.alive(), "the transport is within its own call"

    link.protocol.dataReceived = close  # type: ignore[method-assign]
    link.peer.send(b"question")
    assert link.peer.read_to_end() == b"answer"
    assert not link.peer.reset
    link.peer.socket.close()
    run_until(lambda: not link.alive(), "the end of the link")


def test_closing_again_asks_nothing_more_of_the_transport() -> None:
    transport = StringTransport()
    outbox = Outbox(transport, Turns(Clock(), UNBOUNDED, Counters()))
    outbox.close()
    outbox.close()
    assert transport.disconnecting
    assert transport.producer is None


@on("kind", ["tcp", "unix", "wrapped"], indirect=True)
def test_a_half_closed_link_says_nothing_more_but_still_hears(link: Link) -> None:
    link.outbox.write(b"no")
    link.outbox.half_close()
    assert link.peer.read_to_end() == b"no"
    link.peer.send(b"x" * 1_000_000)
    run_until(lambda: len(link.protocol.received) == 1_000_000, "hearing the peer")
    assert link.alive()
    link.outbox.close()
    run_until(lambda: not link.alive(), "the end of the link")


@on("kind", ["tls", "sealed"], indirect=True)
def test_half_a_tls_link_is_a_goodbye_that_waits_for_the_peers(link: Link) -> None:
    link.outbox.write(b"no")
    link.outbox.half_close()
    assert link.peer.read_to_end() == b"no"
    assert not link.peer.reset
    assert link.alive()
    link.peer.socket.close()
    run_until(lambda: not link.alive(), "the end of the link")


def test_a_peer_that_vanishes_is_noticed_and_nothing_is_raised(link: Link) -> None:
    link.block()
    link.peer.socket.close()
    for _ in range(5):
        link.outbox.write(b"x" * PIECE)
        turn(1)
    run_until(lambda: not link.alive(), "the end of the link")
    link.outbox.write(b"x")
    turn()
    assert not link.outbox._backlog
    assert not link.outbox._queue


@on("kind", PLAIN, indirect=True)
def test_a_socket_that_breaks_between_two_writes_is_left_to_twisted(link: Link) -> None:
    link.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    link.peer.socket.close()
    link.outbox.write(b"one")
    link.outbox.flush()
    link.outbox.write(b"two")
    link.outbox.flush()
    run_until(lambda: not link.alive(), "the end of the link")


# ---- slow clients ---------------------------------------------------------------------------------------------


@on("slow_client", [SlowClient(buffer_bytes=100_000)])
def test_a_client_that_does_not_read_is_held_no_more_than_it_may(link: Link) -> None:
    link.outbox.overflowed = link.give_up
    blocked = len(link.block())
    most = 0
    while not link.overflows:
        assert link.counters.bytes_sent < MUCH
        link.outbox.write(b"x" * PIECE)
        turn(1)
        most = max(most, link.held())
    # A transport that pauses us does so above 64 KiB of its own, and a turn's worth is in it as well.
    assert most <= 100_000 + 65_536 + 2 * LARGEST_WRITE
    assert link.counters.slow_clients == 1
    link.outbox.write(b"a farewell")
    link.outbox.close()
    stream = link.peer.read_to_end()
    assert stream.endswith(b"a farewell")
    assert len(stream) < blocked + 10 * PIECE
    assert not stream.replace(b"b", b"").replace(b"x" * PIECE, b"").replace(b"a farewell".replace(b"b", b""), b"")


@on("slow_client", [SlowClient(buffer_bytes=100_000)])
def test_without_anybody_to_ask_a_client_that_does_not_read_is_cut(link: Link) -> None:
    link.block()
    for _ in range(200):
        if not link.alive():
            break
        link.outbox.write(b"x" * PIECE)
        turn(1)
    run_until(lambda: not link.alive(), "the end of the link")
    assert link.counters.slow_clients == 1


@on("slow_client", [SlowClient(buffer_bytes=100_000, policy="drop_oldest")])
@on("events", [200, 201])
def test_the_oldest_events_are_dropped_whole_and_nothing_else(link: Link, events: int) -> None:
    link.outbox.overflowed = link.give_up
    blocked = link.block()
    expected = []
    for number in range(events):
        event = b"<%05d%s>" % (number, b"e" * 2_000)
        link.outbox.write(event, expendable=True)
        expected.append(event)
        if number % 20 == 0:
            member = b"<member %05d>" % number
            link.outbox.write(member)
            expected.append(member)
        turn(1)
        assert link.held() <= 100_000 + 65_536 + 2 * LARGEST_WRITE
    assert not link.overflows
    last = expected[-1]
    stream = link.peer.read_until(lambda data: data.endswith(last))[len(blocked) :]
    got = [piece + b">" for piece in stream.split(b">")[:-1]]
    assert b"".join(got) == stream
    missing = [piece for piece in expected if piece not in set(got)]
    assert got == [piece for piece in expected if piece in set(got)], "in order, each once"
    assert missing
    assert all(piece.endswith(b"ee>") for piece in missing), "member lists stay right"
    assert link.counters.writes_dropped == len(missing)
    survivors = [piece for piece in got if piece not in missing and piece.endswith(b"ee>")]
    assert max(missing) < survivors[-1], "the newest is never dropped"


@on("slow_client", [SlowClient(buffer_bytes=100_000, policy="drop_oldest")])
def test_what_may_not_be_dropped_gives_the_client_up_at_last(link: Link) -> None:
    link.outbox.overflowed = link.give_up
    link.block()
    for _ in range(200):
        link.outbox.write(b"m" * 2_000)
        turn(1)
    assert link.overflows >= 1
    assert link.counters.writes_dropped == 0


@on("slow_client", [SlowClient(buffer_bytes=100_000, policy="drop_oldest")])
def test_an_event_larger_than_the_bound_is_dropped_too(link: Link) -> None:
    link.outbox.overflowed = link.give_up
    blocked = link.block()
    link.outbox.write(b"1" * 90_000, expendable=True)
    link.outbox.write(b"2" * 200_000, expendable=True)
    link.outbox.write(b"3" * 100, expendable=True)
    assert not link.overflows
    stream = link.peer.read_until(lambda data: data.endswith(b"3" * 100))[len(blocked) :]
    assert b"2" not in stream


@on("slow_client", [SlowClient(buffer_bytes=1_000)])
@on("kind", ["tcp"], indirect=True)
def test_a_client_that_reads_again_starts_afresh(link: Link) -> None:
    for _ in range(3):
        link.block()
        link.outbox.write(b"x" * 900)
        link.peer.read_until(lambda data: data.endswith(b"x" * 900))
        turn()
        assert link.outbox._backlog is None
        assert link.outbox._backlog_bytes == 0
    assert link.alive()
    assert link.counters.slow_clients == 0


# ---- broadcasting in turns ------------------------------------------------------------------------------------


class Steps:
    """So many steps of broadcasting, each of which writes and takes its time."""

    def __init__(self, later: Later, steps: int, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = steps
        self.seconds = seconds
        self.passed = 0.0
        self.silent = False
        self.transport = StringTransport()
        self.turns = Turns(later, UNBOUNDED, Counters())
        self.outbox = Outbox(self.transport, self.turns)
        self.turns.broadcast_with(self.step)
        monkeypatch.setattr(outbox_module, "perf_counter", lambda: self.passed)

    def step(self) -> bool:
        if self.left:
            self.left -= 1
            self.passed += self.seconds
            if not self.silent:
                self.outbox.write(b".")
        return self.left > 0


def test_broadcasting_takes_a_bounded_part_of_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    later = Later()
    steps = Steps(later, 10, 0.0011, monkeypatch)
    steps.turns.wake()
    sent = []
    while later.calls:
        later.turn()
        sent.append(len(steps.transport.value()))
    assert sent[:5] == [2, 4, 6, 8, 10]
    assert sent[-1] == 10


def test_steps_that_send_nothing_go_on_too(monkeypatch: pytest.MonkeyPatch) -> None:
    later = Later()
    steps = Steps(later, 10, 0.0011, monkeypatch)
    steps.silent = True
    steps.turns.wake()
    while later.calls:
        later.turn()
    assert steps.left == 0
    assert steps.transport.value() == b""


def test_whoever_waits_for_a_turn_is_called_after_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    later = Later()
    steps = Steps(later, 3, 0, monkeypatch)
    seen = []
    for _ in range(2):
        steps.turns.next().addCallback(lambda _: seen.append(steps.transport.value()))
    assert not seen
    later.turn()
    assert seen == [b"...", b"..."]
    steps.turns.next().addCallback(lambda _: seen.append(b"next"))
    assert len(seen) == 2
    later.turn()
    assert seen[2] == b"next"


def test_a_broadcast_that_fails_is_told_and_stops_nothing(logged: list[str]) -> None:
    later = Later()
    transport = StringTransport()
    turns = Turns(later, UNBOUNDED, Counters())
    outbox = Outbox(transport, turns)
    steps = iter([True, ZeroDivisionError(), True, True])

    def step() -> bool:
        outcome = next(steps, False)
        if isinstance(outcome, Exception):
            raise outcome
        outbox.write(b"." * outcome)
        return outcome

    turns.broadcast_with(step)
    waited: list[object] = []
    turns.next().addCallback(waited.append)
    later.turn()
    assert transport.value() == b"..."
    assert waited == [None]
    assert len(logged) == 1
    assert "ZeroDivisionError" in logged[0]
    logged.clear()


def test_what_cannot_wait_is_done_before_each_stride_and_what_it_writes_leaves() -> None:
    later = Later()
    transport = StringTransport()
    turns = Turns(later, UNBOUNDED, Counters())
    outbox = Outbox(transport, turns)
    steps = iter([True, True])

    def step() -> bool:
        outbox.write(b".")
        return next(steps, False)

    turns.broadcast_with(step, lambda: outbox.write(b"!"))
    turns.wake()
    later.turn()
    assert transport.value() == b"!.!.!."


def test_what_broadcasting_writes_needs_no_turn_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    later = Later()
    steps = Steps(later, 3, 0.0, monkeypatch)
    steps.turns.wake()
    later.turn()
    assert steps.transport.value() == b"..."
    assert not later.calls


def test_what_is_asked_for_by_the_last_flush_has_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is given up at the flush leaves its channels, and those who stay must hear of it."""
    later = Later()
    steps = Steps(later, 1, 0.0, monkeypatch)

    class Leaving:
        def flush(self) -> None:
            steps.left += 1
            steps.turns.wake()

    steps.turns.written(Leaving())
    while later.calls:
        later.turn()
    assert (steps.left, steps.transport.value()) == (0, b"..")


def test_a_link_that_cannot_be_flushed_harms_no_other(monkeypatch: pytest.MonkeyPatch, logged: list[str]) -> None:
    later = Later()
    steps = Steps(later, 0, 0.0, monkeypatch)

    class Faulty:
        def flush(self) -> None:
            raise ZeroDivisionError

    for _ in range(2):
        steps.turns.written(Faulty())
        steps.outbox.write(b".")
        while later.calls:
            later.turn()
    assert steps.transport.value() == b".."
    assert len(logged) == 2
    logged.clear()
