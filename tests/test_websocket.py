"""RFC 6455 as this server receives it: what is heard, what is answered, what ends a link, and that nothing is held."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from broadcaster.counters import Counters
from broadcaster.interfaces import ITransport
from broadcaster.settings import SlowClient
from broadcaster.web.outbox import Outbox, Turns
from broadcaster.web.transports import hand_over
from broadcaster.web.websocket import CLOSE_SECONDS, WebSocket
from broadcaster.wheel import Wheel
from tests.failures import no_failures
from tests.inprocess import InProcess, Link, client_frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
LARGEST = 1_000
LARGEST_HEADER = 14
"""Bytes before the payload of a frame, at most."""

on = pytest.mark.parametrize


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    with no_failures() as failures:
        yield failures


class Talk:
    """A link that is open, and everything that happened on it."""

    def __init__(self, largest: int = LARGEST, inflating: bool = False) -> None:
        self.clock = Clock()
        self.wheel = Wheel(0)
        self.link = Link()
        outbox = Outbox(self.link, Turns(self.clock, SlowClient(), Counters()))
        self.socket = WebSocket(outbox, "192.0.2.7", largest, self.wheel, self.clock.seconds)
        if inflating:
            self.socket.inflate()
        self.socket.client = self
        self.heard_messages: list[str | bytes] = []
        self.bytes_heard = 0
        self.gone_calls = 0
        self.sent: list[tuple[int, bytes]] = []
        self._unread = b""
        hand_over(self.link, self.socket)

    # What the link reports.

    def receive(self, frame: bytes | str) -> None:
        self.heard_messages.append(frame)

    def binary(self, data: bytes) -> None:
        self.heard_messages.append(data)

    def heard(self, size: int) -> None:
        self.bytes_heard += size

    def gone(self) -> None:
        self.gone_calls += 1

    # What the peer does and sees.

    @property
    def over(self) -> bool:
        """Whether the server has let go of the link."""
        return bool(self.link.disconnecting or self.link.disconnected)

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            if not self.over:
                self.socket.dataReceived(piece)
                self.clock.advance(0)
                assert self.socket.failedByMe or len(self.socket.data) < LARGEST_HEADER, "only headers wait"

    def answers(self) -> list[tuple[int, bytes]]:
        """The frames that the server sent since the last call."""
        self.clock.advance(0)
        self._unread += self.link.take()
        frames = []
        while self._unread:
            first, size = self._unread[:2]
            assert first & 0x70 == 0
            assert first & 0x80
            assert size < 126, "nothing here has large answers"
            frames.append((first & 0x0F, self._unread[2 : 2 + size]))
            self._unread = self._unread[2 + size :]
        self.sent += frames
        assert all(opcode != CLOSE for opcode, _ in self.sent[:-1]), "nothing follows a close frame"
        return frames

    def failed_with(self) -> int:
        """The close code that the server sent at last, and that it closed for a fault of the peer's."""
        answers = self.answers()
        assert answers, "no answer"
        opcode, payload = answers[-1]
        assert opcode == CLOSE
        payload[2:].decode()
        return int.from_bytes(payload[:2], "big")

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1)
            self.wheel.turn(self.clock.seconds())

    def lose(self) -> None:
        self.socket.connectionLost(Failure(ConnectionDone()))

    def held(self) -> int:
        """Bytes of the peer's that are kept."""
        socket = self.socket
        pieces = [socket.data]
        for kept in ("message_data", "frame_data", "control_frame_data"):
            pieces += getattr(socket, kept, None) or []
        return sum(map(len, pieces)) + 8 * len(pieces)


@pytest.fixture
def talk() -> Talk:
    return Talk()


def close(code: int, reason: bytes = b"") -> bytes:
    return client_frame(CLOSE, code.to_bytes(2, "big") + reason)


def announced(size: int, opcode: int = TEXT, fin: bool = True) -> bytes:
    """The header of a frame of ``size`` bytes."""
    return bytes(((0x80 if fin else 0) | opcode, 0xFF)) + size.to_bytes(8, "big") + b"mask"


