"""However a client's bytes are cut into packets, it and the others get the same answers.

How soon a link ends after a broken frame is no answer, and does differ: what follows such a frame is no more than
searched for the peer's close (RFC 6455 §7.1.7 asks for less), and where the search begins depends on the packets.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.conftest import Serve
from tests.conformance.expected import auth
from tests.inprocess import InProcess, client_frame

CHANNELS = ("a", "private-x", "presence-y", "cache-z", "a b", "")


def text(value: Any) -> bytes:
    return client_frame(0x1, json.dumps(value, ensure_ascii=False).encode())


def subscribe(channel: str, signed: bool) -> bytes:
    data = {"channel": channel}
    string = f"1.1:{channel}"
    if channel.startswith("presence-"):
        data["channel_data"] = '{"user_id":"é"}'
        string += ":" + data["channel_data"]
    return text({"event": "pusher:subscribe", "data": data | {"auth": auth(string) if signed else "x:y"}})


def fragments(pieces: list[str]) -> bytes:
    whole = json.dumps({"event": "foo", "data": pieces}, ensure_ascii=False).encode()
    cuts = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    return b"".join(client_frame(0 if at else 1, cut, at == len(cuts) - 1) for at, cut in enumerate(cuts))


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
channels = st.sampled_from(CHANNELS)
commands = st.one_of(
    st.builds(subscribe, channels, st.booleans()),
    channels.map(lambda name: text({"event": "pusher:unsubscribe", "data": {"channel": name}})),
    st.builds(lambda name, data: text({"event": "client-t", "channel": name, "data": data}), channels, words),
    words.map(lambda word: text({"event": word})),
    words.map(lambda word: client_frame(0x1, word.encode())),
    st.just(text({"event": "pusher:ping"})),
    st.just(text({"event": "pusher:pong", "data": {}})),
    st.binary(max_size=125).map(lambda payload: client_frame(0x9, payload)),
    st.binary(max_size=125).map(lambda payload: client_frame(0xA, payload)),
    st.binary(max_size=20).map(lambda payload: client_frame(0x2, payload)),
    st.lists(words, max_size=3).map(fragments),
    st.just(text({"event": "client-t", "channel": "private-x", "data": "x" * 300})),
)
# The last word may be one that ends the connection; what comes after it must not matter either.
last = st.one_of(
    st.just(b""),
    st.just(client_frame(0x8, b"\x03\xe8bye")),
    st.just(client_frame(0x1, b"\xff")),
    st.just(client_frame(0x3, b"")),
    st.just(client_frame(0x1, b"{}", mask=None)),
)
talks = st.tuples(st.lists(commands, max_size=12).map(b"".join), last, st.lists(commands, max_size=2).map(b"".join))


def talk(server: InProcess, packets: list[bytes]) -> tuple[bytes, list[dict[str, Any]]]:
    """What a client gets for ``packets``, and what somebody else hears meanwhile."""
    other = server.joined("a", "private-x")
    other.subscribe("presence-y", {"user_id": "other"})
    other.events()
    with mock.patch("broadcaster.web.site.new_socket_id", lambda: "1.1"):
        client = server.open()
    client.link.take()
    for packet in packets:
        client.raw(packet)
    sent = client.link.take()
    heard = other.events()
    client.drop()
    other.drop()
    server.clients.clear()
    server.advance(1)
    return sent, heard


@pytest.fixture
def server(serve: Serve) -> InProcess:
    return serve()


def same(server: InProcess, whole: bytes, packets: list[bytes]) -> None:
    assert b"".join(packets) == whole
    assert talk(server, packets) == talk(server, [whole])


REUSED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
"""The server is the same for all examples: each talk leaves nothing behind."""


@REUSED
@given(talks)
def test_byte_by_byte_is_the_same_as_in_one_packet(server: InProcess, spoken: tuple[bytes, bytes, bytes]) -> None:
    whole = b"".join(spoken)
    same(server, whole, [whole[at : at + 1] for at in range(len(whole))])


@REUSED
@given(talks, st.lists(st.integers(0, 4_000)))
def test_any_other_cut_is_too(server: InProcess, spoken: tuple[bytes, bytes, bytes], cuts: list[int]) -> None:
    whole = b"".join(spoken)
    ends = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    same(server, whole, [whole[start:end] for start, end in pairwise(ends)])


def test_a_talk_is_answered_at_all(server: InProcess) -> None:
    """The properties above would hold for a server that says nothing."""
    spoken = subscribe("presence-y", True) + text({"event": "client-t", "channel": "presence-y", "data": "é"})
    sent, heard = talk(server, [spoken])
    assert sent.count(b"subscription_succeeded") == 1
    assert [frame["event"] for frame in heard] == ["pusher_internal:member_added", "client-t"]


@pytest.mark.parametrize("size", [1, 2, 7, 200])
def test_the_handshake_may_be_cut_too(server: InProcess, size: int) -> None:
    whole = HANDSHAKE + subscribe("private-x", True)
    packets = [whole[at : at + size] for at in range(0, len(whole), size)]
    got = []
    for way in ([whole], packets):
        link = server.link()
        with mock.patch("broadcaster.web.site.new_socket_id", lambda: "1.1"):
            for packet in way:
                server.feed(link, packet)
        got.append(link.take())
        server.drop(link)
    assert got[0] == got[1]
    assert b"subscription_succeeded" in got[0]


HANDSHAKE = (
    b"GET /app/278d425bdf160c739803?protocol=7 HTTP/1.1\r\nHost: server.test\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
