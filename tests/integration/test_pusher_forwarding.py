"""Forwarding to a Pusher that a test scripts: what is sent, tried again, given up, and that all of it is counted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from twisted.logger import capturedLogs

from broadcaster.auth.signature import sign
from broadcaster.drivers.pusher import forwarding
from broadcaster.drivers.pusher.forwarding import Forwarding
from broadcaster.drivers.pusher.options import Options
from broadcaster.errors import DriverError
from broadcaster.messages import Event, Terminated
from tests.integration.application import Application, Asked, End, Here, said, serving
from tests.sockets import reactor, run_until

SECRET = "s3cret-of-ours"
TAKEN = said("{}")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is tried again is tried again soon; names are found without a thread."""
    monkeypatch.setattr(forwarding, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(forwarding, "LONGEST_PAUSE", 0.02)
    before = reactor.installNameResolver(Here())
    yield
    reactor.installNameResolver(before)


class Out:
    """A way out to a scripted Pusher, and all that was dropped on it."""

    def __init__(self, pusher: Application, **options: Any) -> None:
        self.pusher = pusher
        self.dropped: list[Event] = []
        options = {"app_id": "3", "key": "key", "secret": SECRET, "host": "127.0.0.1", "scheme": "http"} | options
        self.way = Forwarding(reactor, Options(port=pusher.port, **options), self.dropped.append)

    def publish(self, *items: Event | Terminated) -> None:
        for item in items:
            self.way.check(item)
            self.way.put(item)

    def idle(self) -> None:
        run_until(lambda: not self.way.length(), "the end of forwarding")

    def sent(self) -> list[dict[str, Any]]:
        """The events in the order in which Pusher was asked to publish them."""
        return [each for asked in self.pusher.asked for each in published(asked)]


@contextmanager
def pusher(answer: bytes | Callable[[End], object] = TAKEN, **options: Any) -> Iterator[Out]:
    with serving(answer) as application:
        out = Out(application, **options)
        yield out
        stopped: list[object] = []
        out.way.stop().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of forwarding")


def published(asked: Asked) -> list[dict[str, Any]]:
    body = json.loads(asked.body)
    return list(body.get("batch", [body]))


def event(data: object = 1, *channels: str, **more: Any) -> Event:
    return Event("e", channels or ("a",), str(data), **more)


# ---- what goes out --------------------------------------------------------------------------------------------


def test_an_event_is_posted_and_signed() -> None:
    with pusher() as out:
        out.publish(event(1, "a", "b", exclude="1.2"))
        out.idle()
        (asked,) = out.pusher.asked
        method, target, _ = asked.line.split(" ")
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        signature = query.pop("auth_signature")
        text = "&".join(f"{name}={query[name]}" for name in sorted(query))
        assert signature == sign(SECRET, f"{method}\n{parts.path}\n{text}")
        assert json.loads(asked.body) == {"name": "e", "channels": ["a", "b"], "data": "1", "socket_id": "1.2"}
        assert out.way.forwarded == 1


def test_under_load_events_are_batched_in_order_on_connections_that_are_kept() -> None:
    waiting: list[End] = []
    with pusher(waiting.append, requests=2) as out:
        out.publish(event("first"))
        run_until(lambda: waiting, "the first call")
        out.publish(*(event(number, "ab"[number % 2]) for number in range(200)))

        def answer(end: End) -> None:
            end.transport.write(said("{}"))

        out.pusher.says(answer)
        answer(waiting[0])
        out.idle()
        assert len(out.pusher.asked) < 50
        assert len(out.pusher.ends) <= 2
        heard: dict[str, list[int]] = defaultdict(list)
        for each in out.sent():
            if each["data"] != "first":
                heard[each["channel"] if "channel" in each else each["channels"][0]].append(int(each["data"]))
        assert heard == {"a": list(range(0, 200, 2)), "b": list(range(1, 200, 2))}


def test_the_end_of_a_users_connections_is_forwarded_too() -> None:
    with pusher() as out:
        out.publish(Terminated("ann"))
        out.idle()
        assert out.pusher.asked[0].line.startswith("POST /apps/3/users/ann/terminate_connections?")


# ---- when Pusher fails ----------------------------------------------------------------------------------------

GARBAGE = b"\x00\x01\x02 this is no HTTP\r\n\r\n"


@pytest.mark.parametrize(
    "failing",
    (said("oops", "500 Internal Server Error"), said("<html>", "200 OK"), said("", "302 Found"), GARBAGE, b""),
    ids=("500", "no JSON", "redirect", "garbage", "hangs up"),
)
def test_what_may_pass_is_tried_again_until_it_has(failing: bytes) -> None:
    failures = iter(range(3))

    def answer(end: End) -> None:
        if next(failures, None) is None:
            end.transport.write(said("{}"))
        else:
            end.transport.write(failing)
            end.transport.loseConnection()

    with pusher(answer, requests=1) as out, capturedLogs() as events:
        out.publish(*(event(number) for number in range(30)))
        out.idle()
        assert [each["data"] for each in out.sent()][-29:] == [str(number) for number in range(1, 30)]
        assert (out.way.retries, out.way.forwarded, out.dropped) == (3, 30, [])
        lines = [each["log_format"] for each in events]
        assert len(lines) == 2 and "answers again" in lines[1]
        assert SECRET not in str([each.get("words") for each in events])


def test_a_call_that_is_never_answered_is_given_up_and_tried_again() -> None:
    with pusher(lambda end: None, request_seconds=0.05) as out:
        out.publish(event())
        run_until(lambda: out.way.retries, "a second try")
        assert out.way.lag() > 0
        assert out.way.away() is not None
        out.pusher.says(said("{}"))
        out.idle()
        assert out.way.away() is None


@pytest.mark.parametrize("status", ("401 Unauthorized", "403 Forbidden", "429 Too Many Requests"))
def test_what_pusher_refuses_is_dropped_counted_and_named_once(status: str) -> None:
    with pusher(said("no\nway", status), requests=1) as out, capturedLogs() as events:
        out.publish(event("first"), *(event(number) for number in range(20)))
        out.idle()
        assert out.way.drops == {status[:3]: 21}
        assert [each.data for each in out.dropped] == ["first", *map(str, range(20))]
        assert len(out.sent()) == 21
        (line,) = events
        assert line["what"] == "event 'e' on a"
        assert line["words"] == f"Pusher answered {status[:3]} no way"


@pytest.mark.parametrize("status", ("400 Bad Request", "413 Payload Too Large"))
def test_one_event_that_pusher_finds_fault_with_takes_no_other_with_it(status: str) -> None:
    def answer(end: End) -> None:
        bad = any(each["data"] == "bad" for each in published(end.factory.asked[-1]))
        end.transport.write(said("bad", status) if bad else said("{}"))

    with pusher(answer, requests=1) as out:
        out.publish(event("first"), event(1), event("bad"), event(2))
        out.idle()
        assert [each.data for each in out.dropped] == ["bad"]
        assert out.way.drops == {status[:3]: 1}
        assert out.way.forwarded == 3
        tried = [each["data"] for each in out.sent()]
        assert tried.index("1") < tried.index("2")


def test_a_huge_answer_is_not_read_to_its_end() -> None:
    with pusher(said("x" * 10_000_000, "500 Oops"), requests=1) as out:
        out.publish(event())
        run_until(lambda: out.way.retries, "a failure")
        out.pusher.says(said("{}"))
        out.idle()


# ---- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "left"),
    (("drop_oldest", ["0", "3", "4", "5"]), ("drop_newest", ["0", "1", "2", "3"])),
)
def test_a_full_queue_drops_by_its_policy(policy: str, left: list[str]) -> None:
    waiting: list[End] = []
    with pusher(waiting.append, queue_events=4, overflow=policy, requests=1) as out, capturedLogs() as events:
        out.publish(event(0))
        run_until(lambda: waiting, "the first call")
        out.publish(*(event(number) for number in range(1, 6)))
        assert out.way.length() == 4
        assert out.way.drops == {"overflow": 2}
        assert [each["words"] for each in events] == [
            "4 wait for Pusher" if policy == "drop_newest" else "3 wait for Pusher"
        ]
        out.pusher.says(said("{}"))
        waiting[0].transport.write(said("{}"))
        out.idle()
        assert [each["data"] for each in out.sent()] == left