def text(value: str) -> bytes:
    return client_frame(TEXT, value.encode())


# ---- messages -------------------------------------------------------------------------------------------------


def test_it_is_a_transport(talk: Talk) -> None:
    assert verifyObject(ITransport, talk.socket)


@on("size", [0, 1, 125, 126, 127, 1_000])
def test_a_message_of_any_size_is_heard(talk: Talk, size: int) -> None:
    talk.send(text("x" * size))
    assert talk.heard_messages == ["x" * size]
    assert talk.answers() == []


def test_a_message_of_more_than_64_kilobytes_is_heard() -> None:
    talk = Talk(largest=200_000)
    talk.send(client_frame(TEXT, b"x" * 70_000), client_frame(BINARY, b"y" * 200_000))
    assert talk.heard_messages == ["x" * 70_000, b"y" * 200_000]


def test_binary_messages_are_told_as_such(talk: Talk) -> None:
    talk.send(client_frame(BINARY, b"\xff\0"), client_frame(BINARY, b"one", fin=False) + client_frame(0, b"two"))
    assert talk.heard_messages == [b"\xff\0", b"onetwo"]


def test_every_byte_counts_as_a_sign_of_life(talk: Talk) -> None:
    raw = text("hello") + client_frame(PONG, b"")
    talk.send(raw[:1], raw[1:5], raw[5:])
    assert talk.bytes_heard == len(raw)


def test_fragments_are_one_message(talk: Talk) -> None:
    pieces = [b"", b"one ", b"", b"two ", b"three", b""]
    talk.send(client_frame(TEXT, b"", fin=False))
    for piece in pieces:
        talk.send(client_frame(CONTINUATION, piece, fin=False))
        assert talk.heard_messages == []
    talk.send(client_frame(CONTINUATION, b"!"))
    talk.send(text("next"))
    assert talk.heard_messages == ["one two three!", "next"]


def test_control_frames_come_between_fragments(talk: Talk) -> None:
    talk.send(
        client_frame(TEXT, b"one ", fin=False)
        + client_frame(PING, b"p")
        + client_frame(CONTINUATION, b"two", fin=False)
        + client_frame(PONG, b"q")
        + client_frame(CONTINUATION, b"")
    )
    assert talk.heard_messages == ["one two"]
    assert talk.answers() == [(PONG, b"p")]


FRAMES = st.builds(
    client_frame,
    st.sampled_from([TEXT, TEXT, TEXT, CONTINUATION, BINARY, CLOSE, PING, 11]),
    st.one_of(st.text(max_size=80).map(str.encode), st.binary(max_size=80), st.just(b"x" * 300), st.just(b"x" * 1_001)),
    fin=st.sampled_from([True, True, False]),
    mask=st.one_of(st.binary(min_size=4, max_size=4), st.just(b"\0\0\0\0"), st.none()),
    rsv=st.sampled_from([0, 0, 0, 4]),
)


@settings(deadline=None)
@given(st.lists(FRAMES, max_size=6), st.lists(st.integers(0, 2_000), max_size=6), st.booleans())
def test_whole_texts_are_heard_as_if_autobahn_had_read_them(
    frames: list[bytes], cuts: list[int], inflating: bool
) -> None:
    raw = b"".join(frames)
    pieces = [raw[start:end] for start, end in pairwise([0, *sorted(cuts), len(raw)]) if end > start]
    seen = []
    for alone in (False, True):
        talk = Talk(inflating=inflating)
        with patch.object(WebSocket, "_take_texts", lambda socket: None) if alone else nullcontext():
            talk.send(*pieces)
        seen.append((talk.heard_messages, talk.answers(), talk.over, talk.gone_calls, talk.bytes_heard))
    assert seen[0] == seen[1]


