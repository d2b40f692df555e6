"""What comes before what: the order promises, also while a broadcast is under way.

Promise 1 is in `test_closing` and in every client of the kit, 3 in `test_members`, 7 with the users.

Promise 5 has a limit where a driver shares members and has to be waited for: a second subscribe of the channel is
refused at once, before the first is answered, and so is a client event on it. No client sends either before it has
its answer, and to hold them back would let a client fill our memory at the pace of a slow driver.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.channel import STRIDE
from broadcaster.drivers.memory import MemoryDriver
from broadcaster.errors import DriverError, MembersFull
from broadcaster.interfaces import IMembership
from broadcaster.messages import Member, MemberAdded, MemberRemoved
from tests.conformance.conftest import Serve
from tests.conformance.expected import PONG, Frame, added, error, published, refused, removed, succeeded
from tests.inprocess import PUSHER_LIMITS, Client, InProcess, client_frame


class Listener:
    """A client on a channel, what was published while it was there and what of it came.

    ``due`` are the places in the log of what it has to hear, ``heard`` what it has heard.
    """

    def __init__(self, client: Client, channel: str) -> None:
        self.client = client
        self.channel = channel
        self.state = "out"
        self.due: list[str] = []
        self.heard: list[str] = []

    def join(self) -> None:
        self.state, self.due, self.heard = "joining", [], []
        self.client.subscribe(self.channel)

    def leave(self) -> None:
        """Nothing answers an unsubscribe, but what comes after the pong came after it."""
        self.state = "leaving"
        self.client.say("pusher:unsubscribe", {"channel": self.channel})
        self.client.say("pusher:ping", {})

    def read(self) -> None:
        for frame in self.client.events():
            if frame == PONG:
                assert self.state == "leaving"
                self.state = "out"
            elif frame == succeeded(self.channel):
                assert self.state == "joining", "no event comes before the answer"
                self.state = "in"
            else:
                assert self.state in ("in", "leaving"), "no event follows an unsubscribe"
                assert frame == published(self.channel, frame["data"], frame["event"])
                self.heard.append(frame["data"])
        assert self.heard == self.due[: len(self.heard)], "in order, none missing, none twice"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("slice_seconds", [0, 1], ids=["interrupted", "whole"])
def test_promises_2_4_and_6_hold_whatever_happens_meanwhile(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, seed: int, slice_seconds: float
) -> None:
    """Events by HTTP, with and without an excluded socket, and by clients, while others come and go."""
    monkeypatch.setattr("broadcaster.web.outbox.SLICE", slice_seconds)
    server, chance = serve(limits=replace(PUSHER_LIMITS, client_events_per_second=0)), random.Random(seed)
    turn = server.turn
    listeners = [Listener(server.joined(), chance.choice(["private-a"] * 9 + ["private-b"])) for _ in range(110)]
    number = 0
    for _ in range(1_500):
        monkeypatch.setattr(server, "turn", chance.choice([lambda: None, server.step] * 4 + [turn]))
        listener = chance.choice(listeners)
        if listener.state == "out":
            listener.join()
        elif listener.state in ("in", "joining"):
            channels = chance.choice([["private-a"], ["private-b"], ["private-a", "private-b"]])
            excluded: Client | None = listener.client
            what = chance.random()
            if what < 0.05 and listener.state == "in":
                listener.leave()
            elif 0.05 <= what < 0.3:
                number += 1
                channels = [listener.channel]
                listener.client.say("client-t", str(number), channel=listener.channel)
            elif 0.3 <= what < 0.6:
                number += 1
                socket_id = listener.client.name() if what < 0.45 else None
                excluded = listener.client if what < 0.45 else None
                server.publish(channels, data=str(number), socket_id=socket_id)
            if 0.05 <= what < 0.6:
                for each in listeners:
                    if each.state in ("joining", "in") and each.channel in channels and each.client is not excluded:
                        each.due.append(str(number))
        listener.read()
    monkeypatch.setattr(server, "turn", turn)
    for listener in listeners:
        listener.read()
    there = [listener for listener in listeners if listener.state == "in"]
    assert len(there) > STRIDE, "or one step serves them all"
    for listener in there:
        assert listener.heard == listener.due


def test_promise_3_and_4_in_one_turn_everything_happens_in_the_order_of_its_coming(server: InProcess) -> None:
    """Members and events of one channel are one sequence for whoever listens."""
    watcher = server.open()
    watcher.subscribe("presence-x", {"user_id": "0"})
    others = [server.joined() for _ in range(3)]
    watcher.events()
    server.turn, turn = lambda: None, server.turn  # type: ignore[method-assign]
    for number, other in enumerate(others, 1):
        other.subscribe("presence-x", {"user_id": str(number)})
        server.publish("presence-x", data=str(number))
        other.say("client-t", "x", channel="presence-x")
        other.say("pusher:unsubscribe", {"channel": "presence-x"})
    server.turn = turn  # type: ignore[method-assign]
    expected: list[Frame] = []
    for user_id in "123":
        expected += [
            added("presence-x", user_id, {}),
            published("presence-x", user_id),
            published("presence-x", "x", "client-t", user_id=user_id),
            removed("presence-x", user_id),
        ]
    assert watcher.events() == expected


def test_promise_5_answers_come_in_the_order_of_the_commands(server: InProcess) -> None:
    client = server.joined()
    for number in range(20):
        client.subscribe("a")
        client.say("client-t", {}, channel="a")
        client.say("pusher:ping", {})
        client.subscribe("a b")
        client.say("pusher:unsubscribe", {"channel": "a"})
        client.say(f"foo-{number}")
    reason = "Client event rejected - only supported on private and presence channels"
    expected = []
    for number in range(20):
        expected += [
            succeeded("a"),
            error(reason, 4301, "a"),
            PONG,
            *refused("a b", "InvalidChannel", 400, "Invalid channel name: a b"),
            error(f"Unsupported event received on socket: foo-{number}"),
        ]
    assert client.events() == expected


def test_promise_6_what_was_under_way_when_a_client_left_does_not_reach_it(server: InProcess) -> None:
    client, other = server.joined("private-x"), server.joined("private-x")
    event = b'{"event":"client-t","channel":"private-x","data":"1"}'
    other.link.protocol.dataReceived(client_frame(0x1, event))
    client.link.protocol.dataReceived(
        client_frame(0x1, b'{"event":"pusher:unsubscribe","data":{"channel":"private-x"}}')
    )
    client.say("pusher:ping", {})
    assert client.events() == [PONG]
    client.subscribe("private-x")
    assert client.events() == [succeeded("private-x")]


# ---- members that have to be waited for -----------------------------------------------------------------------


@implementer(IMembership)
class SlowDriver(MemoryDriver):
    """Shares members with others, far away: joins wait until the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self.joining: list[tuple[str, str, Member, Deferred[Any]]] = []
        self.left: list[tuple[str, str]] = []
        self.there: dict[str, Member] = {}

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.joining.append((channel, socket_id, member, answer))
        return answer

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        self.left.append((channel, socket_id))
        member = self.there.pop(socket_id, None)
        if member is not None and self._sink is not None:
            self._sink.deliver(app_id, MemberRemoved(channel, member.user_id))
        answer: Deferred[None] = Deferred()
        answer.callback(None)
        return answer

    def let_in(self, server: InProcess) -> None:
        """Finish the oldest join, in one step with its announcement, as the contract has it."""
        channel, socket_id, member, answer = self.joining.pop(0)
        self.there[socket_id] = member
        assert self._sink is not None
        self._sink.deliver("3", MemberAdded(channel, member))
        answer.callback(list(self.there.values()))
        server.turn()


