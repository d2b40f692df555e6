"""The membership seam: a driver that shares presence with other processes, and fails to in every way there is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import capturedLogs
from zope.interface import implementer

from broadcaster.errors import DriverError, MembersFull
from broadcaster.interfaces import IDriver, IMembership
from broadcaster.messages import Member
from tests.drivers import ScriptedDriver, complaints, raising, serve
from tests.inprocess import InProcess

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


@implementer(IMembership)
class SharingDriver(ScriptedDriver):
    """One that shares membership, or rather fails to, in whichever way it is told."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        super().__init__()
        self.answer = answer

    def join(self, *asked: object) -> Any:
        return self.answer()

    leave = members = subscriptions = channels = join


FAULTS: dict[str, tuple[Callable[[], Any], str]] = {
    "raises": (raising(OSError("cable cut")), "OSError: cable cut"),
    "fails": (lambda: fail(DriverError("deaf")), "deaf"),
    "fails otherwise": (lambda: fail(KeyError("x")), "KeyError: 'x'"),
    "returns nothing": (lambda: None, "TypeError: the answer is NoneType, not a Deferred"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_who_cannot_join_is_told_so_and_stays(started: Serve, fault: str) -> None:
    answer, reason = FAULTS[fault]
    server = started(SharingDriver(answer))
    client = server.joined()
    with capturedLogs() as events:
        client.subscribe("presence-a", {"user_id": "1"})
    data = '{"type":"ServerError","error":"Try again later","status":503}'
    assert client.events() == [
        {"event": "pusher:subscription_error", "channel": "presence-a", "data": data},
        {"event": "pusher:error", "data": {"code": None, "message": "Try again later"}},
    ]
    assert complaints(events) == [f"driver scripted failed to share members: {reason}"]
    client.say("pusher:ping")
    assert [event["event"] for event in client.events()] == ["pusher:pong"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("path", ("/channels", "/channels/a", "/channels/presence-a/users"))
def test_who_asks_for_what_cannot_be_known_gets_503(started: Serve, path: str, fault: str) -> None:
    server = started(SharingDriver(FAULTS[fault][0]))
    with capturedLogs() as events:
        answer = server.call("GET", path)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert len(complaints(events)) == 1


@pytest.mark.parametrize("how", ("unsubscribes", "vanishes", "closes"))
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_keeps_a_connection_from_leaving(started: Serve, how: str, fault: str) -> None:
    driver = SharingDriver(lambda: succeed([Member("1")]))
    server = started(driver)
    client = server.joined()
    client.subscribe("presence-a", {"user_id": "1"})
    client.subscribe("b")
    assert [event["event"] for event in client.events()] == ["pusher_internal:subscription_succeeded"] * 2
    driver.answer, reason = FAULTS[fault]
    with capturedLogs() as events:
        if how == "unsubscribes":
            client.say("pusher:unsubscribe", {"channel": "presence-a"})
        elif how == "vanishes":
            client.drop()
        else:
            client.leave()
    assert complaints(events) == [f"driver scripted failed to share members: {reason}"]
    if how == "unsubscribes":
        client.say("pusher:ping")
        assert [event["event"] for event in client.events()] == ["pusher:pong"]
    else:
        assert server.service.hub.count() == 0
        assert server.service.hub.channels("3") == {}


def test_a_full_channel_is_no_failure_of_the_driver(started: Serve) -> None:
    server = started(SharingDriver(lambda: fail(MembersFull())))
    client = server.joined()
    with capturedLogs() as events:
        client.subscribe("presence-a", {"user_id": "1"})
    assert json.loads(client.events()[0]["data"])["type"] == "LimitReached"
    assert complaints(events) == []


def test_who_leaves_while_joining_is_taken_out_again(started: Serve) -> None:
    asked: list[Deferred[Any]] = []
    driver = SharingDriver(lambda: asked.append(Deferred()) or asked[-1])
    server = started(driver)
    client = server.joined()
    client.subscribe("presence-a", {"user_id": "1"})
    assert len(asked) == 1
    with capturedLogs() as events:
        client.drop()
    assert len(asked) == 2
    assert complaints(events) == []