def test_a_character_may_be_split_over_fragments(talk: Talk) -> None:
    raw = "añ€😀".encode()
    talk.send(client_frame(TEXT, raw[:1], fin=False))
    for byte in raw[1:]:
        talk.send(client_frame(CONTINUATION, bytes([byte]), fin=False))
    talk.send(client_frame(CONTINUATION, b""))
    assert talk.heard_messages == ["añ€😀"]


@on(
    "raw",
    [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"a\x80", b"\xf0\x9f\x98"],
)
@on("cut", [0, 1])
def test_text_that_is_no_utf_8_closes_with_1007(talk: Talk, raw: bytes, cut: int) -> None:
    talk.send(client_frame(TEXT, raw[:cut], fin=False) + client_frame(CONTINUATION, raw[cut:]) + text("late"))
    assert talk.failed_with() == 1007
    assert talk.heard_messages == []


# ---- control frames -------------------------------------------------------------------------------------------


@on("payload", [b"", b"p", b"\xff" * 125])
def test_a_ping_is_answered_with_what_it_said(talk: Talk, payload: bytes) -> None:
    talk.send(client_frame(PING, payload))
    assert talk.answers() == [(PONG, payload)]


def test_every_ping_of_a_flood_is_answered_in_order(talk: Talk) -> None:
    talk.send(b"".join(client_frame(PING, b"%d" % number) for number in range(3_000)))
    assert talk.answers() == [(PONG, b"%d" % number) for number in range(3_000)]
    assert talk.held() < 100


def test_a_pong_is_not_answered(talk: Talk) -> None:
    talk.send(client_frame(PONG, b"unasked"))
    assert talk.answers() == []


# ---- faults ---------------------------------------------------------------------------------------------------

FAULTS = {
    "unmasked text": client_frame(TEXT, b"{}", mask=None),
    "unmasked nothing": client_frame(TEXT, b"", mask=None),
    "unmasked ping": client_frame(PING, b"p", mask=None),
    "unmasked close": client_frame(CLOSE, b"\x03\xe8", mask=None),
    **{f"reserved bits {rsv}": client_frame(TEXT, b"{}", rsv=rsv) for rsv in range(1, 8)},
    "reserved bits on a ping": client_frame(PING, b"", rsv=4),
    **{f"reserved opcode {opcode}": client_frame(opcode, b"x") for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"reserved opcode {opcode}, empty": client_frame(opcode, b"") for opcode in (3, 7, 11, 15)},
    "a continuation of nothing": client_frame(CONTINUATION, b"x"),
    "an unfinished continuation of nothing": client_frame(CONTINUATION, b"x", fin=False),
    "text inside of a message": client_frame(TEXT, b"x", fin=False) + text("y"),
    "binary inside of a message": client_frame(TEXT, b"x", fin=False) + client_frame(BINARY, b"y"),
    "a fragmented ping": client_frame(PING, b"p", fin=False),
    "a fragmented close": client_frame(CLOSE, b"\x03\xe8", fin=False),
    "a ping of 126 bytes": client_frame(PING, b"p" * 126),
    "a ping of 64 kilobytes": client_frame(PING, b"p" * 65_536),
    "a close of 126 bytes": client_frame(CLOSE, b"\x03\xe8" + b"r" * 124),
    "a close of one byte": client_frame(CLOSE, b"\x03"),
    **{
        f"close code {code}": close(code)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    },
    "a length of 5 in 16 bits": b"\x81\xfe\x00\x05mask" + b"x" * 5,
    "a length of 5 in 64 bits": b"\x81\xff" + (5).to_bytes(8, "big") + b"mask" + b"x" * 5,
    "a length of 65,535 in 64 bits": b"\x81\xff" + (65_535).to_bytes(8, "big") + b"mask",
    "a length of 2⁶³": announced(2**63),
    "a length of 2⁶⁴ - 1": announced(2**64 - 1),
    "a ping of 2⁶² bytes": announced(2**62, PING),
}


