"""What processes tell each other through Redis: whatever an event holds arrives."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.drivers.redis.wire import decode_event, encode_event
from broadcaster.messages import Event

_texts = st.text(st.characters(exclude_categories=["Cs"]))
_maybe = st.none() | _texts


@given(
    st.builds(Event, _texts, st.just(("a",)), _texts, _maybe, _maybe, st.booleans(), st.lists(st.binary()).map(tuple))
)
def test_an_event_arrives_as_it_was(event: Event) -> None:
    assert decode_event(encode_event(event), "a") == event


def test_what_a_process_without_client_events_of_bytes_tells_is_understood() -> None:
    told = msgspec.msgpack.encode(["event/1", "e", "1", None, None])
    assert decode_event(told, "a") == Event("e", ("a",), "1")
