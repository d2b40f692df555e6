"""The driver seam from outside: what is published goes out to the driver, comes back, and may fail on either way.

A driver is somebody else's code. Whatever it does, publishers are told, the log names it, and connections live on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs
from zope.interface import implementer

from broadcaster.auth.signature import sign
from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver, IEventSink, IMeasured, IReadiness
from broadcaster.messages import Event, MemberAdded, Terminated
from tests.drivers import ScriptedDriver, complaints, raising, serve
from tests.inprocess import APP, NOW, Answer, Client, InProcess, Link, signed

Serve = Callable[[IDriver], InProcess]


@pytest.fixture
def started() -> Iterator[Serve]:
    """Starts servers that end with the test."""
    servers: list[InProcess] = []

    def start(driver: IDriver) -> InProcess:
        servers.append(serve(driver))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


# ---- ways to publish ------------------------------------------------------------------------------------------


def http(server: InProcess, path: str, body: Any, query: str = "") -> Link:
    """Begin a signed POST; the link is where its answer will be."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    target = signed(APP, "POST", f"/apps/3{path}", raw, query, NOW)
    link = server.link()
    head = f"POST {target} HTTP/1.1\r\nHost: server.test\r\nContent-Length: {len(raw)}\r\n\r\n"
    server.feed(link, head.encode() + raw)
    return link


EVENT = {"name": "e", "channel": "private-a", "data": "1"}

CALLS: dict[str, Callable[[InProcess], Link]] = {
    "event": lambda server: http(server, "/events", EVENT),
    "event with info": lambda server: http(server, "/events", {**EVENT, "info": "subscription_count"}),
    "batch": lambda server: http(server, "/batch_events", {"batch": [EVENT]}),
    "old event": lambda server: http(server, "/channels/private-a/events", b"1", "name=e"),
    "terminate": lambda server: http(server, "/users/1/terminate_connections", {}),
}
EVENTS = [name for name in CALLS if name != "terminate"]