@on("raw", FAULTS.values(), ids=FAULTS)
@on("size", [1, 3, 100_000])
def test_what_breaks_the_protocol_closes_with_1002(talk: Talk, raw: bytes, size: int) -> None:
    talk.send(text("before"))
    data = raw + text("after")
    talk.send(*(data[at : at + size] for at in range(0, min(len(data), 3_000), size)))
    assert talk.failed_with() == 1002
    assert talk.heard_messages == ["before"]
    assert talk.gone_calls == 1
    talk.pass_seconds(CLOSE_SECONDS + 1)
    assert talk.over


@on("reason", [b"\xff", b"ok\xc3", b"\xed\xa0\x80"])
def test_a_close_reason_that_is_no_utf_8_closes_with_1007(talk: Talk, reason: bytes) -> None:
    talk.send(close(1000, reason))
    assert talk.failed_with() == 1007


@on("raw", [FAULTS["unmasked text"], FAULTS["a ping of 126 bytes"], FAULTS["reserved opcode 11"], text("x" * 1_001)])
def test_after_a_fault_the_peers_close_ends_the_link_at_once(talk: Talk, raw: bytes) -> None:
    talk.send(raw)
    assert talk.failed_with() in (1002, 1009)
    assert not talk.over
    talk.send(text("ignored") + client_frame(PING, b"") + close(1002))
    assert talk.answers() == []
    assert talk.over
    assert talk.heard_messages == []


# ---- sizes ----------------------------------------------------------------------------------------------------


@on(
    "raw",
    [
        client_frame(TEXT, b"x" * 1_001),
        announced(2**63 - 1),
        announced(1_000_000_000),
        client_frame(TEXT, b"x" * 900, fin=False) + client_frame(CONTINUATION, b"x" * 101, fin=False),
        b"".join([client_frame(TEXT, b"", fin=False), *[client_frame(CONTINUATION, b"x" * 10, fin=False)] * 101]),
    ],
    ids=["one frame", "the largest there is", "a gigabyte", "two fragments", "a hundred fragments"],
)
@on("inflating", [False, True])
def test_what_is_larger_than_the_limit_closes_with_1009(raw: bytes, inflating: bool) -> None:
    talk = Talk(inflating=inflating)
    talk.send(raw)
    assert talk.failed_with() == 1009
    assert talk.heard_messages == []


@on("start", [announced(2**62), announced(2**62, PING), client_frame(11, b""), client_frame(TEXT, b"x", mask=None)])
@on("inflating", [False, True])
def test_after_a_fault_nothing_that_comes_is_held(start: bytes, inflating: bool) -> None:
    talk = Talk(inflating=inflating)
    talk.send(start)
    for _ in range(50):
        talk.send(b"x" * 65_536)
        assert talk.held() < 5_000


def test_fragments_of_nothing_are_not_held(talk: Talk) -> None:
    talk.send(client_frame(TEXT, b"", fin=False))
    for _ in range(100):
        talk.send(client_frame(CONTINUATION, b"", fin=False) * 100)
    assert talk.held() < 100
    talk.send(client_frame(CONTINUATION, b"end"))
    assert talk.heard_messages == ["end"]


def test_a_message_that_is_never_finished_is_held_within_the_limit(talk: Talk) -> None:
    talk.send(client_frame(TEXT, b"x", fin=False))
    for _ in range(5_000):
        talk.send(client_frame(CONTINUATION, b"x", fin=False))
        if talk.gone_calls:
            break
    assert talk.failed_with() == 1009
    assert talk.held() < LARGEST * 40


# ---- deflated messages ----------------------------------------------------------------------------------------


def deflated(raw: bytes, opcode: int = TEXT, fin: bool = True) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    data = deflater.compress(raw) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return client_frame(opcode, data.removesuffix(b"\0\0\xff\xff"), fin=fin, rsv=4)


def test_a_deflated_message_is_heard_and_so_is_a_plain_one() -> None:
    talk = Talk(inflating=True)
    whole = deflated(b"one two three " * 20)
    talk.send(whole, text("plain"), *(bytes([byte]) for byte in whole), deflated(b""), client_frame(PING, b""))
    assert talk.heard_messages == ["one two three " * 20, "plain", "one two three " * 20, ""]
    assert talk.answers() == [(PONG, b"")]


