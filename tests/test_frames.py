"""RFC 6455 as this server sends it, against the specification's own examples and another implementation."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame
from websockets.streams import StreamReader

from broadcaster.protocols.frames import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    accept,
    close_frame,
    frame,
    switching_protocols,
    text_frame,
    unframed,
    whole_text,
)
from broadcaster.testing.frames import client_frame


def parsed(raw: bytes) -> list[Frame]:
    """Frames as a client of the `websockets` library reads them."""
    reader = StreamReader()
    reader.feed_data(raw)
    reader.feed_eof()
    frames = []
    while reader.buffer:
        parser = Frame.parse(reader.read_exact, mask=False)
        try:
            while True:
                next(parser)
        except StopIteration as found:
            frames.append(found.value)
    return frames


def test_the_specifications_examples() -> None:
    assert frame(TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frame(PING, b"Hello") == bytes.fromhex("890548656c6c6f")
    assert frame(0x2, b"x" * 256) == bytes.fromhex("827e0100") + b"x" * 256
    assert frame(0x2, b"x" * 65_536) == bytes.fromhex("827f0000000000010000") + b"x" * 65_536


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000])
@pytest.mark.parametrize("opcode", [TEXT, 0x2])
def test_a_frame_is_whole_unmasked_and_of_minimal_length(opcode: int, size: int) -> None:
    raw = frame(opcode, b"x" * size)
    [read] = parsed(raw)
    assert (read.opcode, read.data, read.fin) == (opcode, b"x" * size, True)
    assert raw == read.serialize(mask=False)


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_control_frames_are_read_by_others(opcode: int) -> None:
    [read] = parsed(frame(opcode, b"p" * 125))
    assert (read.opcode, read.data) == (opcode, b"p" * 125)


@settings(deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_frames_in_a_row_are_a_stream(messages: list[str]) -> None:
    raw = b"".join(text_frame(message.encode()) for message in messages)
    assert [read.data.decode() for read in parsed(raw)] == messages
    assert list(unframed(raw)) == messages


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_texts_are_found_again_whatever_their_size(size: int) -> None:
    assert list(unframed(text_frame(b"x" * size) + text_frame(b"y"))) == ["x" * size, "y"]


# ---- what came whole ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 127, 128, 65_535])
def test_a_text_that_came_whole_is_unmasked(size: int) -> None:
    text = bytes(range(256)) * 256
    raw = client_frame(TEXT, b"before") + client_frame(TEXT, text[:size], mask=b"\x00\xff\x01\x80") + b"behind"
    assert whole_text(raw, 0, 65_535) == (b"before", 12)
    assert whole_text(raw, 12, 65_535) == (text[:size], len(raw) - 6)


def test_the_specifications_example_of_a_masked_text() -> None:
    assert whole_text(bytes.fromhex("818537fa213d7f9f4d5158"), 0, 5) == (b"Hello", 11)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        client_frame(TEXT, b"x" * 10)[:-1],
        client_frame(TEXT, b"x" * 126)[:7],
        client_frame(TEXT, b"x" * 126)[:-1],
        client_frame(TEXT, b"Hello", mask=None),
        client_frame(TEXT, b"x" * 200, mask=None),
        client_frame(TEXT, b"x", fin=False),
        client_frame(0x0, b"x"),
        client_frame(0x2, b"x"),
        client_frame(PING, b"x"),
        client_frame(CLOSE, b"\x03\xe8"),
        *(client_frame(TEXT, b"x", rsv=rsv) for rsv in range(1, 8)),
        b"\x81\xfe\x00\x05mask" + b"x" * 5,
        b"\x81\xff" + bytes(7) + b"\x05mask" + b"x" * 5,
        client_frame(TEXT, b"x" * 65_536),
    ],
)
def test_whatever_else_a_client_sends_is_left_to_somebody_who_knows_it_all(raw: bytes) -> None:
    assert whole_text(raw, 0, 100_000) is None


def test_a_text_beyond_the_bound_is_not_taken() -> None:
    raw = client_frame(TEXT, b"x" * 200)
    assert whole_text(raw, 0, 200) is not None
    assert whole_text(raw, 0, 199) is None


# ---- close ----------------------------------------------------------------------------------------------------


def closed(raw: bytes) -> Close:
    [read] = parsed(raw)
    assert read.opcode == CLOSE
    read.check()
    return Close.parse(read.data)


@pytest.mark.parametrize("code", [1000, 1009, 4000, 4299])
def test_a_close_says_why(code: int) -> None:
    assert closed(close_frame(code, "über")) == Close(code, "über")


def test_a_close_may_say_nothing() -> None:
    assert close_frame(None, "") == bytes.fromhex("8800")
    assert close_frame(None, "ignored") == bytes.fromhex("8800")
    assert closed(close_frame(4200, "")) == Close(4200, "")


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("é" * 62, "é" * 61),
        ("x" + "é" * 61, "x" + "é" * 61),
        ("😀" * 31, "😀" * 30),
        ("xx" + "€" * 41, "xx" + "€" * 40),
    ],
)
def test_a_reason_that_is_too_long_is_cut_between_characters(reason: str, kept: str) -> None:
    assert closed(close_frame(4100, reason)) == Close(4100, kept)


@given(st.text(max_size=200))
def test_any_reason_makes_a_control_frame(reason: str) -> None:
    said = closed(close_frame(4100, reason)).reason
    assert reason.startswith(said)
    assert len(said.encode()) <= 123


# ---- the opening handshake ------------------------------------------------------------------------------------


def test_the_specifications_key() -> None:
    assert accept(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@given(st.binary(min_size=16, max_size=16))
def test_any_key_is_accepted_as_the_specification_says(nonce: bytes) -> None:
    key = base64.b64encode(nonce)
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert base64.b64decode(accept(key)) == digest


@pytest.mark.parametrize("subprotocol", [None, "pusher-channels-protocol-7"])
@pytest.mark.parametrize("extension", [None, "permessage-deflate; server_no_context_takeover"])
def test_the_answer_is_one_head_with_what_was_agreed(subprotocol: str | None, extension: str | None) -> None:
    raw = switching_protocols(b"dGhlIHNhbXBsZSBub25jZQ==", subprotocol, extension)
    start, *lines = raw.decode().split("\r\n")
    assert lines[-2:] == ["", ""]
    assert start == "HTTP/1.1 101 Switching Protocols"
    headers = dict(line.split(": ") for line in lines[:-2])
    assert headers.pop("Upgrade") == "websocket"
    assert headers.pop("Connection") == "Upgrade"
    assert headers.pop("Sec-WebSocket-Accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert headers.pop("Sec-WebSocket-Protocol", None) == subprotocol
    assert headers.pop("Sec-WebSocket-Extensions", None) == extension
    assert not headers