@pytest.fixture
def driver() -> SlowDriver:
    return SlowDriver()


@pytest.fixture
def waiting(serve: Serve, driver: SlowDriver) -> Client:
    """A client on its way into a presence channel."""
    client = serve(through=driver).joined()
    client.subscribe("presence-x", {"user_id": "1"})
    assert client.events() == []
    return client


def test_promise_2_nothing_comes_before_the_answer_and_everything_after(waiting: Client, driver: SlowDriver) -> None:
    waiting.server.publish("presence-x", data="too early")
    assert waiting.events() == []
    driver.let_in(waiting.server)
    waiting.server.publish("presence-x", data="in time")
    assert waiting.events() == [succeeded("presence-x", {"1": {}}), published("presence-x", "in time")]


def test_promise_3_two_who_come_together_see_each_other_once(waiting: Client, driver: SlowDriver) -> None:
    other = waiting.server.joined()
    other.subscribe("presence-x", {"user_id": "2"})
    driver.let_in(waiting.server)
    driver.let_in(waiting.server)
    assert waiting.events() == [succeeded("presence-x", {"1": {}}), added("presence-x", "2", {})]
    assert other.events() == [succeeded("presence-x", {"1": {}, "2": {}})]


def test_waiting_for_one_channel_holds_up_no_other(waiting: Client) -> None:
    waiting.say("pusher:ping", {})
    waiting.subscribe("private-x")
    assert waiting.events() == [PONG, succeeded("private-x")]


