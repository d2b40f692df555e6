"""Engine.IO revision 4 as bytes: payloads and WebSocket messages."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.protocols.engineio.packet import Packet, ParseError, Type
from broadcaster.protocols.engineio.v4 import decode_frame, decode_payload, encode_frame, encode_payload
from broadcaster.protocols.frames import BINARY, TEXT

HELLO = Packet(Type.MESSAGE, "hello")
BYTES = Packet(Type.MESSAGE, b"\1\2\3\4")

# JSON never has the separator in it, nor do pings.
TEXTS = st.builds(Packet, st.sampled_from(Type), st.text(st.characters(codec="utf-8", exclude_characters="\x1e")))
MESSAGES = st.builds(Packet, st.just(Type.MESSAGE), st.binary())
PACKETS = st.lists(TEXTS | MESSAGES, min_size=1, max_size=20)


def read(body: str | bytes, binary: bool = False) -> tuple[list[Packet], bool]:
    """The packets that were delivered, and whether all of the body was in order."""
    packets = []
    try:
        for packet in decode_payload(body.encode() if isinstance(body, str) else body, binary):
            packets.append(packet)
    except ParseError:
        return packets, False
    return packets, True


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("4hello", [HELLO]),
        ("4test1\x1e4test2\x1e4test3", [Packet(Type.MESSAGE, f"test{number}") for number in (1, 2, 3)]),
        ("4hello\x1ebAQIDBA==", [HELLO, BYTES]),
        ("1", [Packet(Type.CLOSE)]),
        ("2", [Packet(Type.PING)]),
        ("6\x1e1", [Packet(Type.NOOP), Packet(Type.CLOSE)]),
        ("4é😀", [Packet(Type.MESSAGE, "é😀")]),
        ("b", [Packet(Type.MESSAGE, b"")]),
    ],
)
def test_e014_to_e016_payloads_go_both_ways(body: str, packets: list[Packet]) -> None:
    assert read(body) == (packets, True)
    for binary in (True, False):
        assert encode_payload(packets, binary) == (body.encode(), False)


def test_padding_may_be_missing() -> None:
    assert read("bAQIDBA") == ([BYTES], True)


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("", []),
        ("abc", []),
        ("9", []),
        ("4hi\x1e9", [Packet(Type.MESSAGE, "hi")]),
        ("4a\x1e", [Packet(Type.MESSAGE, "a")]),
        ("\x1e4a", []),
        ("b!!", []),
        ("bA", []),
        ("bAQ==AQ", []),
        ("bé", []),
        ("bAQ-_", []),
        ("٤hello", []),
        (b"4\xff", []),
    ],
)
def test_e017_e186_faults_end_a_payload_after_what_came_before(body: str | bytes, packets: list[Packet]) -> None:
    assert read(body) == (packets, False)


def test_e047_there_are_no_binary_payloads() -> None:
    assert read("4hello", binary=True) == ([], False)


@given(PACKETS, st.booleans())
def test_payloads_survive(packets: list[Packet], binary: bool) -> None:
    body, is_binary = encode_payload(packets, binary)
    assert not is_binary
    assert read(body) == (packets, True)


@given(PACKETS, st.data())
def test_a_payload_that_is_cut_gives_what_is_whole(packets: list[Packet], data: st.DataObject) -> None:
    text = encode_payload(packets, True)[0].decode()
    cut = text[: data.draw(st.integers(0, len(text)))]
    whole = cut.count("\x1e")
    assert read(cut)[0][:whole] == packets[:whole]


@given(st.binary() | st.text("\x1e4b=Aé0", max_size=30).map(str.encode), st.booleans())
def test_any_bytes_are_packets_or_a_parse_error(body: bytes, binary: bool) -> None:
    read(body, binary)


@pytest.mark.parametrize(
    ("payload", "packet"),
    [
        ("4hello", HELLO),
        (b"\1\2\3\4", BYTES),
        (b"", Packet(Type.MESSAGE, b"")),
        ("3", Packet(Type.PONG)),
        ("2probe", Packet(Type.PING, "probe")),
        ("0", Packet(Type.OPEN)),
        ("5", Packet(Type.UPGRADE)),
        ("6", Packet(Type.NOOP)),
    ],
)
def test_e020_e021_e189_websocket_messages(payload: str | bytes, packet: Packet) -> None:
    assert decode_frame(payload) == packet


@pytest.mark.parametrize("payload", ["", "abc", "b4AQI=", "bAQI=", "7", " 4"])
def test_e022_e189_websocket_messages_that_are_no_packets(payload: str) -> None:
    with pytest.raises(ParseError):
        decode_frame(payload)


def test_bytes_go_bare_or_as_base64_where_they_cannot() -> None:
    assert encode_frame(BYTES, True) == (BINARY, b"\1\2\3\4")
    assert encode_frame(BYTES, False) == (TEXT, b"bAQIDBA==")
    assert encode_frame(Packet(Type.MESSAGE, "é"), True) == (TEXT, "4é".encode())


@given(TEXTS | MESSAGES)
def test_websocket_messages_survive(packet: Packet) -> None:
    opcode, payload = encode_frame(packet, True)
    assert decode_frame(payload if opcode == BINARY else payload.decode()) == packet


@given(st.text() | st.binary())
def test_any_websocket_message_is_a_packet_or_a_parse_error(payload: str | bytes) -> None:
    with suppress(ParseError):
        decode_frame(payload)
