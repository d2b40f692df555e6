"""Socket.IO's packets as text, protocols 4 (rev 3 of Engine.IO) and 5 (rev 4), and their attachments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.protocols.engineio.packet import ParseError
from broadcaster.protocols.socketio import Assembler, SocketPacket, SocketType, decode, encode

T = SocketType
BOTH = pytest.mark.parametrize("protocol", [4, 5])
PLACEHOLDER = '{"_placeholder":true,"num":0}'


def said(text: str, protocol: int) -> SocketPacket | str | None:
    """What becomes of a packet: what it is, None if it is ignored, or the end of the session."""
    try:
        return decode(text, protocol)
    except ParseError:
        return "closed"


# ---- grammar --------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("text", "packet"),
    [
        ("0", SocketPacket(T.CONNECT)),
        ("0/custom", SocketPacket(T.CONNECT, "/custom")),
        ("0/custom,", SocketPacket(T.CONNECT, "/custom")),
        ("0/x?a=b&c=d", SocketPacket(T.CONNECT, "/x?a=b&c=d")),
        ("1", SocketPacket(T.DISCONNECT)),
        ("1/custom,", SocketPacket(T.DISCONNECT, "/custom")),
        ('2["a"]', SocketPacket(T.EVENT, data=b'["a"]')),
        ('2["message",1,"2",{"3":[true]}]', SocketPacket(T.EVENT, data=b'["message",1,"2",{"3":[true]}]')),
        ('2/custom,["a"]', SocketPacket(T.EVENT, "/custom", data=b'["a"]')),
        ('2456["a",[1.0,1e2]]', SocketPacket(T.EVENT, id=456, data=b'["a",[1.0,1e2]]')),
        ('2/a/b,0["é😀\\u00e9"]', SocketPacket(T.EVENT, "/a/b", 0, '["é😀\\u00e9"]'.encode())),
        ("2[7,1]", SocketPacket(T.EVENT, data=b"[7,1]")),
        ('2 ["a" , 1 ] ', SocketPacket(T.EVENT, data=b' ["a" , 1 ] ')),
        ('399["x"]', SocketPacket(T.ACK, id=99, data=b'["x"]')),
        ("31[]", SocketPacket(T.ACK, id=1, data=b"[]")),
        (
            f'51-["a",{PLACEHOLDER}]',
            SocketPacket(T.BINARY_EVENT, data=f'["a",{PLACEHOLDER}]'.encode(), attachments=1),
        ),
        (
            f'52-/x,789["a",{PLACEHOLDER},{PLACEHOLDER}]',
            SocketPacket(T.BINARY_EVENT, "/x", 789, f'["a",{PLACEHOLDER},{PLACEHOLDER}]'.encode(), 2),
        ),
        (f"61-5[{PLACEHOLDER}]", SocketPacket(T.BINARY_ACK, id=5, data=f"[{PLACEHOLDER}]".encode(), attachments=1)),
        (f'510-["a",{PLACEHOLDER}]', SocketPacket(T.BINARY_EVENT, "/", None, f'["a",{PLACEHOLDER}]'.encode(), 10)),
    ],
)
def test_packets(text: str, packet: SocketPacket, protocol: int) -> None:
    assert decode(text, protocol) == packet


@pytest.mark.parametrize("data", ["{}", '{"token":"123"}', '{"headers":{"X-CSRF-TOKEN":"t"}}', ' {"a":[[1]]}'])
@BOTH
def test_e061_connect_may_say_who_it_is(data: str, protocol: int) -> None:
    """Only protocol 5 has that, but socket.io 2 does not mind."""
    assert decode(f"0{data}", protocol) == SocketPacket(T.CONNECT, data=data.encode())
    assert decode(f"0/custom,{data}", protocol) == SocketPacket(T.CONNECT, "/custom", data=data.encode())


@BOTH
@pytest.mark.parametrize("data", ["[]", '"x"', "{", "null", "abc", "{}x"])
def test_connect_says_nothing_but_objects(data: str, protocol: int) -> None:
    assert said(f"0{data}", protocol) == "closed"


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "7",
        "9[]",
        "２[]",
        "2{}",
        "2[]",
        "2[null]",
        "2[{}]",
        "2[true]",
        "2[[]]",
        '2"a"',
        '2abc["x"]',
        '2abc["message-with-ack",1,"2",{"3":[false]}]',
        '2["x"',
        '2["x",]',
        '2["x",\\q]',
        '2["x","\\q"]',
        '2["x"]]',
        '2["x",NaN]',
        '2["x\n"]',
        '21-["x"]',
        '2,["x"]',
        '2٣["x"]',
        "1{}",
        "1[]",
        "3{}",
        "3abc",
        '2/x["a"],["b"',
    ],
)
def test_e065_e074_e075_e099_e100_what_ends_the_session(text: str, protocol: int) -> None:
    assert said(text, protocol) == "closed"


@BOTH
@pytest.mark.parametrize("text", ["2", "2/x", "2/x,", "27", "3", "31", "3/x,1"])
def test_e100_an_event_of_nothing_is_ignored(text: str, protocol: int) -> None:
    assert decode(text, protocol) is None


@BOTH
def test_e105_an_acknowledgement_is_for_others_to_judge(protocol: int) -> None:
    assert decode('3399["x"]', protocol) == SocketPacket(T.ACK, id=399, data=b'["x"]')


@pytest.mark.parametrize("text", ['4"x"', '4{"message":"x"}', "4", "4/x,1"])
def test_a_refusal_by_a_client_is_ignored_or_fatal(text: str) -> None:
    assert said(text, 4) is None
    assert said(text, 5) == "closed"


@BOTH
def test_a_refusal_that_is_not_json_is_fatal(protocol: int) -> None:
    assert said("4abc", protocol) == "closed"


@pytest.mark.parametrize(
    "name",
    [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        r"dis\u0063onnect",
    ],
)
def test_e098_reserved_events_are_ignored_or_fatal(name: str) -> None:
    assert said(f'2["{name}"]', 4) is None
    assert said(f'2["{name}"]', 5) == "closed"
    assert said(f'51-["{name}",{PLACEHOLDER}]', 5) == "closed"


def test_a_reserved_event_with_attachments_takes_its_attachments() -> None:
    packet = decode(f'51-["disconnect",{PLACEHOLDER}]', 4)
    assert packet is not None and packet.attachments == 1


# ---- bounds ---------------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("text", ["[" * 4_000_000, '2["x",' + "[" * 4_000_000, '2["x",' + '{"a":' * 1_000_000])
def test_e106_deep_nesting_is_no_fault_of_ours(text: str, protocol: int) -> None:
    for prefix in ("", "2", "0", "3", "4", "51-"):
        assert said(prefix + text, protocol) == "closed"


@BOTH
def test_e106_attachments_to_deep_nesting(protocol: int) -> None:
    for depth in (100, 100_000):
        packet = said('51-["x",' + "[" * depth + PLACEHOLDER + "]" * depth + "]", protocol)
        assert isinstance(packet, SocketPacket) if depth == 100 else packet == "closed"


@BOTH
def test_e107_an_id_has_a_hundred_digits_at_most(protocol: int) -> None:
    packet = decode("2" + "9" * 100 + '["a"]', protocol)
    assert packet is not None and packet.id == int("9" * 100)
    for digits in (101, 5_000, 1_000_000):
        assert said("2" + "9" * digits + '["a"]', protocol) == "closed"


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        '5x-["a"]',
        "5-[]",
        "5-",
        "5",
        '5["a"]',
        "51",
        "51-",
        "51-7",
        '50-["e"]',
        f'500-["a",{PLACEHOLDER}]',
        f'511-["a",{PLACEHOLDER}]',
        f'599999999999999999999-["a",{PLACEHOLDER}]',
        f'5-1-["a",{PLACEHOLDER}]',
        f"51-[null,{PLACEHOLDER}]",
        f'51-{{"a":{PLACEHOLDER}}}',
        "6",
        "61-",
        f"61-{PLACEHOLDER}",
    ],
)
def test_e103_e108_attachments_that_cannot_be(text: str, protocol: int) -> None:
    assert said(text, protocol) == "closed"


@BOTH
@pytest.mark.parametrize("number", ["5", "1", "-1", "0.5", '"0"', "null", "true", "false", "[]", "1e9"])
def test_e104_placeholders_of_no_attachment(number: str, protocol: int) -> None:
    for value in ("%s", '{"a":[1,{"b":%s}]}', "[[%s]]"):
        wrong = value % f'{{"_placeholder":true,"num":{number}}}'
        assert said(f'51-["a",{wrong}]', protocol) == "closed"
        assert said(f"61-[{wrong}]", protocol) == "closed"
        assert isinstance(decode(f'2["a",{wrong}]', protocol), SocketPacket)
    assert said('51-["a",{"_placeholder":true}]', protocol) == "closed"


@BOTH
@pytest.mark.parametrize(
    "value", ['{"_placeholder":1,"num":7}', '{"_placeholder":false}', f"[{PLACEHOLDER},{PLACEHOLDER}]", "1", "null"]
)
def test_what_is_no_placeholder_is_data(value: str, protocol: int) -> None:
    assert isinstance(decode(f'51-["a",{value}]', protocol), SocketPacket)


# ---- characters -----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (r"\ud83d", r"\ufffd"),
        (r"a\uD83D b", r"a\ufffd b"),
        (r"\ude00", r"\ufffd"),
        (r"\ude00\ud83d", r"\ufffd\ufffd"),
        (r"\ud83d\ude00", r"\ud83d\ude00"),
        (r"\ud83d\ud83d\ude00", r"\ufffd\ud83d\ude00"),
        (r"\ud83d\\ude00", r"\ufffd\\ude00"),
        (r"\\ud83d", r"\\ud83d"),
        (r"\\\ud83d\n\"\\", r"\\\ufffd\n\"\\"),
    ],
)
def test_half_a_character_does_not_end_the_session(written: str, kept: str, protocol: int) -> None:
    """JSON.stringify writes it where a page has cut a string between two surrogates."""
    packet = decode(f'2["client event","{written}"]', protocol)
    assert packet is not None and packet.data == f'["client event","{kept}"]'.encode()
    json.loads(packet.data)


# ---- both ways ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (SocketPacket(T.CONNECT), b"0"),
        (SocketPacket(T.CONNECT, "/x"), b"0/x,"),
        (SocketPacket(T.ERROR, "/x", None, b'"Invalid namespace"', 0), b'4/x,"Invalid namespace"'),
        (SocketPacket(T.DISCONNECT), b"1"),
        (SocketPacket(T.ACK, "/", 456, b"[1]", 0), b"3456[1]"),
        (SocketPacket(T.EVENT, "/é", 0, b'["a"]'), '2/é,0["a"]'.encode()),
        (SocketPacket(T.BINARY_ACK, "/", 789, b"[1]", 2), b"62-789[1]"),
    ],
)
def test_encoding(packet: SocketPacket, text: bytes) -> None:
    assert encode(packet) == text


VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=3)
NAMESPACES = st.text(st.characters(codec="utf-8", exclude_characters=",")).map(lambda name: "/" + name)


@given(
    st.sampled_from((T.EVENT, T.ACK, T.BINARY_EVENT, T.BINARY_ACK)),
    NAMESPACES,
    st.none() | st.integers(0, 10**50),
    st.lists(VALUES, max_size=3),
    st.integers(1, 10),
    st.booleans(),
    st.sampled_from((4, 5)),
)
def test_packets_survive(
    kind: SocketType, namespace: str, number: int | None, values: list[Any], count: int, ascii_only: bool, protocol: int
) -> None:
    binary = kind >= T.BINARY_EVENT
    data = json.dumps(["name", *values], ensure_ascii=ascii_only).encode()
    packet = SocketPacket(kind, namespace, number, data, count if binary else 0)
    assert decode(encode(packet).decode(), protocol) == packet


@given(st.text() | st.text('0123456789-/,[]{}"ax\\u ', max_size=40), st.sampled_from((4, 5)))
def test_any_text_is_a_packet_or_a_parse_error(text: str, protocol: int) -> None:
    said(text, protocol)


# ---- attachments ----------------------------------------------------------------------------------------------


def binary_event(attachments: int) -> SocketPacket:
    return SocketPacket(T.BINARY_EVENT, data=b'["a"]', attachments=attachments)


def test_an_event_waits_for_its_attachments() -> None:
    assembler, packet = Assembler(), binary_event(2)
    for _ in range(2):
        assert assembler.text(packet) is None
        assert assembler.binary(b"1") is None
        assert assembler.binary(b"") == (packet, (b"1", b""))
    plain = SocketPacket(T.EVENT, data=b'["b"]')
    assert assembler.text(plain) is plain
    assert assembler.text(None) is None


@pytest.mark.parametrize("text", [None, SocketPacket(T.EVENT, data=b'["b"]'), binary_event(1)])
def test_e101_no_text_may_come_between(text: SocketPacket | None) -> None:
    assembler = Assembler()
    assembler.text(binary_event(2))
    assembler.binary(b"1")
    with pytest.raises(ParseError):
        assembler.text(text)


@pytest.mark.parametrize("before", [[], [None], [SocketPacket(T.EVENT, data=b'["b"]')]])
def test_e102_no_bytes_may_come_out_of_turn(before: list[SocketPacket | None]) -> None:
    assembler = Assembler()
    for packet in before:
        assembler.text(packet)
    with pytest.raises(ParseError):
        assembler.binary(b"1")


def test_e102_not_even_after_what_was_complete() -> None:
    assembler = Assembler()
    assembler.text(binary_event(1))
    assembler.binary(b"1")
    with pytest.raises(ParseError):
        assembler.binary(b"2")
