"""What Laravel's RedisBroadcaster publishes, and whose it is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.drivers.redis.laravel import UNREADABLE, Prefixes, read_broadcast
from broadcaster.errors import ConfigError
from broadcaster.messages import Event

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.booleans())
def test_data_is_the_very_text_that_was_published(data: object, escaped: bool) -> None:
    text = json.dumps(data, ensure_ascii=escaped)
    try:
        payload = f'{{"event":"E","data":{text},"socket":null}}'.encode()
    except UnicodeEncodeError:
        return
    assert read_broadcast(payload, "a") == Event("E", ("a",), text)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_an_event_or_junk(payload: bytes) -> None:
    try:
        event = read_broadcast(payload, "a")
    except UNREADABLE:
        return
    assert event.name and event.channels == ("a",)


def test_the_socket_is_excluded_and_unknown_keys_are_nothing() -> None:
    assert read_broadcast(b'{"x":1,"event":"E","socket":"1.2","data":[]}', "a").exclude == "1.2"


@pytest.mark.parametrize("name", ("pusher:x", "pusher_internal:x", ""))
def test_events_of_the_server_itself_are_junk(name: str) -> None:
    with pytest.raises(UNREADABLE):
        read_broadcast(json.dumps({"event": name}).encode(), "a")


# ---- whose it is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("apps", "default", "names"),
    (
        ({"3": None}, "", {"3": b"a"}),
        ({"3": None}, "l_", {"3": b"l_a"}),
        ({"3": None, "4": None}, "l_", {"3": b"l_a", "4": None}),
        ({"3": None, "4": "f_"}, "l_", {"3": b"l_a", "4": b"f_a"}),
        ({"3": "s_", "4": "f_"}, "l_", {"3": b"s_a", "4": b"f_a"}),
        ({"3": None, "4": "l_"}, "l_", {"3": None, "4": b"l_a"}),
        ({}, "l_", {"3": None}),
    ),
)
def test_the_default_prefix_is_the_first_apps_unless_another_has_it(
    apps: dict[str, str | None], default: str, names: dict[str, bytes | None]
) -> None:
    prefixes = Prefixes(apps, default, "broadcaster")
    assert {app_id: prefixes.name(app_id, "a") for app_id in names} == names


def test_of_two_prefixes_that_fit_the_longer_counts() -> None:
    prefixes = Prefixes({"3": None, "4": "l_", "5": "l_x_"}, "", "broadcaster")
    assert prefixes.name("3", "l_a") is None
    assert prefixes.name("4", "x_a") is None
    assert [prefixes.name("3", "a"), prefixes.name("4", "a"), prefixes.name("5", "a")] == [b"a", b"l_a", b"l_x_a"]


@pytest.mark.parametrize("channel", ("broadcaster@0:control", "broadcaster:x"))
def test_the_servers_own_names_are_nobodys(channel: str) -> None:
    assert Prefixes({"3": None}, "", "broadcaster").name("3", channel) is None


def test_a_prefix_is_of_one_app() -> None:
    with pytest.raises(ConfigError, match=r"apps\.redis_prefix: 'l_' is given twice; give each app its own"):
        Prefixes({"3": "l_", "4": "l_"}, "", "broadcaster")