def test_a_full_queue_may_refuse_publishers_instead() -> None:
    with pusher(lambda end: None, queue_events=2, overflow="refuse") as out:
        out.publish(event(1), event(2))
        with pytest.raises(DriverError, match="2 events wait for Pusher"):
            out.publish(event(3))
        assert out.dropped == []
        out.pusher.says(said("{}"))
        out.pusher.ends[0].transport.abortConnection() if out.pusher.ends else None


def test_more_channels_than_pusher_takes_are_split() -> None:
    channels = tuple(f"c{number}" for number in range(250))
    with pusher() as out:
        out.publish(event(1, *channels, exclude="1.2"))
        out.idle()
        assert sorted(len(each["channels"]) for each in out.sent()) == [50, 100, 100]
        assert {name for each in out.sent() for name in each["channels"]} == set(channels)
        assert all(each["socket_id"] == "1.2" for each in out.sent())


@pytest.mark.parametrize("policy", ("split", "drop"))
def test_too_much_data_is_dropped_and_named(policy: str) -> None:
    with pusher(oversized=policy) as out, capturedLogs() as events:
        out.publish(event("é" * 5_121), event("x" * 10_240))
        out.idle()
        assert out.way.drops == {"oversized": 1}
        assert out.way.forwarded == 1
        assert [each["words"] for each in events] == ["its data has 10,242 bytes, 10,240 are allowed"]


@pytest.mark.parametrize("item", (event("x" * 10_241), event(1, *map(str, range(101)))), ids=("data", "channels"))
def test_what_is_too_large_may_be_refused_instead(item: Event) -> None:
    with pusher(oversized="refuse") as out:
        with pytest.raises(DriverError, match="is too large for Pusher"):
            out.publish(item)
        assert out.pusher.asked == [] and out.dropped == []


# ---- stopping -------------------------------------------------------------------------------------------------


def test_what_waits_is_sent_before_it_stops() -> None:
    waiting: list[End] = []
    with pusher(waiting.append, requests=1) as out:
        out.publish(event(1))
        run_until(lambda: waiting, "the call")
        out.publish(event(2))
        stopped: list[object] = []
        out.way.stop().addBoth(stopped.append)
        assert not stopped
        out.pusher.says(said("{}"))
        waiting[0].transport.write(said("{}"))
        run_until(lambda: stopped, "the end")
        assert out.way.forwarded == 2
        out.way = Out(out.pusher).way


def test_while_pusher_is_away_it_stops_at_once_and_counts_what_it_drops() -> None:
    with pusher(said("", "503 Away")) as out:
        out.publish(event(1))
        run_until(lambda: out.way.away() is not None, "a failure")
        stopped: list[object] = []
        out.way.stop().addBoth(stopped.append)
        assert out.way.drops == {"stopped": 1}
        run_until(lambda: stopped, "the end")
        out.way = Out(out.pusher).way
