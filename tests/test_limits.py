"""Rates and ceilings: exactly so many, and refusals that name what could be changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.limits import TokenBucket, data_too_large, event_name_too_long, named
from broadcaster.settings import Limits


def test_a_bucket_lets_through_its_rate_at_once_and_then_no_more() -> None:
    bucket = TokenBucket()
    assert [bucket.take(10, 5.0) for _ in range(12)] == [True] * 10 + [False] * 2


def test_what_is_refused_costs_nothing() -> None:
    bucket = TokenBucket()
    for _ in range(1_000):
        bucket.take(10, 5.0)
    assert not bucket.take(10, 5.09)
    assert bucket.take(10, 5.11)
    assert not bucket.take(10, 5.12)


def test_an_idle_bucket_fills_up_to_its_rate_and_no_further() -> None:
    bucket = TokenBucket()
    assert bucket.take(10, 0)
    assert sum(bucket.take(10, 1_000) for _ in range(50)) == 10


def test_a_rate_of_nothing_is_none() -> None:
    bucket = TokenBucket()
    assert all(bucket.take(0, 0) for _ in range(1_000))


@given(st.lists(st.floats(0, 3), max_size=200), st.integers(1, 20))
def test_in_no_stretch_of_time_pass_more_than_the_rate_and_a_bucketful(gaps: list[float], rate: int) -> None:
    bucket = TokenBucket()
    now, passed = 0.0, []
    for gap in gaps:
        now += gap
        if bucket.take(rate, now):
            passed.append(now)
    for first, start in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= rate + (passed[last] - start) * rate + 1e-6


def test_a_refusal_names_the_setting_and_its_value() -> None:
    assert named("Too many", Limits(members=7), "members") == "Too many (limits.members = 7)"


@pytest.mark.parametrize(("size", "refused"), [(0, False), (10, False), (11, True)])
def test_data_may_be_as_large_as_the_limit(size: int, refused: bool) -> None:
    reason = data_too_large(size, Limits(event_bytes=10))
    assert (reason is not None) is refused
    if reason is not None:
        assert reason.startswith("The data content of this event exceeds the allowed maximum (10 bytes)")
        assert reason.endswith(" (limits.event_bytes = 10)")


@pytest.mark.parametrize(("name", "refused"), [("", False), ("é" * 10, False), ("é" * 11, True)])
def test_a_name_may_have_as_many_characters_as_the_limit(name: str, refused: bool) -> None:
    reason = event_name_too_long(name, Limits(event_name_length=10))
    assert (reason is not None) is refused
    assert reason is None or reason == "Event name exceeds 10 characters (limits.event_name_length = 10)"


def test_a_limit_of_nothing_is_none() -> None:
    limits = Limits(event_bytes=0, event_name_length=0)
    assert data_too_large(10**9, limits) is None
    assert event_name_too_long("x" * 10_000, limits) is None
    assert limits.largest_frame() == limits.largest_body() == 0


def test_frames_and_bodies_have_room_for_the_largest_events_escaped() -> None:
    limits = Limits(event_bytes=1_000, events_per_batch=10)
    assert limits.largest_frame() >= 2_000
    assert limits.largest_body() >= 20_000
    chosen = Limits(frame_bytes=5, body_bytes=6)
    assert (chosen.largest_frame(), chosen.largest_body()) == (5, 6)
