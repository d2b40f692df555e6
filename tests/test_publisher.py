"""Publishing through drivers that keep their contract, and through those that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import LogLevel, capturedLogs

from broadcaster.counters import Counters
from broadcaster.errors import DriverError
from broadcaster.messages import Event, Terminated
from broadcaster.publisher import Publisher
from tests.drivers import ScriptedDriver, raising

Wrap = Callable[[Deferred[None]], Deferred[None]]

EVENT = Event("e", ("a",), "1")


def outcome(deferred: Deferred[None]) -> list[object]:
    """What has come of it so far: nothing yet, a result, or an exception."""
    seen: list[object] = []
    deferred.addCallbacks(seen.append, lambda failure: seen.append(failure.value))
    return seen


def plain(later: Deferred[None]) -> Deferred[None]:
    return later


def chained(later: Deferred[None]) -> Deferred[None]:
    """A Deferred that was called, but whose result is still under way."""
    return succeed(None).addCallback(lambda _: later)


def test_the_driver_gets_what_is_published_and_for_whom() -> None:
    driver, counters = ScriptedDriver(), Counters()
    publisher = Publisher(driver, "scripted", counters)
    for publication in (EVENT, Terminated("12345")):
        assert outcome(publisher.publish("3", publication)) == [None]
    assert driver.taken == [("3", EVENT), ("3", Terminated("12345"))]
    assert (counters.events_published, counters.driver_failures) == (2, 0)


@pytest.mark.parametrize("wrap", (plain, chained))
def test_publishing_is_done_when_the_driver_says_so(wrap: Wrap) -> None:
    later: Deferred[None] = Deferred()
    seen = outcome(Publisher(ScriptedDriver(lambda: wrap(later)), "scripted", Counters()).publish("3", EVENT))
    assert seen == []
    later.callback(None)
    assert seen == [None]


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (raising(OSError("cable cut")), "OSError: cable cut"),
    "raises without a word": (raising(RuntimeError()), "RuntimeError"),
    "raises as it should fail": (raising(DriverError("no route")), "no route"),
    "fails": (lambda: fail(DriverError("no route")), "no route"),
    "fails otherwise": (lambda: fail(ValueError("what\never")), "ValueError: what ever"),
    "returns nothing": (lambda: None, "TypeError: publish() returned NoneType, not a Deferred"),
    "returns something": (dict, "TypeError: publish() returned dict, not a Deferred"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_is_a_driver_error_and_one_line_that_names_the_driver(fault: str) -> None:
    publish, reason = FAULTS[fault]
    counters = Counters()
    with capturedLogs() as events:
        (error,) = outcome(Publisher(ScriptedDriver(publish), "scripted", counters).publish("3", EVENT))
    assert (type(error), str(error)) == (DriverError, reason)
    assert counters.driver_failures == 1
    (event,) = events
    assert event["log_level"] is LogLevel.error
    assert event["log_format"].format(**event) == f"driver scripted failed to publish: {reason}"


@pytest.mark.parametrize("wrap", (plain, chained))
def test_a_failure_that_comes_later_is_a_driver_error_too(wrap: Wrap) -> None:
    later: Deferred[None] = Deferred()
    seen = outcome(Publisher(ScriptedDriver(lambda: wrap(later)), "scripted", Counters()).publish("3", EVENT))
    assert seen == []
    with capturedLogs() as events:
        later.errback(KeyError("lost"))
    assert [type(error) for error in seen] == [DriverError]
    assert len(events) == 1


def test_a_failure_is_nobody_elses() -> None:
    answers = iter((raising(OSError("cable cut")), lambda: succeed(None)))
    publisher = Publisher(ScriptedDriver(lambda: next(answers)()), "scripted", Counters())
    assert [type(seen) for seen in outcome(publisher.publish("3", EVENT))] == [DriverError]
    assert outcome(publisher.publish("3", EVENT)) == [None]


@pytest.mark.parametrize("wrap", (plain, chained))
def test_a_driver_that_does_not_answer_is_not_waited_for(wrap: Wrap) -> None:
    cancelled: list[object] = []
    silent: Deferred[None] = Deferred(cancelled.append)
    answers = iter((lambda: wrap(silent), lambda: Deferred(), lambda: succeed(None)))
    now = 100.0
    publisher = Publisher(ScriptedDriver(lambda: next(answers)()), "scripted", Counters(), lambda: now)
    first = outcome(publisher.publish("3", EVENT))
    now = 105.0
    second = outcome(publisher.publish("3", EVENT))
    assert outcome(publisher.publish("3", EVENT)) == [None]
    with capturedLogs() as events:
        publisher.give_up(109.9)
        assert first == []
        publisher.give_up(110)
        assert (second, cancelled) == ([], [silent])
        publisher.give_up(115)
    assert [str(error) for error in (*first, *second)] == ["it did not answer within 10 seconds"] * 2
    assert len(events) == 2


def test_what_was_answered_is_not_kept() -> None:
    later = [Deferred[None]() for _ in range(3)]
    waiting = iter(later)
    publisher = Publisher(ScriptedDriver(lambda: next(waiting)), "scripted", Counters(), lambda: 100.0)
    seen = [outcome(publisher.publish("3", EVENT)) for _ in later]
    for each in reversed(later):
        each.callback(None)
    publisher.give_up(100)
    assert not publisher._waiting
    assert seen == [[None]] * 3
