"""Engine.IO revision 3 as bytes: payloads in text and binary, WebSocket messages."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.protocols.engineio.packet import Packet, ParseError, Type
from broadcaster.protocols.engineio.v3 import (
    decode_frame,
    decode_payload,
    encode_frame,
    encode_payload,
)
from broadcaster.protocols.frames import BINARY, TEXT

SHIPPED = r'42["App\\Events\\Shipped","orders",{"id":1,"t":"é😀"}]'
HELLO = Packet(Type.MESSAGE, "hello")
BYTES = Packet(Type.MESSAGE, b"\1\2\3\4")
MIXED = bytes.fromhex("0006FF3468656C6C6F0105FF0401020304")

TEXTS = st.builds(Packet, st.sampled_from(Type), st.text())
MESSAGES = st.builds(Packet, st.just(Type.MESSAGE), st.binary())
PACKETS = st.lists(TEXTS | MESSAGES, min_size=1, max_size=20)


def message(text: str) -> Packet:
    return Packet(Type.MESSAGE, text)


def read(body: str | bytes, binary: bool = False) -> tuple[list[Packet], bool]:
    """The packets that were delivered, and whether all of the body was in order."""
    packets = []
    try:
        for packet in decode_payload(body.encode() if isinstance(body, str) else body, binary):
            packets.append(packet)
    except ParseError:
        return packets, False
    return packets, True


def written(packets: Iterable[Packet]) -> bytes:
    """A text payload as engine.io-parser 2 writes it: raw characters, counted in UTF-16 units."""
    text = ""
    for packet in packets:
        if isinstance(packet.data, bytes):
            plain = encode_frame(packet, False)[1].decode()
        else:
            plain = f"{packet.type.value}{packet.data}"
        text += f"{len(plain.encode('utf-16-le')) // 2}:{plain}"
    return text.encode()


# ---- text payloads --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("6:4hello", [HELLO]),
        ("6:4test16:4test26:4test3", [message("test1"), message("test2"), message("test3")]),
        ("6:4hello10:b4AQIDBA==", [HELLO, BYTES]),
        ("1:21:1", [Packet(Type.PING), Packet(Type.CLOSE)]),
        ("0006:4hello", [HELLO]),
        ("4:1:2a", [Packet(Type.CLOSE, ":2a")]),
        ("8:b4AQIDBA", [BYTES]),
        ("2:b4", [Packet(Type.MESSAGE, b"")]),
    ],
)
def test_e023_to_e025_text_payloads(body: str, packets: list[Packet]) -> None:
    assert read(body) == (packets, True)


def test_e057_lengths_are_utf_16_units() -> None:
    body = f"54:{SHIPPED}"
    assert len(body.encode()) == 60
    assert read(body) == ([message(SHIPPED[1:])], True)
    for length in (53, 57, 55):
        assert read(f"{length}:{SHIPPED}")[1] is False


def test_a_length_must_not_cut_a_character() -> None:
    assert read("2:4😀") == ([], False)
    assert read("3:4😀") == ([message("😀")], True)


def test_e185_an_empty_packet_is_skipped() -> None:
    assert read("0:") == ([], True)
    assert read("0:1:20:") == ([Packet(Type.PING)], True)


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("", []),
        ("-1:4", []),
        ("3:4a", []),
        ("5:4hello", [message("hell")]),
        ("1:9", []),
        ("1:2 ", [Packet(Type.PING)]),
        ("9999999999999:4", []),
        ("00000000001:4", []),
        ("abc", []),
        ("1", []),
        ("1:212", [Packet(Type.PING)]),
        (":4", []),
        (" 1:2", []),
        ("+1:2", []),
        ("1e0:2", []),
        ("١:2", []),
        ("1:é", []),
        ("1:b", []),
        ("2:b2", []),
        ("5:b4A!=", []),
        ("3:b4A", []),
        ("8:b4AQ==AQ", []),
        ("4:b4é=", []),
        ("1:21:7", [Packet(Type.PING)]),
    ],
)
def test_e027_e185_faults_end_a_text_payload_after_what_came_before(body: str, packets: list[Packet]) -> None:
    assert read(body) == (packets, False)


def test_text_must_be_utf_8() -> None:
    assert read(b"2:4\xff") == ([], False)
    assert read("3:4\ud800".encode(errors="surrogatepass")) == ([], False)


@given(PACKETS)
def test_text_payloads_survive(packets: list[Packet]) -> None:
    assert read(written(packets)) == (packets, True)


@given(PACKETS, st.data())
def test_a_text_payload_that_is_cut_gives_what_is_whole(packets: list[Packet], data: st.DataObject) -> None:
    body = written(packets)
    delivered, _ = read(body[: data.draw(st.integers(0, len(body) - 1))])
    assert delivered == packets[: len(delivered)]


@given(st.binary() | st.text("0123456789:bé😀4=", max_size=30).map(str.encode), st.booleans())
def test_any_bytes_are_packets_or_a_parse_error(body: bytes, binary: bool) -> None:
    read(body, binary)


def test_a_payload_of_very_many_packets_is_read_in_one_pass() -> None:
    packets, fine = read(b"1:2" * 300_000 + "3:4😀".encode())
    assert (len(packets), fine) == (300_001, True)


# ---- what is sent ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("body", [b"6:4hello", b"6:4test16:4test26:4test3", b"1:1", b"1:61:1"])
def test_e024_text_is_answered_as_text_whatever_the_client_takes(body: bytes, binary: bool) -> None:
    assert encode_payload(read(body)[0], binary) == (body, False)


def test_e025_without_binary_support_bytes_go_as_base64() -> None:
    assert encode_payload([HELLO, BYTES], False) == (b"6:4hello10:b4AQIDBA==", False)


def test_e026_with_binary_support_all_go_as_bytes() -> None:
    assert encode_payload([HELLO, BYTES], True) == (MIXED, True)


def test_e056_a_text_payload_has_one_length_for_all_clients() -> None:
    body, binary = encode_payload([message(SHIPPED[1:]), HELLO], True)
    text = r'42["App\\Events\\Shipped","orders",{"id":1,"t":"\u00e9\ud83d\ude00"}]'
    assert (body, binary) == (f"{len(text)}:{text}6:4hello".encode(), False)
    assert json.loads(text[2:]) == json.loads(SHIPPED[2:])
    assert read(body) == ([message(text[1:]), HELLO], True)


def test_e146_what_is_ascii_stays_as_it_is() -> None:
    text = r'2["E","c",{"a":1e2,"b":1.0,"c":12345678901234567890,"a":"\u00e9\ud83d\ude00\\\""}]'
    assert encode_payload([message(text)], True) == (f"{len(text) + 1}:4{text}".encode(), False)


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner)))
def test_what_is_sent_as_text_is_the_same_json_in_ascii(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    body, _ = encode_payload([message(text)], False)
    assert body.isascii()
    ((packet,), fine) = read(body)
    assert fine and isinstance(packet.data, str)
    assert json.loads(packet.data) == value


# ---- binary payloads ------------------------------------------------------------------------------------------


def test_e026_binary_payloads_are_read() -> None:
    assert read(MIXED, binary=True) == ([HELLO, BYTES], True)


def test_e058_a_browser_s_post_of_text_only() -> None:
    text = '42["subscribe",{"channel":"é"}]'
    body = bytes.fromhex("00 03 02 FF") + text.encode()
    assert read(body, binary=True) == ([message(text[1:])], True)


@pytest.mark.parametrize(
    ("body", "packets"),
    [
        ("", []),
        ("00 01 02 03 04", []),
        ("00 FF", []),
        ("02 01 FF 32", []),
        ("00 09 FF 32", []),
        ("00 00 FF", []),
        ("01 00 FF", []),
        ("00 0A FF 32", []),
        ("00 01 FF 39", []),
        ("00 02 FF 34 C3", []),
        ("01 02 FF 02 00", []),
        ("00", []),
        ("00 00 00 00 00 00 00 00 00 00 00 01 FF 32", []),
        ("00 01 FF 32 00 01", [Packet(Type.PING)]),
        ("00 01 FF 32 32", [Packet(Type.PING)]),
    ],
)
def test_e187_faults_end_a_binary_payload_after_what_came_before(body: str, packets: list[Packet]) -> None:
    assert read(bytes.fromhex(body), binary=True) == (packets, False)


def test_a_length_has_ten_digits_at_most() -> None:
    assert read(b"\0" + bytes(9) + b"\1\xff2", binary=True) == ([Packet(Type.PING)], True)


@given(PACKETS, MESSAGES)
def test_binary_payloads_survive(packets: list[Packet], binary_one: Packet) -> None:
    body, binary = encode_payload([*packets, binary_one], True)
    assert binary
    assert read(body, binary=True) == ([*packets, binary_one], True)


@given(PACKETS, MESSAGES, st.data())
def test_a_binary_payload_that_is_cut_gives_what_is_whole(
    packets: list[Packet], binary_one: Packet, data: st.DataObject
) -> None:
    packets = [binary_one, *packets]
    body, _ = encode_payload(packets, True)
    delivered, _ = read(body[: data.draw(st.integers(0, len(body) - 1))], binary=True)
    assert delivered == packets[: len(delivered)]


# ---- WebSocket ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "packet"),
    [
        ("4hello", HELLO),
        ("2probe", Packet(Type.PING, "probe")),
        ("2x", Packet(Type.PING, "x")),
        ("0", Packet(Type.OPEN)),
        ("3", Packet(Type.PONG)),
        ("5", Packet(Type.UPGRADE)),
        ("6", Packet(Type.NOOP)),
        (bytes.fromhex("0401020304"), BYTES),
        (b"\4", Packet(Type.MESSAGE, b"")),
        ("b4AQIDBA==", BYTES),
        ("4é😀\n", message("é😀\n")),
    ],
)
def test_e029_e030_e188_websocket_messages(payload: str | bytes, packet: Packet) -> None:
    assert decode_frame(payload) == packet


@pytest.mark.parametrize("payload", ["", b"", "abc", "7", "９", "b", "b4!", "bAQI=", b"\2x", b"4hello"])
def test_e031_e188_websocket_messages_that_are_no_packets(payload: str | bytes) -> None:
    with pytest.raises(ParseError):
        decode_frame(payload)


def test_websocket_messages_keep_their_characters() -> None:
    assert encode_frame(message(SHIPPED[1:]), True) == (TEXT, SHIPPED.encode())
    assert encode_frame(BYTES, True) == (BINARY, bytes.fromhex("0401020304"))
    assert encode_frame(BYTES, False) == (TEXT, b"b4AQIDBA==")


@given(TEXTS | MESSAGES, st.booleans())
def test_websocket_messages_survive(packet: Packet, binary: bool) -> None:
    opcode, payload = encode_frame(packet, binary)
    assert decode_frame(payload if opcode == BINARY else payload.decode()) == packet


@given(st.text() | st.binary())
def test_any_websocket_message_is_a_packet_or_a_parse_error(payload: str | bytes) -> None:
    with suppress(ParseError):
        decode_frame(payload)
