"""Envelopes: encoded once for all who speak the same."""

from __future__ import annotations

import gc
import weakref

import pytest

from broadcaster.messages import (
    CacheMiss,
    Envelope,
    Member,
    MemberAdded,
    MemberRemoved,
    Message,
    Ping,
    Published,
    SubscriptionCount,
)


class Codec:
    """Counts what it is asked for."""

    resubscribes = False

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.asked: list[Message] = []

    def decode(self, frame: bytes | str) -> object:
        raise AssertionError("nothing is decoded")

    def encode(self, message: Message) -> bytes:
        self.asked.append(message)
        return b"<%b>" % self.name


EVENT = Published("e", "c", "1")


def test_every_connection_of_a_codec_gets_the_same_object() -> None:
    codec = Codec(b"x")
    envelope = Envelope((EVENT,))
    first, second = envelope.encoded(codec), envelope.encoded(codec)
    assert first is second
    assert codec.asked == [EVENT]


def test_each_codec_encodes_for_itself() -> None:
    one, two = Codec(b"1"), Codec(b"2")
    envelope = Envelope((EVENT, Ping()))
    assert (envelope.encoded(one), envelope.encoded(two)) == (b"<1><1>", b"<2><2>")
    assert one.asked == two.asked == [EVENT, Ping()]


def test_messages_travel_in_their_order() -> None:
    codec = Codec(b"x")
    messages = tuple(Published("e", "c", str(number)) for number in range(5))
    assert Envelope(messages).encoded(codec) == b"<x>" * 5
    assert codec.asked == list(messages)


def test_what_cannot_be_encoded_fails_each_time_and_is_not_remembered() -> None:
    class Broken(Codec):
        def encode(self, message: Message) -> bytes:
            self.asked.append(message)
            raise UnicodeEncodeError("utf-8", "", 0, 1, "surrogates not allowed")

    codec = Broken(b"x")
    envelope = Envelope((EVENT,))
    for _ in range(2):
        with pytest.raises(UnicodeEncodeError):
            envelope.encoded(codec)
    assert len(codec.asked) == 2


KEEPS = [
    MemberAdded("c", Member("7")),
    MemberRemoved("c", Member("7")),
    SubscriptionCount("c", 1),
    CacheMiss("c"),
    Ping(),
]


@pytest.mark.parametrize("message", KEEPS)
def test_a_slow_client_may_miss_events_and_nothing_else(message: Message) -> None:
    assert Envelope((EVENT, EVENT)).expendable
    assert not Envelope((message,)).expendable
    assert not Envelope((EVENT, message)).expendable


def test_an_envelope_that_was_told_is_not_kept() -> None:
    class Watched(Envelope):
        __slots__ = ("__weakref__",)

    envelope = Watched((EVENT,))
    envelope.encoded(Codec(b"x"))
    gone = weakref.ref(envelope)
    del envelope
    gc.collect()
    assert gone() is None
