"""The driver that forwards to Pusher, held to what every driver is held to; and its two ways in, without any socket."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import TestCase

from broadcaster.drivers.memory import MemoryDriver
from broadcaster.drivers.pusher.driver import PAIR_SECONDS, PusherDriver
from broadcaster.drivers.pusher.listening import Heard
from broadcaster.drivers.pusher.options import Options
from broadcaster.interfaces import IInterest, IMembership
from broadcaster.messages import Event
from broadcaster.testing import DriverContract, RecordingSink

SINGLE = {"app_id": "3", "key": "key", "secret": "secret", "host": "127.0.0.1", "scheme": "http"}


class Taking(Protocol):
    """A Pusher that takes each call, however it is cut."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * data.count(b"POST "))


class TestPusher(DriverContract, TestCase):
    """It delivers as the driver beneath does."""

    def setUp(self) -> None:
        factory = ServerFactory.forProtocol(Taking)
        factory.noisy = False
        port: Any = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port

    def make_driver(self) -> PusherDriver:
        return made(reactor, port=self.port)


def made(on: Any, **options: Any) -> PusherDriver:
    clock = on.seconds
    driver = PusherDriver(on, Options(**{**SINGLE, **options}).checked(), clock)
    driver.stand_on(MemoryDriver())
    return driver


class Bridged:
    """A driver that hears Pusher, without a connection to it."""

    def __init__(self, **options: Any) -> None:
        self.reactor = MemoryReactorClock()
        self.driver = made(self.reactor, bridge=("private-*", "cache-*"), **options)
        self.sink = RecordingSink()
        self.driver.start(self.sink)
        self.interest = IInterest(self.driver)

    def publish(self, channel: str, data: str = "1", **more: Any) -> None:
        self.driver.publish("3", Event("e", (channel,), data, **more))

    def hear(self, channel: str, data: str = "1", kept: bool = False) -> None:
        self.driver._heard(Heard(channel, "e", data, None, kept))

    def delivered(self) -> list[str]:
        return [f"{app}:{event.channels[0]}:{event.data}" for app, event in self.sink.delivered if type(event) is Event]


def test_what_comes_back_is_not_told_again_and_what_others_publish_is_told() -> None:
    on = Bridged()
    on.interest.wanted("3", "private-a")
    on.publish("private-a")
    on.hear("private-a")
    assert on.delivered() == ["3:private-a:1"]
    on.hear("private-a")
    assert on.delivered() == ["3:private-a:1"] * 2
    assert on.driver.comparison()["total"] == {"both": 2, "here": 0, "pusher": 0}


def test_what_nobody_here_wants_is_neither_told_nor_waited_for() -> None:
    on = Bridged()
    on.publish("private-a")
    on.hear("private-a")
    assert on.delivered() == ["3:private-a:1"]
    on.interest.wanted("3", "private-a")
    on.interest.wanted("3", "private-a")
    on.interest.unwanted("3", "private-a")
    on.hear("private-a", "2")
    on.interest.unwanted("3", "private-a")
    on.interest.unwanted("3", "private-a")
    on.hear("private-a", "3")
    assert on.delivered() == ["3:private-a:1", "3:private-a:2"]


def test_each_app_that_wants_a_channel_is_told() -> None:
    on = Bridged(apps=("3", "4"))
    for app_id in ("3", "4", "5"):
        on.interest.wanted(app_id, "private-a")
    on.hear("private-a")
    assert on.delivered() == ["3:private-a:1", "4:private-a:1"]


def test_a_channel_that_is_only_compared_is_not_told() -> None:
    on = Bridged(compare=True)
    on.interest.wanted("3", "board")
    on.hear("board", "only there")
    on.publish("board", "only here")
    on.reactor.advance(0)
    assert on.delivered() == ["3:board:only here"]
    for _ in range(4):
        on.reactor.advance(1)
    report = on.driver.comparison()
    assert report["total"] == {"both": 0, "here": 1, "pusher": 1}
    assert [(each["side"], each["data"]) for each in report["alone"]] == [
        ("pusher", "only there"),
        ("here", "only here"),
    ]


def test_the_event_that_a_cache_channel_keeps_waits_for_no_other_half() -> None:
    on = Bridged()
    on.interest.wanted("3", "cache-a")
    on.hear("cache-a", kept=True)
    assert on.delivered() == ["3:cache-a:1"]
    assert on.driver.comparison()["waiting"] == 0


def test_while_pusher_is_away_what_waits_for_its_other_half_is_not_forgotten() -> None:
    on = Bridged()
    on.interest.wanted("3", "private-a")
    on.publish("private-a")
    for _ in range(int(3 * PAIR_SECONDS)):
        on.reactor.advance(1)
    on.hear("private-a")
    assert on.delivered() == ["3:private-a:1"]


def test_an_event_that_pusher_will_never_have_waits_for_no_other_half() -> None:
    on = Bridged(event_bytes=10)
    on.interest.wanted("3", "private-a")
    on.publish("private-a", "x" * 11)
    on.hear("private-a", "x" * 11)
    assert on.delivered() == ["3:private-a:" + "x" * 11] * 2


def test_it_can_do_what_the_driver_beneath_can() -> None:
    class Shared(MemoryDriver):
        def __conform__(self, interface: Any) -> object:
            return "members" if interface is IMembership else None

    driver = made(MemoryReactorClock())
    assert IMembership(driver, None) is None
    assert IInterest(driver, None) is None
    driver.stand_on(Shared())
    assert IMembership(driver, None) == "members"


def test_with_deliver_none_nothing_is_delivered_here() -> None:
    driver = PusherDriver(MemoryReactorClock(), Options(**SINGLE, deliver="none"))
    sink = RecordingSink()
    driver.start(sink)
    taken: Deferred[None] = driver.publish("3", Event("e", ("a",), "1"))
    assert taken.called and isinstance(taken, type(succeed(None)))
    assert sink.delivered == []
