"""Bodies of publishes: whatever is sent is either an event that keeps the rules, or a refusal in one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcaster.auth.requests import RequestRefused
from broadcaster.messages import Event
from broadcaster.names import is_channel_name
from broadcaster.settings import Limits
from broadcaster.web.publishing import Publish, check_channel, event_of, read_batch, read_publish, read_wanted

LIMITS = Limits(event_bytes=100, channels_per_event=3, events_per_batch=2, event_name_length=10, channel_name_length=8)
NONE = Limits(event_bytes=0, channels_per_event=0, events_per_batch=0, event_name_length=0, channel_name_length=0)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
names = st.text(st.sampled_from("abz09-_=@,.;"), min_size=1, max_size=8)


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def refusal(raw: bytes, limits: Limits = LIMITS, read: Any = read_publish) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as caught:
        read(raw, limits)
    return caught.value.status, caught.value.text


# ---- one event ------------------------------------------------------------------------------------------------


def test_a_publish_is_an_event_and_what_its_publisher_wants_to_know() -> None:
    raw = body(name="e", channels=["a", "b"], data="1", socket_id="1.2", info="user_count, subscription_count")
    event = Event("e", ("a", "b"), "1", exclude="1.2")
    assert read_publish(raw, LIMITS) == Publish(event, ("user_count", "subscription_count"))


@given(
    name=st.text(min_size=1).filter(lambda name: not name.startswith(("pusher:", "pusher_internal:"))),
    channels=st.lists(names, min_size=1, unique=True),
    data=st.text(),
)
def test_text_comes_through_unchanged(name: str, channels: list[str], data: str) -> None:
    raw = body(name=name, channels=channels, data=data)
    assert read_publish(raw, NONE) == Publish(Event(name, tuple(channels), data))


@given(values.filter(lambda value: value is not None and not isinstance(value, str)))
def test_other_values_come_through_as_json_that_means_the_same(value: Any) -> None:
    for indent in (None, 1):
        raw = json.dumps({"name": "e", "channel": "a", "data": value}, indent=indent)
        text = read_publish(raw.encode(), NONE).event.data
        assert json.loads(text) == value
        assert text == json.dumps(value, separators=(",", ":"))


@given(st.binary() | st.builds(json.dumps, values).map(str.encode))
@example(b'{"name":"e","channel":"a","data":"\\ud800"}')
@example(b'{"name":"\\ud800","channel":"a","data":"1"}')
@example(b'{"name":"e","channel":"\\ud800","data":"1"}')
@example(b'{"name":"e","channel":"a","data":"1","socket_id":"\\ud800"}')
@example(b'{"name":"e","channel":"a","data":"1","info":"\\ud800"}')
@example(b'{"name":"e","channel":"a","data":{"\\ud800":1}}')
@example(b'{"name":"e","channel":"a","data":{"a":\xff}}')
@example(b'{"name":"e","channel":"a","data":1e999}')
def test_any_body_is_an_event_or_one_printable_line(raw: bytes) -> None:
    for read in (read_publish, read_batch):
        try:
            found = read(raw, LIMITS)
        except RequestRefused as refused:
            assert refused.status in (400, 413)
            assert refused.text.isprintable()
        else:
            for publish in found if isinstance(found, tuple) else (found,):
                check(publish.event)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("name", "channel", "channels", "data", "socket_id", "info"), values)
    )
)
def test_any_fields_are_an_event_or_one_printable_line(fields: dict[str, Any]) -> None:
    try:
        check(read_publish(body(**fields), LIMITS).event)
    except RequestRefused as refused:
        assert refused.status in (400, 413)
        assert refused.text.isprintable()


def check(event: Event) -> None:
    """It keeps every rule."""
    assert 1 <= len(event.name) <= 10
    assert not event.name.startswith(("pusher:", "pusher_internal:"))
    assert 1 <= len(event.channels) <= 3
    assert all(is_channel_name(channel) and len(channel) <= 8 for channel in event.channels)
    assert len(event.data.encode()) <= 100
    assert event.name.encode()


@pytest.mark.parametrize(
    ("fields", "answer"),
    (
        ({"data": "x" * 101}, (413, "The data content of this event exceeds the allowed maximum (100 bytes)")),
        ({"data": "é" * 51}, (413, "The data content of this event exceeds the allowed maximum (100 bytes)")),
        ({"name": "e" * 11}, (400, "Event name too long")),
        ({"channel": "c" * 9}, (400, "Invalid channel name: ccccccccc")),
        ({"channels": ["a", "b", "c", "d"]}, (400, "The channels parameter may hold at most 3 channels")),
    ),
)
def test_a_refusal_by_a_limit_names_the_setting_and_nought_is_no_limit(
    fields: dict[str, Any], answer: tuple[int, str]
) -> None:
    raw = body(**{"name": "e", "channel": "a", "data": "1", **fields})
    status, text = refusal(raw)
    told, _, setting = text.partition(" (limits.")
    assert (status, told) == answer
    name, _, value = setting.removesuffix(")").partition(" = ")
    assert getattr(LIMITS, name) == int(value)
    assert read_publish(raw, NONE)


def test_blanks_around_null_do_not_make_it_data() -> None:
    assert refusal(b'{"name":"e","channel":"a","data": null }') == (400, "Missing parameter: data")


# ---- a batch --------------------------------------------------------------------------------------------------


def test_a_batch_is_its_events_in_order() -> None:
    raw = body(batch=[{"name": name, "channel": "a", "data": "1"} for name in ("x", "y")])
    assert [publish.event.name for publish in read_batch(raw, LIMITS)] == ["x", "y"]


def test_of_several_faults_the_first_is_told() -> None:
    raw = body(batch=[{"name": "x", "channel": "a b", "data": "1"}, {}])
    assert refusal(raw, read=read_batch) == (400, "batch[0]: Invalid channel name: a b")


def test_a_batch_may_be_as_long_as_it_likes_where_nothing_bounds_it() -> None:
    one = {"name": "x", "channel": "a", "data": "1"}
    assert refusal(body(batch=[one] * 3), read=read_batch) == (400, "Batch too large (limits.events_per_batch = 2)")
    assert len(read_batch(body(batch=[one] * 500), NONE)) == 500


# ---- the pieces -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("info", "wanted"),
    ((None, ()), ("", ()), (",", ()), ("user_count", ("user_count",)), (" user_count ,", ("user_count",))),
)
def test_attributes_are_separated_by_commas(info: str | None, wanted: tuple[str, ...]) -> None:
    assert read_wanted(info) == wanted


def test_attributes_that_are_not_known_here_are_refused() -> None:
    assert read_wanted("cache", ("cache",)) == ("cache",)
    with pytest.raises(RequestRefused, match="Unknown info attribute: cache"):
        read_wanted("user_count,cache")


@given(st.text())
def test_a_channel_that_is_let_through_is_the_one_that_was_asked_for(name: str) -> None:
    try:
        assert check_channel(name, NONE) == name
        assert is_channel_name(name)
    except RequestRefused:
        assert not is_channel_name(name)


def test_an_event_may_be_put_together_from_its_pieces() -> None:
    assert event_of("e", "1", ("a",), None, LIMITS) == Event("e", ("a",), "1")
    with pytest.raises(RequestRefused, match="Invalid socket id: me"):
        event_of("e", "1", ("a",), "me", LIMITS)
