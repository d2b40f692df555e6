"""What may be a channel or a socket id, and what a channel's prefix promises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.names import (
    CACHE_PREFIXES,
    Kind,
    is_channel_name,
    is_reserved_event,
    is_socket_id,
    kind_of,
    new_socket_id,
)

ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=@,.;"

KINDS = {
    "a": Kind.PUBLIC,
    "": Kind.PUBLIC,
    "private": Kind.PUBLIC,
    "privateer-x": Kind.PUBLIC,
    "Private-x": Kind.PUBLIC,
    "cached-x": Kind.PUBLIC,
    "my-private-x": Kind.AUTH,
    "my-presence-x": Kind.AUTH,
    "private-": Kind.AUTH,
    "private-x": Kind.AUTH,
    "private-presence-x": Kind.AUTH,
    "private-encryptedx": Kind.AUTH,
    "private-cachex": Kind.AUTH,
    "private-encrypted-x": Kind.AUTH | Kind.ENCRYPTED,
    "private-cache-x": Kind.AUTH | Kind.CACHE,
    "private-encrypted-cache-x": Kind.AUTH | Kind.ENCRYPTED | Kind.CACHE,
    "private-cache-encrypted-x": Kind.AUTH | Kind.CACHE,
    "presence-x": Kind.AUTH | Kind.PRESENCE,
    "presence-cache-x": Kind.AUTH | Kind.PRESENCE | Kind.CACHE,
    "presence-encrypted-x": Kind.AUTH | Kind.PRESENCE,
    "cache-x": Kind.CACHE,
    "#server-to-user-7": Kind.USER,
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_the_longest_prefix_says_what_a_channel_is(name: str, kind: Kind) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize("name", KINDS)
def test_cache_channels_are_known_by_their_prefixes_too(name: str) -> None:
    assert name.startswith(CACHE_PREFIXES) is bool(kind_of(name) & Kind.CACHE)


@given(st.text(ALPHABET, min_size=1))
def test_any_of_the_allowed_characters_make_a_name(name: str) -> None:
    assert is_channel_name(name)
    assert is_channel_name("#server-to-user-" + name)


@given(st.text(min_size=1).filter(lambda text: not set(text) <= set(ALPHABET)))
def test_any_other_character_does_not(name: str) -> None:
    assert not is_channel_name(name)


@pytest.mark.parametrize(
    "name", ["", "#", "#x", "a#server-to-user-b", "a b", "a\n", "a:b", "a/b", "ä", "٣", "#server-to-user-"]
)
def test_neither_do_these(name: str) -> None:
    assert not is_channel_name(name)


@pytest.mark.parametrize("text", ["1234.5678", "0.0", "123456789012.1"])
def test_a_socket_id_is_two_numbers(text: str) -> None:
    assert is_socket_id(text)


@pytest.mark.parametrize("text", ["", ".", "1.", ".1", "1", "1.2.3", "1.2\n", " 1.2", "-1.2", "a.1", "٣.٣", "1.2:x"])
def test_nothing_else_is_a_socket_id(text: str) -> None:
    assert not is_socket_id(text)


def test_new_socket_ids_are_ids_and_each_is_another() -> None:
    ids = {new_socket_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(is_socket_id(each) for each in ids)
    assert all(int(part) < 2**31 for each in ids for part in each.split("."))


@pytest.mark.parametrize("name", ["pusher:ping", "pusher:", "pusher_internal:member_added"])
def test_the_servers_own_events_are_known(name: str) -> None:
    assert is_reserved_event(name)


@pytest.mark.parametrize("name", ["", "pusher", "Pusher:x", "client-pusher:", "xpusher:", "pusher_internal"])
def test_other_events_are_anybodys(name: str) -> None:
    assert not is_reserved_event(name)