@on("size", [1_001, 50_000, 10_000_000])
@on("pieces", [1, 5])
def test_a_message_that_inflates_beyond_the_limit_closes_with_1009(size: int, pieces: int) -> None:
    talk = Talk(inflating=True)
    deflater = zlib.compressobj(wbits=-15)
    data = (deflater.compress(b"x" * size) + deflater.flush(zlib.Z_SYNC_FLUSH))[:900]
    step = -(-len(data) // pieces)
    chunks = [data[at : at + step] for at in range(0, len(data), step)]
    for number, chunk in enumerate(chunks):
        last = number == len(chunks) - 1
        talk.send(client_frame(CONTINUATION if number else TEXT, chunk, fin=last, rsv=0 if number else 4))
    assert talk.failed_with() == 1009
    for _ in range(20):
        talk.send(b"x" * 65_536)
        assert talk.held() < 5_000
    talk.pass_seconds(CLOSE_SECONDS + 1)
    assert talk.over


@on("junk", [b"\xff\xff\xff\xff", b"\x07", b"x" * 500])
def test_what_does_not_inflate_closes_with_1007_and_holds_nothing(junk: bytes) -> None:
    talk = Talk(inflating=True)
    talk.send(client_frame(TEXT, junk, rsv=4))
    assert talk.failed_with() in (1007, 1009)
    for _ in range(20):
        talk.send(b"x" * 65_536)
        assert talk.held() < 5_000
    talk.pass_seconds(CLOSE_SECONDS + 1)
    assert talk.over


# ---- closing --------------------------------------------------------------------------------------------------


@on("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4000, 4999])
@on("reason", [b"", "tschüß".encode(), b"r" * 123])
def test_a_peer_that_closes_gets_its_code_back_and_the_end(talk: Talk, code: int, reason: bytes) -> None:
    talk.send(text("last") + close(code, reason) + text("too late") + client_frame(PING, b""))
    assert talk.answers() == [(CLOSE, code.to_bytes(2, "big") + reason)]
    assert talk.heard_messages == ["last"]
    assert talk.over
    assert talk.gone_calls == 1


def test_a_close_without_a_code_is_answered_without_one(talk: Talk) -> None:
    talk.send(client_frame(CLOSE, b""))
    assert talk.answers() == [(CLOSE, b"")]
    assert talk.over


def test_a_close_may_come_between_fragments(talk: Talk) -> None:
    talk.send(client_frame(TEXT, b"never finished", fin=False) + close(1001))
    assert talk.answers() == [(CLOSE, b"\x03\xe9")]
    assert talk.over
    assert talk.heard_messages == []


def test_our_close_waits_for_its_answer_and_hears_nothing_more(talk: Talk) -> None:
    talk.socket.close(4200, "Server is shutting down")
    talk.socket.close(4100, "again")
    talk.socket.write(b"\x81\x04late")
    talk.socket.ping()
    assert talk.answers() == [(CLOSE, b"\x10\x68Server is shutting down")]
    talk.send(text("late") + client_frame(PING, b"late"))
    assert talk.answers() == []
    assert not talk.over
    talk.send(close(4200))
    assert talk.answers() == []
    assert talk.over
    assert talk.heard_messages == []


def test_a_peer_that_does_not_answer_our_close_is_cut(talk: Talk) -> None:
    talk.socket.close(4200, "")
    talk.pass_seconds(CLOSE_SECONDS - 1)
    talk.send(text("chatty") + client_frame(PING, b""))
    assert not talk.over
    talk.pass_seconds(2)
    assert talk.link.disconnected


def test_both_may_close_at_once(talk: Talk) -> None:
    talk.socket.close(4200, "")
    talk.send(close(1001))
    assert talk.answers() == [(CLOSE, b"\x10\x68")]
    assert talk.over


def test_a_fault_while_our_close_waits_ends_the_link(talk: Talk) -> None:
    talk.socket.close(4200, "")
    talk.send(client_frame(TEXT, b"x", mask=None))
    assert talk.answers() == [(CLOSE, b"\x10\x68")]
    assert talk.over


def test_nothing_is_sent_or_told_once_the_link_is_lost(talk: Talk) -> None:
    talk.lose()
    assert talk.gone_calls == 1
    talk.socket.close(4200, "")
    talk.socket.write(b"x")
    talk.socket.ping()
    talk.socket.dataReceived(text("ghost"))
    assert talk.answers() == []
    assert talk.heard_messages == []
    assert not talk.wheel._spokes


@on("last", [None, client_frame(TEXT, b"x", mask=None)], ids=["our close", "a fault"])
def test_whoever_is_told_goodbye_is_told_nothing_more_and_is_off_the_wheel_when_lost(
    talk: Talk, last: bytes | None
) -> None:
    if last is None:
        talk.socket.close(4200, "")
    else:
        talk.send(last)
    talk.socket.write(b"\x81\x04late")
    talk.socket.ping()
    assert [opcode for opcode, _ in talk.answers()] == [CLOSE]
    assert talk.wheel._spokes
    talk.lose()
    assert not talk.wheel._spokes


def test_a_client_that_fails_to_hear_costs_its_link_and_no_other(talk: Talk, logged: list[str]) -> None:
    def fail(frame: bytes | str) -> None:
        raise ZeroDivisionError

    talk.receive = fail  # type: ignore[method-assign]
    talk.send(text("x") + text("y"))
    assert talk.answers() == [(CLOSE, b"\x10\x68Internal error")]
    assert logged
    logged.clear()
    talk.send(close(4200))
    assert talk.over


# ---- any bytes ------------------------------------------------------------------------------------------------


def fragments(payload: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(payload) + 1) for place in places), len(payload)]
    return [payload[start:end] for start, end in pairwise(edges)]