PUBLISH_FAULTS: dict[str, Callable[[], Any]] = {
    "raises": raising(OSError("cable cut")),
    "fails": lambda: fail(DriverError("cable cut")),
    "fails otherwise": lambda: fail(ValueError("cable cut")),
    "returns nothing": lambda: None,
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> Callable[[InProcess], Link]:
    return CALLS[request.param]


def whisper(client: Client) -> None:
    client.say("client-e", "1", channel="private-a")


# ---- out and back ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_is_delivered_when_the_driver_delivers_it_and_not_before(started: Serve, name: str) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client = server.joined("private-a")
    answer = Answer(CALLS[name](server).take())
    assert answer.status in (200, 202)
    assert client.events() == []
    driver.deliver_all()
    assert client.events() == [{"event": "e", "channel": "private-a", "data": "1"}]


def test_a_client_event_takes_the_same_way(started: Serve) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    sender, other = server.joined("private-a"), server.joined("private-a")
    whisper(sender)
    assert driver.taken == [("3", Event("client-e", ("private-a",), "1", exclude=sender.name(), by_client=True))]
    assert other.events() == []
    driver.deliver_all()
    assert other.events() == [{"event": "client-e", "channel": "private-a", "data": "1"}]
    assert sender.events() == []


def test_ending_a_users_connections_takes_it_too(started: Serve) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client = server.joined()
    user = '{"id":"1"}'
    client.say(
        "pusher:signin",
        {"auth": f"{APP.key}:{sign(APP.secrets[0], f'{client.name()}::user::{user}')}", "user_data": user},
    )
    assert [event["event"] for event in client.events()] == ["pusher:signin_success"]
    assert Answer(CALLS["terminate"](server).take()).status == 200
    client.events()
    assert client.close_code is None
    driver.deliver_all()
    client.events()
    assert client.close_code == 4009


def test_a_driver_may_deliver_what_nobody_here_published(started: Serve) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client = server.joined("a", "b")
    assert driver.sink is not None
    driver.sink.deliver("3", Event("e", ("a", "none", "b"), "1"))
    driver.sink.deliver("no such app", Event("e", ("a",), "2"))
    assert [(event["channel"], event["data"]) for event in client.events()] == [("a", "1"), ("b", "1")]


# ---- sooner and later -----------------------------------------------------------------------------------------


def test_the_answer_waits_until_the_driver_has_taken_the_event(
    started: Serve, call: Callable[[InProcess], Link]
) -> None:
    taken: Deferred[None] = Deferred()
    server = started(ScriptedDriver(publish=lambda: taken))
    link = call(server)
    server.advance(5)
    assert link.take() == b""
    taken.callback(None)
    server.turn()
    assert Answer(link.take()).status in (200, 202)


def test_a_driver_may_deliver_before_it_says_that_it_took_the_event(started: Serve) -> None:
    taken: Deferred[None] = Deferred()
    driver = ScriptedDriver(publish=lambda: taken)
    server = started(driver)
    client = server.joined("private-a")
    link = CALLS["event"](server)
    driver.deliver_all()
    assert [event["data"] for event in client.events()] == ["1"]
    assert link.take() == b""
    taken.callback(None)
    server.turn()
    assert Answer(link.take()).status == 200
    assert client.events() == []


def test_a_driver_that_never_says_so_holds_up_nobody_else(started: Serve, call: Callable[[InProcess], Link]) -> None:
    server = started(ScriptedDriver(publish=Deferred))
    client = server.joined("private-a")
    waiting = call(server)
    whisper(client)
    client.say("pusher:ping")
    assert [event["event"] for event in client.events()] == ["pusher:pong"]
    assert server.call("GET", "/channels").json == {"channels": {"private-a": {}}}
    server.drop(waiting)
    assert server.http("GET", "/up").status == 200


def test_events_are_delivered_in_the_order_in_which_the_driver_delivers_them(started: Serve) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client = server.joined("a")
    for number in range(100):
        server.publish("a", data=str(number))
    driver.taken.reverse()
    driver.deliver_all()
    assert [event["data"] for event in client.events()] == [str(number) for number in reversed(range(100))]


# ---- a driver that fails to publish ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", PUBLISH_FAULTS)
def test_a_failed_publish_is_503_and_named_in_the_log(
    started: Serve, call: Callable[[InProcess], Link], fault: str
) -> None:
    server = started(ScriptedDriver(publish=PUBLISH_FAULTS[fault]))
    client = server.joined("private-a")
    with capturedLogs() as events:
        answer = Answer(call(server).take())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.text == "Try again later: the driver failed\n"
    (line,) = complaints(events)
    assert line.startswith("driver scripted failed to publish: ")
    assert client.events() == []
    client.say("pusher:ping")
    assert [event["event"] for event in client.events()] == ["pusher:pong"]


@pytest.mark.parametrize("fault", PUBLISH_FAULTS)
def test_a_failed_client_event_is_told_to_its_sender_who_stays(started: Serve, fault: str) -> None:
    server = started(ScriptedDriver(publish=PUBLISH_FAULTS[fault]))
    sender, other = server.joined("private-a"), server.joined("private-a")
    with capturedLogs() as events:
        whisper(sender)
    reason = "Client event rejected - try again later"
    assert sender.events() == [
        {"event": "pusher:error", "channel": "private-a", "data": {"code": 4301, "message": reason}}
    ]
    assert len(complaints(events)) == 1
    assert other.events() == []
    sender.say("pusher:ping")
    assert [event["event"] for event in sender.events()] == ["pusher:pong"]


def test_a_failure_that_comes_later_is_503_then(started: Serve, call: Callable[[InProcess], Link]) -> None:
    taken: Deferred[None] = Deferred()
    server = started(ScriptedDriver(publish=lambda: succeed(None).addCallback(lambda _: taken)))
    link = call(server)
    with capturedLogs() as events:
        taken.errback(OSError("cable cut"))
        server.turn()
    assert Answer(link.take()).status == 503
    assert complaints(events) == ["driver scripted failed to publish: OSError: cable cut"]


def test_a_failure_that_nobody_waits_for_any_more_is_only_logged(started: Serve) -> None:
    taken: list[Deferred[None]] = []
    server = started(ScriptedDriver(publish=lambda: taken.append(Deferred()) or taken[-1]))
    client = server.joined("private-a")
    link = CALLS["event"](server)
    whisper(client)
    server.drop(link)
    client.drop()
    with capturedLogs() as events:
        for deferred in taken:
            deferred.errback(OSError("cable cut"))
        server.turn()
    assert complaints(events) == ["driver scripted failed to publish: OSError: cable cut"] * 2


def test_a_driver_that_recovers_is_used_again(started: Serve) -> None:
    answers: Iterator[Callable[[], Any]] = iter((raising(OSError("cable cut")), lambda: succeed(None)))
    server = started(ScriptedDriver(publish=lambda: next(answers)()))
    assert [server.publish("a").status for _ in range(2)] == [503, 200]


# ---- starting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "reason"),
    ((raising(KeyError("url")), "KeyError: 'url'"), (lambda: fail(DriverError("no route")), "no route")),
)
def test_a_driver_that_does_not_start_keeps_traffic_away_and_clients_alive(
    started: Serve, start: Callable[[], Any], reason: str
) -> None:
    with capturedLogs() as events:
        server = started(ScriptedDriver(start=start))
    assert complaints(events) == [f"driver scripted did not start: {reason}"]
    answer = server.http("GET", "/ready")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.text == "Not ready: driver scripted did not start\n"
    assert server.http("GET", "/up").status == 200
    client = server.joined("a")
    client.say("pusher:ping")
    assert [event["event"] for event in client.events()] == ["pusher:pong"]


