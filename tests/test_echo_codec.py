"""laravel-echo-server's dialect: how messages are told to its clients."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from broadcaster.interfaces import ICodec
from broadcaster.messages import (
    CacheMiss,
    Established,
    Failure,
    Member,
    MemberAdded,
    MemberRemoved,
    Message,
    Ping,
    Pong,
    Published,
    SignedIn,
    Subscribed,
    SubscriptionCount,
    SubscriptionFailed,
    WatchlistEvents,
)
from broadcaster.protocols import socketio
from broadcaster.protocols.echo import EchoCodec
from broadcaster.protocols.engineio import v3, v4
from broadcaster.protocols.frames import text_frame, unframed

CODECS = {3: EchoCodec(3), 4: EchoCodec(4)}
REVISIONS = pytest.mark.parametrize("revision", [3, 4])

U1 = Member("1", b'{"id":1,"name":"U1"}', b'{"user_id":1,"user_info":{"id":1,"name":"U1"}}', "eICD6enF01k0FCbiAAAJ")
U2 = Member("2", b'{"id":2,"name":"U2"}', b'{"user_id":2,"user_info":{"id":2,"name":"U2"}}', "Fj4pNRwPhYiQOQ3YAAAK")


def told(message: Message, revision: int = 3) -> str:
    """The one text that a message becomes."""
    frame = CODECS[revision].encode(message)
    (text,) = unframed(frame)
    assert frame == text_frame(text.encode())
    return text


@REVISIONS
def test_it_is_a_codec(revision: int) -> None:
    verifyObject(ICodec, CODECS[revision])


# ---- greeting -------------------------------------------------------------------------------------------------


def test_e092_revision_3_is_greeted_without_words() -> None:
    assert told(Established("IR7muVTiPZdfVLUdAAAA", 30), 3) == "40"
    assert told(Established("IR7muVTiPZdfVLUdAAAA", 30, "xWEZlM3af9FNlqBBAAAB"), 3) == "40"


def test_e111_revision_4_is_told_its_ids() -> None:
    sid, pid = "RrQoIESCoCW74NyBAAAA", "xWEZlM3af9FNlqBBAAAB"
    assert told(Established(sid, 30), 4) == f'40{{"sid":"{sid}"}}'
    assert told(Established(sid, 30, pid), 4) == f'40{{"sid":"{sid}","pid":"{pid}"}}'


# ---- events ---------------------------------------------------------------------------------------------------


def test_e111_e118_only_revision_4_is_told_the_offset() -> None:
    message = Published("Tick", "orders", '{"n":1}', offset="Q8E61yH")
    assert told(message, 3) == '42["Tick","orders",{"n":1}]'
    assert told(message, 4) == '42["Tick","orders",{"n":1},"Q8E61yH"]'


def test_e117_no_event_of_revision_4_ends_with_its_data() -> None:
    assert told(Published("E", "c", '"text"'), 4) == '42["E","c","text","0"]'
    assert told(Published("E", "c", ""), 4) == '42["E","c",null,"0"]'


def test_e150_names_are_opaque() -> None:
    message = Published(r"App\Events\Shipped", "orders", '{"id":1,"t":"é😀"}')
    assert told(message) == r'42["App\\Events\\Shipped","orders",{"id":1,"t":"é😀"}]'
    assert told(Published('"\n', 'q"\\', "1")) == r'42["\"\n","q\"\\",1]'


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (r'{"a":1}', '{"a":1}'),
        ("plain", '"plain"'),
        ("", "null"),
        (" ", '" "'),
        ("5", "5"),
        ('"s"', '"s"'),
        ("[1]", "[1]"),
        ("null", "null"),
        ("NaN", '"NaN"'),
        ("Infinity", '"Infinity"'),
        ("01", '"01"'),
        ("{", '"{"'),
        ("[1]]", '"[1]]"'),
        ("{'a':1}", "\"{'a':1}\""),
        ('"\\q"', r'"\"\\q\""'),
        ('"\t"', r'"\"\t\""'),
        ('{"a":1} x', r'"{\"a\":1} x"'),
        ("1,2", '"1,2"'),
        ('1],"x",[2', r'"1],\"x\",[2"'),
        ("\x1e", r'"\u001e"'),
        ("\u2028", '"\u2028"'),
    ],
)
@REVISIONS
def test_e143_e169_text_that_is_json_is_its_value_and_else_a_string(data: str, value: str, revision: int) -> None:
    offset = ',"0"' if revision == 4 else ""
    text = told(Published("E", "c", data), revision)
    assert text == f'42["E","c",{value}{offset}]'
    json.loads(text[2:])


@pytest.mark.parametrize(
    "data", ["1e2", "1.0", "1e999", "12345678901234567890", '{"a":1,"a":2}', r'"\u00e9\ud83d\ude00"', "[ 1 ,\n2 ]"]
)
def test_e146_json_is_spliced_as_it_was_written(data: str) -> None:
    assert told(Published("E", "c", data)) == f'42["E","c",{data}]'
    text = told(Published("E", "c", data), 3)
    assert v3.encode_payload([v3.decode_frame(text)], False)[0] == f"{len(text)}:{text}".encode()
    text = told(Published("E", "c", data), 4)
    assert v4.encode_payload([v4.decode_frame(text)], False)[0] == text.encode()


def test_half_a_character_stays_within_its_json() -> None:
    assert told(Published("E", "c", r'{"a":"\ud83d"}')) == r'42["E","c",{"a":"\ufffd"}]'


def test_nesting_that_nobody_could_read_is_a_string() -> None:
    data = "[" * 50_000 + "]" * 50_000
    assert told(Published("E", "c", data)) == f'42["E","c","{data}"]'


@given(st.text() | st.builds(json.dumps, st.recursive(st.integers() | st.text(), st.lists)), st.text(), st.text())
def test_any_text_can_be_told(data: str, name: str, channel: str) -> None:
    for revision in (3, 4):
        frame = CODECS[revision].encode(Published(name, channel, data, offset="7"))
        if not frame:
            assert name in ("error", *socketio.RESERVED)
            continue
        (text,) = unframed(frame)
        arguments = json.loads(text[2:])
        assert arguments[:2] == [name, channel]
        assert arguments[3:] == (["7"] if revision == 4 else [])
        if revision == 4:
            assert "\x1e" not in text
        assert socketio.decode(text[1:], revision + 1) is not None


@pytest.mark.parametrize("name", [*sorted(socketio.RESERVED), "error"])
@REVISIONS
def test_events_that_clients_take_for_their_own_are_not_told(name: str, revision: int) -> None:
    """Clients of revision 4 would close the connection."""
    assert CODECS[revision].encode(Published(name, "c", "1")) == b""


def test_whose_event_it_is_is_not_told() -> None:
    assert told(Published("client-t", "presence-x", "1", "42")) == '42["client-t","presence-x",1]'


@REVISIONS
def test_messages_follow_each_other(revision: int) -> None:
    messages = [Published("a", "c", "1"), Ping(), Published("b", "c", "x" * 200), Published("d", "c", "y" * 70_000)]
    frames = b"".join(CODECS[revision].encode(message) for message in messages)
    assert list(unframed(frames)) == [told(messages[at], revision) for at in (0, 2, 3)]


# ---- presence -------------------------------------------------------------------------------------------------


@REVISIONS
def test_e129_the_list_is_newest_first_without_an_offset(revision: int) -> None:
    expected = (
        '42["presence:subscribed","presence-room",['
        '{"user_id":2,"user_info":{"id":2,"name":"U2"},"socketId":"Fj4pNRwPhYiQOQ3YAAAK"},'
        '{"user_id":1,"user_info":{"id":1,"name":"U1"},"socketId":"eICD6enF01k0FCbiAAAJ"}]]'
    )
    assert told(Subscribed("presence-room", (U1, U2)), revision) == expected
    if revision == 3:
        assert v3.encode_payload([v3.decode_frame(expected)], True)[0] == f"205:{expected}".encode()


@REVISIONS
def test_e129_e131_who_comes_has_a_socket_and_who_leaves_has_none(revision: int) -> None:
    assert told(MemberAdded("presence-room", U2), revision) == (
        '42["presence:joining","presence-room",'
        '{"user_id":2,"user_info":{"id":2,"name":"U2"},"socketId":"Fj4pNRwPhYiQOQ3YAAAK"}]'
    )
    assert told(MemberRemoved("presence-room", U2), revision) == (
        '42["presence:leaving","presence-room",{"user_id":2,"user_info":{"id":2,"name":"U2"}}]'
    )


def test_e180_a_member_of_another_dialect_is_built() -> None:
    member = Member("7", b'"x"', b"", "123.456")
    assert told(MemberAdded("presence-x", member)) == (
        '42["presence:joining","presence-x",{"user_id":"7","user_info":"x","socketId":"123.456"}]'
    )
    assert told(MemberRemoved("presence-x", member)) == (
        '42["presence:leaving","presence-x",{"user_id":"7","user_info":"x"}]'
    )


def test_what_else_the_application_said_is_kept() -> None:
    member = Member("1", b"{}", b' {"user_id":1.0, "more":[{}] }\n', "a")
    assert told(MemberAdded("presence-x", member)) == (
        '42["presence:joining","presence-x",{"user_id":1.0, "more":[{}] ,"socketId":"a"}]'
    )


# ---- the rest -------------------------------------------------------------------------------------------------


@REVISIONS
def test_e121_e123_a_subscription_is_told_only_where_it_failed(revision: int) -> None:
    assert CODECS[revision].encode(Subscribed("private-x")) == b""
    failed = SubscriptionFailed("private-deny", "AuthError", "no", 403)
    assert told(failed, revision) == '42["subscription_error","private-deny",403]'
    unreachable = SubscriptionFailed('q"', "AuthError", "no", 0)
    assert told(unreachable, revision) == '42["subscription_error","q\\"",0]'


@pytest.mark.parametrize(
    "message",
    [
        Ping(),
        Pong(),
        Failure(4301, "no", "c"),
        CacheMiss("cache-x"),
        SubscriptionCount("c", 1),
        SignedIn("{}"),
        WatchlistEvents(("a",), ()),
    ],
    ids=lambda message: type(message).__name__,
)
@REVISIONS
def test_the_dialect_has_no_words_for_the_rest(message: Message, revision: int) -> None:
    assert CODECS[revision].encode(message) == b""
