"""The last event of each cache channel: kept as long as the app says, and let go of when nobody can be told it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broadcaster.cache import Cache, Cached


def test_the_last_one_is_kept() -> None:
    cache = Cache({"app": 10})
    assert cache.last("app", "cache-x", 0) is None
    cache.keep("app", "cache-x", "e1", "1", 100)
    cache.keep("app", "cache-x", "e2", "2", 101)
    assert cache.last("app", "cache-x", 101) == Cached("e2", "2", 111)


def test_its_time_ends_to_the_moment_and_starts_again_with_each() -> None:
    cache = Cache({"app": 10})
    cache.keep("app", "cache-x", "e1", "1", 100)
    assert cache.last("app", "cache-x", 109.9) is not None
    assert cache.last("app", "cache-x", 110) is None
    cache.keep("app", "cache-x", "e2", "2", 105)
    assert cache.last("app", "cache-x", 110) == Cached("e2", "2", 115)


def test_apps_and_channels_are_kept_apart() -> None:
    cache = Cache({"a": 10, "b": 20})
    cache.keep("a", "cache-x", "e", "1", 0)
    cache.keep("b", "cache-x", "e", "2", 0)
    cache.keep("b", "cache-y", "e", "3", 0)
    kept = {
        (app_id, channel): cached.data
        for app_id in ("a", "b")
        for channel in ("cache-x", "cache-y")
        if (cached := cache.last(app_id, channel, 5)) is not None
    }
    assert kept == {("a", "cache-x"): "1", ("b", "cache-x"): "2", ("b", "cache-y"): "3"}
    assert cache.last("a", "cache-x", 15) is None
    assert cache.last("b", "cache-x", 15) is not None


def test_an_app_that_keeps_nothing_and_one_that_is_unknown() -> None:
    cache = Cache({"none": 0})
    for app_id in ("none", "unknown"):
        cache.keep(app_id, "cache-x", "e", "1", 0)
        assert cache.last(app_id, "cache-x", 0) is None
    cache.forget(1)


_STEPS = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.floats(0, 5)))


@given(_STEPS)
def test_what_is_forgotten_is_all_that_has_expired_and_nothing_else(steps: list[tuple[str, str, float]]) -> None:
    seconds = {"a": 3, "b": 7}
    cache, expires, now = Cache(seconds), {}, 0.0
    for app_id, channel, pause in steps:
        cache.keep(app_id, channel, "e", "1", now)
        expires[app_id, channel] = now + seconds[app_id]
        now += pause
        cache.forget(now)
        kept = {(app, channel) for app, events in cache._events.items() for channel in events}
        assert kept == {key for key, moment in expires.items() if moment > now}
        assert kept == {key for key in expires if cache.last(*key, now) is not None}
