"""A Pusher client that only listens: what it says, and what it makes of what it hears."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.signature import sign
from broadcaster.drivers.pusher.listening import Heard, Listening


class Line:
    """A connection, and everything that goes over it."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.heard: list[Heard] = []
        self.complaints: list[str] = []
        self.end = Listening(
            "key", "secret", lambda text: self.said.append(json.loads(text)), self.heard.append, self.complaints.append
        )

    def greet(self, socket_id: str = "1.2", timeout: int = 30, now: float = 0) -> None:
        self.tell("pusher:connection_established", {"socket_id": socket_id, "activity_timeout": timeout}, now=now)

    def tell(self, event: str, data: Any = None, channel: str | None = None, now: float = 0, **more: Any) -> None:
        text = data if isinstance(data, str) else json.dumps(data)
        frame = {"event": event, "data": text, **({} if channel is None else {"channel": channel}), **more}
        self.end.received(json.dumps(frame), now)

    def events(self) -> list[tuple[str, str]]:
        said, self.said = self.said, []
        return [(each["event"], each["data"].get("channel", "")) for each in said]


@pytest.fixture
def line() -> Line:
    return Line()


def test_it_subscribes_to_what_is_wanted_once_it_is_greeted_and_again_on_the_next_connection(line: Line) -> None:
    line.end.want("a")
    assert line.said == [] and not line.end.up
    line.greet()
    assert line.end.up
    line.end.want("b")
    line.end.want("b")
    assert line.events() == [("pusher:subscribe", "a"), ("pusher:subscribe", "b")]
    line.end.unwant("a")
    line.end.unwant("a")
    assert line.events() == [("pusher:unsubscribe", "a")]
    line.end.lost()
    line.end.want("c")
    assert line.said == []
    line.greet()
    assert line.events() == [("pusher:subscribe", "b"), ("pusher:subscribe", "c")]


def test_private_and_presence_channels_are_signed_as_the_application_would(line: Line) -> None:
    line.greet("12.34")
    for channel in ("private-a", "private-encrypted-b", "presence-c", "laravel_private-d"):
        line.end.want(channel)
    private, encrypted, presence, public = (each["data"] for each in line.said)
    assert private == {"channel": "private-a", "auth": "key:" + sign("secret", "12.34:private-a")}
    assert encrypted["auth"] == "key:" + sign("secret", "12.34:private-encrypted-b")
    assert json.loads(presence["channel_data"])["user_id"].startswith("broadcaster-")
    assert presence["auth"] == "key:" + sign("secret", f"12.34:presence-c:{presence['channel_data']}")
    assert public == {"channel": "laravel_private-d"}


def test_events_of_what_is_wanted_are_heard_and_the_protocols_own_are_not(line: Line) -> None:
    line.end.want("a")
    line.greet()
    line.tell("pusher_internal:subscription_succeeded", {}, "a")
    line.tell("e", '{"n": 1}', "a")
    line.tell("client-e", "2", "a", user_id="ann")
    line.tell("pusher:subscription_count", {"count": 1}, "a")
    line.tell("pusher_internal:member_added", {}, "a")
    line.tell("e", "3", "b")
    line.end.received('{"event": "e", "channel": "a", "data": {"as": "object"}}', 0)
    assert line.heard == [
        Heard("a", "e", '{"n": 1}'),
        Heard("a", "client-e", "2", "ann"),
        Heard("a", "e", '{"as":"object"}'),
    ]


def test_the_event_that_a_cache_channel_keeps_is_known_as_such_and_told_once(line: Line) -> None:
    line.end.want("cache-a")
    line.greet()
    line.tell("pusher_internal:subscription_succeeded", {}, "cache-a")
    line.tell("e", "1", "cache-a")
    line.tell("e", "1", "cache-a")
    assert line.heard == [Heard("cache-a", "e", "1", kept=True), Heard("cache-a", "e", "1")]
    line.heard.clear()
    for kept in ("1", "2"):
        line.end.lost()
        line.greet()
        line.tell("pusher_internal:subscription_succeeded", {}, "cache-a")
        line.tell("e", kept, "cache-a")
    assert line.heard == [Heard("cache-a", "e", "2", kept=True)]


def test_after_a_cache_miss_the_next_event_is_news(line: Line) -> None:
    line.end.want("cache-a")
    line.greet()
    line.tell("pusher_internal:subscription_succeeded", {}, "cache-a")
    line.tell("pusher:cache_miss", None, "cache-a")
    line.tell("e", "1", "cache-a")
    assert line.heard == [Heard("cache-a", "e", "1")]


def test_a_ping_is_answered_and_silence_is_asked_about_before_it_counts(line: Line) -> None:
    line.greet(timeout=30, now=100)
    line.tell("pusher:ping", {}, now=100)
    assert line.events() == [("pusher:pong", "")]
    assert not line.end.silent(129)
    assert line.said == []
    assert not line.end.silent(130)
    assert line.events() == [("pusher:ping", "")]
    assert not line.end.silent(159)
    assert line.said == []
    assert line.end.silent(160)
    line.tell("pusher:pong", {}, now=160)
    assert not line.end.silent(161)


def test_what_pusher_refuses_is_complained_about(line: Line) -> None:
    line.end.want("private-a")
    line.greet()
    line.tell("pusher:subscription_error", {"status": 401}, "private-a")
    line.tell("pusher:error", {"code": 4201, "message": "Pong reply not received"})
    line.end.received("garbage", 0)
    assert line.complaints == [
        'Pusher refuses private-a: {"status": 401}',
        'Pusher says {"code": 4201, "message": "Pong reply not received"}',
        "what came is no Pusher message",
    ]


@given(
    st.binary()
    | st.text()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["event", "data", "channel"]), inner),
    ).map(json.dumps)
)
def test_nothing_that_comes_raises(frame: str | bytes) -> None:
    line = Line()
    line.end.want("a")
    line.end.received(frame, 0)
    line.greet()
    line.end.received(frame, 0)