MESSAGES = st.tuples(st.text(max_size=60), st.lists(st.integers(0, 200), max_size=4), st.binary(max_size=20))


def stream(messages: list[tuple[str, list[int], bytes]]) -> bytes:
    """Messages in fragments, with a ping before each but the first of them."""
    frames = []
    for value, places, ping in messages:
        pieces = fragments(value.encode(), places)
        for number, piece in enumerate(pieces):
            if number:
                frames.append(client_frame(PING, ping, mask=ping[:4].ljust(4, b"m")))
            opcode = CONTINUATION if number else TEXT
            frames.append(client_frame(opcode, piece, fin=number == len(pieces) - 1, mask=struct.pack("!I", number)))
    return b"".join(frames)


@settings(max_examples=100, deadline=None)
@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 2_000), max_size=10))
def test_any_split_of_a_good_stream_gives_the_same(
    messages: list[tuple[str, list[int], bytes]], places: list[int]
) -> None:
    talk = Talk()
    data = stream(messages) + close(1000, b"bye")
    talk.send(*fragments(data, places))
    assert talk.heard_messages == [value for value, _, _ in messages]
    pongs = [(PONG, ping) for _, places, ping in messages for _ in places]
    assert talk.answers() == [*pongs, (CLOSE, b"\x03\xe8bye")]


def same_in_pieces(raw: bytes, places: list[int], inflating: bool) -> None:
    outcomes = []
    for pieces in ([raw], fragments(raw, places), [bytes([byte]) for byte in raw]):
        talk = Talk(inflating=inflating)
        talk.send(*pieces)
        assert talk.held() < LARGEST * 60
        # Only when the link ends may differ: a fault in half a header is seen again in the whole one.
        outcomes.append((talk.heard_messages, talk.answers(), talk.gone_calls))
        talk.pass_seconds(CLOSE_SECONDS + 1)
        assert talk.over or not any(opcode == CLOSE for opcode, _ in talk.sent)
        talk.lose()
        assert talk.gone_calls == 1
    assert outcomes[0] == outcomes[1] == outcomes[2]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=4), st.booleans())