def test_a_driver_is_waited_for_before_traffic_is_asked_for(started: Serve) -> None:
    start: Deferred[None] = Deferred()
    server = started(ScriptedDriver(start=lambda: start))
    answer = server.http("GET", "/ready")
    assert (answer.status, answer.text) == (503, "Not ready: the driver has not started\n")
    start.callback(None)
    assert server.http("GET", "/ready").status == 200


def test_a_driver_is_started_once_with_where_to_deliver() -> None:
    sinks: list[object] = []
    driver = ScriptedDriver(start=lambda: sinks.append(driver.sink) or succeed(None))
    server = serve(driver)
    assert [IEventSink.providedBy(sink) for sink in sinks] == [True]
    server.stop()


# ---- stopping -------------------------------------------------------------------------------------------------


def test_the_service_has_stopped_when_the_driver_has() -> None:
    stop: Deferred[None] = Deferred()
    server = serve(ScriptedDriver(stop=lambda: stop))
    seen: list[object] = []
    server.service.stopService().addBoth(seen.append)
    server.advance(1)
    assert seen == []
    stop.callback(None)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("stop", "reason"),
    ((raising(KeyError("url")), "KeyError: 'url'"), (lambda: fail(DriverError("stuck")), "stuck")),
)
def test_a_driver_that_fails_to_stop_is_named_and_stops_nothing(stop: Callable[[], Any], reason: str) -> None:
    server = serve(ScriptedDriver(stop=stop))
    seen: list[object] = []
    with capturedLogs() as events:
        server.service.stopService().addBoth(seen.append)
    assert complaints(events) == [f"driver scripted did not stop: {reason}"]
    assert len(seen) == 1


def test_a_driver_that_hangs_is_waited_for_only_so_long() -> None:
    server = serve(ScriptedDriver(stop=Deferred))
    seen: list[object] = []
    with capturedLogs() as events:
        server.service.stopService().addBoth(seen.append)
        server.advance(4)
        assert seen == []
        server.advance(2)
    assert complaints(events) == ["driver scripted did not stop: 5 seconds are over"]
    assert len(seen) == 1
    assert not server.reactor.getDelayedCalls()


def test_a_driver_that_stops_in_time_leaves_no_clock_running() -> None:
    server = serve(ScriptedDriver())
    server.service.stopService()
    assert not server.reactor.getDelayedCalls()


def test_a_driver_that_never_answers_costs_a_publisher_seconds_and_not_its_life(
    started: Serve, call: Callable[[InProcess], Link]
) -> None:
    server = started(ScriptedDriver(Deferred))
    link = call(server)
    server.advance(9)
    assert link.take() == b""
    with capturedLogs() as events:
        server.advance(3)
    answer = Answer(link.take())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert complaints(events) == ["driver scripted failed to publish: it did not answer within 10 seconds"]


def test_a_client_event_that_the_driver_never_takes_is_refused_in_the_end(started: Serve) -> None:
    server = started(ScriptedDriver(Deferred))
    client = server.joined("private-a")
    whisper(client)
    with capturedLogs():
        server.advance(12)
    (error,) = client.events()
    assert (error["event"], error["data"]["code"]) == ("pusher:error", 4301)


# ---- delivering what it must not ------------------------------------------------------------------------------