def test_an_unsubscribe_ends_the_waiting_and_undoes_it(waiting: Client, driver: SlowDriver) -> None:
    waiting.say("pusher:unsubscribe", {"channel": "presence-x"})
    assert waiting.events() == []
    assert driver.left == [("presence-x", waiting.name())]
    waiting.server.publish("presence-x")
    assert waiting.events() == []
    driver.joining.clear()
    waiting.subscribe("presence-x", {"user_id": "1"})
    driver.let_in(waiting.server)
    assert waiting.events() == [succeeded("presence-x", {"1": {}})]


@pytest.mark.parametrize("how", ["vanish", "close", "kick"])
def test_so_does_the_end_of_the_connection(waiting: Client, driver: SlowDriver, how: str) -> None:
    if how == "vanish":
        waiting.drop()
    elif how == "close":
        waiting.leave()
    else:
        for _ in range(101):
            waiting.text("x")
    assert driver.left == [("presence-x", waiting.socket_id)]
    waiting.events()
    assert waiting.server.service.hub.channels("3") == {}


def test_promise_5_a_repeated_subscribe_is_refused_while_the_first_waits(waiting: Client, driver: SlowDriver) -> None:
    """See above why it does not wait for the first answer."""
    waiting.subscribe("presence-x", {"user_id": "1"})
    waiting.say("client-t", {}, channel="presence-x")
    driver.let_in(waiting.server)
    assert waiting.events() == [
        error("Existing subscription to channel presence-x"),
        error("Client event rejected - you are not subscribed to presence-x", 4301, "presence-x"),
        succeeded("presence-x", {"1": {}}),
    ]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (MembersFull(), ("LimitReached", 403, "Presence channel is full (limits.members = 100)")),
        (DriverError("deaf"), ("ServerError", 503, "Try again later")),
    ],
)
def test_a_refusal_may_come_late(waiting: Client, driver: SlowDriver, fault: Exception, answer: Any) -> None:
    driver.joining.pop()[-1].errback(fault)
    assert waiting.events() == refused("presence-x", *answer)
    waiting.subscribe("presence-x", {"user_id": "1"})
    driver.let_in(waiting.server)
    assert waiting.events() == [succeeded("presence-x", {"1": {}})]


def test_subscriptions_that_wait_count_for_the_bound(serve: Serve, driver: SlowDriver) -> None:
    client = serve(through=driver, limits=replace(PUSHER_LIMITS, subscriptions_per_connection=1)).joined()
    client.subscribe("presence-x", {"user_id": "1"})
    client.subscribe("a")
    reason = "Too many subscriptions (limits.subscriptions_per_connection = 1)"
    assert client.events() == refused("a", "LimitReached", 403, reason)