def test_random_bytes_never_fail_and_splitting_them_changes_nothing(
    raw: bytes, places: list[int], inflating: bool
) -> None:
    same_in_pieces(raw, places, inflating)


FRAMES = st.builds(
    client_frame,
    st.sampled_from([0, 1, 1, 2, 3, 8, 8, 9, 10, 11]),
    st.one_of(st.binary(max_size=130), st.sampled_from([b"\x03\xe8", b"\x03", b"x" * 600, b"\xc3"])),
    fin=st.booleans(),
    mask=st.sampled_from([b"mask", b"mask", b"mask", b"\0\0\0\0", None]),
    rsv=st.sampled_from([0, 0, 0, 0, 4, 1]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 1_500), max_size=4), st.booleans())
def test_frames_of_any_kind_never_fail_and_splitting_them_changes_nothing(
    frames: list[bytes], places: list[int], inflating: bool
) -> None:
    same_in_pieces(b"".join(frames), places, inflating)


# ---- through the front door -----------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[InProcess]:
    server = InProcess()
    yield server
    server.stop()


def subscribe(channel: str) -> bytes:
    return text(f'{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}')


def names(client: Any) -> list[str]:
    return [event["event"] for event in client.events()]


GREETED = ["pusher:connection_established", "pusher_internal:subscription_succeeded"]


def test_frames_in_the_packet_of_the_handshake_are_heard(server: InProcess) -> None:
    client = server.open(early=subscribe("a") + client_frame(PING, b"p") + text('{"event":"pusher:ping"}'))
    assert names(client) == [*GREETED, "pusher:pong"]
    assert client.pongs == [b"p"]
    assert client.head.startswith("HTTP/1.1 101 ")


def test_half_a_frame_in_the_packet_of_the_handshake_waits_for_its_rest(server: InProcess) -> None:
    raw = subscribe("a")
    client = server.open(early=raw[:9])
    assert names(client) == GREETED[:1]
    client.raw(raw[9:])
    assert names(client) == GREETED[1:]


def test_a_close_in_the_packet_of_the_handshake_comes_after_the_greeting(server: InProcess) -> None:
    client = server.open(early=close(1000, b"just looking"))
    assert names(client) == GREETED[:1]
    assert (client.close_code, client.close_reason) == (1000, "just looking")
    assert client.closed
    assert server.service.hub.count() == 0


def test_a_fault_in_the_packet_of_the_handshake_closes_after_the_greeting(server: InProcess) -> None:
    client = server.open(early=b"\x81\x02{}")
    assert names(client) == GREETED[:1]
    assert client.close_code == 1002


def test_the_handshake_byte_by_byte_and_frames_after_it(server: InProcess) -> None:
    link = server.link()
    target = b"GET /app/%b?protocol=7 HTTP/1.1\r\n" % server.settings.apps[0].key.encode()
    head = target + b"Host: a\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n"
    head += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    for byte in head + subscribe("a"):
        server.feed(link, bytes([byte]))
    sent = link.take()
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in sent, "RFC 6455's own example"
    assert b"subscription_succeeded" in sent


def test_a_refused_link_ignores_what_it_is_sent_and_ends(server: InProcess) -> None:
    client = server.open(key="unknown", early=subscribe("a"))
    assert names(client) == ["pusher:error"]
    assert client.close_code == 4001
    client.raw(subscribe("b") + client_frame(PING, b""))
    assert client.events() == []
    assert not client.closed
    client.leave(4001)
    assert client.closed


def test_a_peer_that_leaves_in_the_middle_of_anything_leaves_nothing(server: InProcess) -> None:
    whole = client_frame(TEXT, b"one", fin=False) + client_frame(PING, b"p") + client_frame(0, b"two")
    for at in range(len(whole)):
        client = server.open(early=whole[:at])
        client.drop()
    assert server.service.hub.count() == 0
