"""An answer out of bytes: framing, interim answers, bounds, and what comes after."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.answer import MOST_BYTES, Answer, AnswerReader, Unreadable

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntru\r\n1\r\ne\r\n0\r\nX: trailer\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\ntrue"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\nLink: </a.css>\r\n\r\n"
TRUE = Answer(200, b"true")


def read(*pieces: bytes) -> AnswerReader:
    reader = AnswerReader()
    for piece in pieces:
        reader.feed(piece)
    return reader


@pytest.mark.parametrize("data", [LENGTH, CHUNKS, INTERIM + LENGTH, INTERIM * 2 + CHUNKS])
def test_an_answer_is_whole_by_its_framing_and_another_may_follow(data: bytes) -> None:
    reader = read(data)
    assert reader.answer == TRUE and reader.reusable
    assert read(data[:-1]).answer is None
    assert read(data[:-1]).end(clean=True) is None


@pytest.mark.parametrize("data", [TO_THE_END, INTERIM + TO_THE_END, b"HTTP/1.0 200 OK\r\n\r\ntrue"])
def test_without_framing_it_lasts_until_the_end(data: bytes) -> None:
    reader = read(data)
    assert reader.answer is None
    assert reader.end(clean=True) == TRUE
    assert not reader.reusable
    assert read(data).end(clean=False) is None


@given(st.sampled_from([LENGTH, CHUNKS, INTERIM + CHUNKS]), st.lists(st.integers(0, 200)))
def test_it_does_not_matter_how_the_bytes_are_cut(data: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    reader = read(*[data[start:end] for start, end in pairwise(edges)])
    assert reader.answer == TRUE and reader.reusable


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int) -> None:
    reader = read(b"HTTP/1.1 %d X\r\n\r\n" % status)
    assert reader.answer == Answer(status, b"") and reader.reusable


@pytest.mark.parametrize(
    "data",
    [
        LENGTH.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n"),
        LENGTH.replace(b"1.1", b"1.0"),
        LENGTH + b"x",
        LENGTH + LENGTH,
        LENGTH + b"HTTP/1.1",
    ],
)
def test_after_some_answers_no_other_is_believed(data: bytes) -> None:
    reader = read(data)
    assert reader.answer == TRUE and not reader.reusable


def test_an_offer_of_http_2_is_not_taken() -> None:
    reader = read(LENGTH.replace(b"\r\n\r\n", b"\r\nUpgrade: h2\r\nConnection: Upgrade, Keep-Alive\r\n\r\n"))
    assert reader.answer == TRUE and reader.reusable


@pytest.mark.parametrize(
    "data",
    [
        b"garbage",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        LENGTH.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"),
        LENGTH.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n"),
        INTERIM * 2000,
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read(data)


def test_a_head_is_bounded() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(Unreadable):
        for _ in range(MOST_BYTES // 1000 + 1):
            reader.feed(b"X-A: " + b"x" * 1000 + b"\r\n")


@pytest.mark.parametrize("status", [200, 500])
def test_a_body_is_bounded_and_the_status_stands(status: int) -> None:
    head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n"
    assert read(head % (status, MOST_BYTES), b"x" * MOST_BYTES).answer == Answer(status, b"x" * MOST_BYTES)
    reader = read(head % (status, MOST_BYTES + 1), b"x" * MOST_BYTES)
    assert reader.answer is None
    assert reader.feed(b"x") == Answer(status, None)
    assert not reader.reusable


def test_it_is_known_whether_anything_was_heard() -> None:
    assert not AnswerReader().heard
    assert read(b"H").heard


@given(st.binary(max_size=200))
def test_whatever_comes_in_it_is_an_answer_or_unreadable(data: bytes) -> None:
    reader = AnswerReader()
    try:
        reader.feed(b"HTTP/1.1 2" + data)
        reader.end(clean=True)
    except Unreadable:
        assert reader.answer is None