LEFT_OUT = "; that is left out, and from now on only counted"


def test_what_is_delivered_after_the_end_is_left_out_and_named_once() -> None:
    driver = ScriptedDriver()
    server = serve(driver)
    server.stop()
    with capturedLogs() as events:
        for _ in range(3):
            driver.sink.deliver("3", Event("e", ("a",), "1"))  # type: ignore[union-attr]
    assert complaints(events) == ["driver scripted delivers after it was stopped" + LEFT_OUT]


def test_nothing_is_delivered_while_it_stops_either() -> None:
    server: InProcess
    driver = ScriptedDriver(stop=lambda: driver.deliver_all() or succeed(None))
    server = serve(driver)
    server.publish("a")
    with capturedLogs() as events:
        server.stop()
    assert complaints(events) == ["driver scripted delivers after it was stopped" + LEFT_OUT]


JUNK: dict[str, tuple[Any, Any, str]] = {
    "nothing": ("3", None, "what is no Delivery: NoneType"),
    "a text": ("3", "event", "what is no Delivery: str"),
    "bytes as data": ("3", Event("e", ("a",), b"1"), "what is no Delivery: Event"),  # type: ignore[arg-type]
    "one channel as a text": ("3", Event("e", "a", "1"), "what is no Delivery: Event"),  # type: ignore[arg-type]
    "no app": (None, Event("e", ("a",), "1"), "what is no Delivery: Event"),
    "no channel": (
        "3",
        Event("e", (1,), "1"),  # type: ignore[arg-type]
        "what cannot be told: AttributeError: 'int' object has no attribute 'startswith'",
    ),
    "a user who cannot be": ("3", Terminated([]), "what cannot be told: TypeError: unhashable type: 'list'"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_left_out_and_named_once_and_the_rest_is_told(started: Serve, kind: str) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client = server.joined("a")
    app_id, junk, said = JUNK[kind]
    assert driver.sink is not None
    with capturedLogs() as events:
        for _ in range(3):
            driver.sink.deliver(app_id, junk)
        driver.sink.deliver("3", Event("e", ("a",), "2"))
    assert complaints(events) == [f"driver scripted delivers {said}{LEFT_OUT}"]
    assert [event["data"] for event in client.events()] == ["2"]


def test_a_member_who_cannot_be_told_costs_nobody_else_anything(started: Serve) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client, other = server.joined("a"), server.joined("b")
    assert driver.sink is not None
    with capturedLogs():
        driver.sink.deliver("3", MemberAdded("a", None))  # type: ignore[arg-type]
        server.turn()
    driver.sink.deliver("3", Event("e", ("a", "b"), "2"))
    assert [event["data"] for event in other.events()] == ["2"]
    assert [event["data"] for event in client.events()] == ["2"]


def test_a_delivery_from_another_thread_is_left_out_and_named(started: Serve) -> None:
    driver = ScriptedDriver()
    server = started(driver)
    client = server.joined("a")
    assert driver.sink is not None
    thread = Thread(target=driver.sink.deliver, args=("3", Event("e", ("a",), "1")))
    with capturedLogs() as events:
        thread.start()
        thread.join()
    assert complaints(events) == ["driver scripted delivers from another thread than the reactor's" + LEFT_OUT]
    assert client.events() == []


@implementer(IReadiness)
class Speechless(ScriptedDriver):
    """Cannot say how it is."""

    def faults(self) -> Any:
        raise KeyError("link")


def test_a_driver_that_cannot_say_how_it_is_is_not_ready(started: Serve) -> None:
    answer = started(Speechless()).http("GET", "/ready")
    assert (answer.status, answer.text) == (503, "Not ready: driver scripted cannot say how it is: KeyError: 'link'\n")


@implementer(IMeasured)
class Unmeasurable(ScriptedDriver):
    """Cannot say how it stands."""

    def measures(self) -> Any:
        raise KeyError("link")


def test_a_driver_that_cannot_be_measured_takes_no_other_figure_away(started: Serve) -> None:
    server = started(Unmeasurable())
    with capturedLogs() as events:
        answer = server.http("GET", "/metrics")
    assert answer.status == 200
    assert "broadcaster_ready 1.0" in answer.text
    assert complaints(events) == ["Unmeasurable cannot say how it stands: KeyError: 'link'"]
