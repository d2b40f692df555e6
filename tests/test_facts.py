"""What the server tells of itself to whoever wants to know: each fact once, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from zope.interface import implementer

from broadcaster.facts import (
    CacheMissed,
    ChannelOccupied,
    ChannelVacated,
    ClientEventSent,
    Connected,
    Disconnected,
    Fact,
    SubscriptionCounted,
    SubscriptionsLost,
)
from broadcaster.interfaces import IFactObserver
from broadcaster.messages import MemberAdded, MemberRemoved
from broadcaster.settings import App
from tests.drivers import serve
from tests.inprocess import APP, InProcess, app_with
from tests.sharing import SharingDriver


@implementer(IFactObserver)
class Notes:
    """What was told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def told(self, app_id: str, fact: Fact) -> None:
        assert app_id == APP.id
        self.facts.append(fact)

    def take(self) -> list[Fact]:
        facts, self.facts = self.facts, []
        return facts


Observed = Callable[..., tuple[InProcess, Notes]]


@pytest.fixture
def observed() -> Iterator[Observed]:
    """Starts servers of which notes are taken; they end with the test."""
    servers: list[InProcess] = []

    def start(app: App = APP) -> tuple[InProcess, Notes]:
        server, notes = InProcess(app), Notes()
        servers.append(server)
        server.service.facts.observe(notes)
        return server, notes

    yield start
    for server in servers:
        server.stop()


def test_a_channel_is_occupied_by_the_first_and_vacated_by_the_last(observed: Observed) -> None:
    server, notes = observed()
    first, second = server.joined(), server.joined()
    notes.take()
    first.subscribe("a")
    second.subscribe("a")
    first.say("pusher:unsubscribe", {"channel": "a"})
    assert notes.take() == [ChannelOccupied("a")]
    second.say("pusher:unsubscribe", {"channel": "a"})
    assert notes.take() == [ChannelVacated("a")]


def test_members_are_told_by_user_and_inside_the_occupation(observed: Observed) -> None:
    server, notes = observed()
    first, second = server.joined(), server.joined()
    notes.take()
    for client in (first, second):
        client.subscribe("presence-a", {"user_id": "1"})
    occupied, added = notes.take()
    assert occupied == ChannelOccupied("presence-a")
    assert isinstance(added, MemberAdded) and added.member.user_id == "1"
    for client in (first, second):
        client.say("pusher:unsubscribe", {"channel": "presence-a"})
    removed, vacated = notes.take()
    assert isinstance(removed, MemberRemoved) and removed.member.user_id == "1"
    assert vacated == ChannelVacated("presence-a")


def test_connections_are_told_with_their_socket_ids(observed: Observed) -> None:
    server, notes = observed()
    client = server.open()
    assert notes.take() == [Connected(client.name())]
    client.leave()
    client.drop()
    assert notes.take() == [Disconnected(client.name())]


def test_a_client_event_is_told_and_one_that_is_refused_is_not(observed: Observed) -> None:
    server, notes = observed()
    client = server.joined("private-a")
    client.subscribe("presence-a", {"user_id": "1"})
    notes.take()
    client.say("client-e", {"x": 1}, channel="private-a")
    client.say("client-e", {"x": 2}, channel="presence-a")
    client.say("client-e", {"x": 3}, channel="private-b")
    assert notes.take() == [
        ClientEventSent("private-a", "client-e", '{"x":1}', client.name()),
        ClientEventSent("presence-a", "client-e", '{"x":2}', client.name(), "1"),
    ]


def test_a_cache_channel_without_an_event_is_told(observed: Observed) -> None:
    server, notes = observed()
    client = server.joined()
    notes.take()
    client.subscribe("cache-a")
    assert notes.take() == [ChannelOccupied("cache-a"), CacheMissed("cache-a")]
    server.publish("cache-b")
    client.subscribe("cache-b")
    assert notes.take() == [ChannelOccupied("cache-b")]


def test_the_own_channel_of_a_user_is_no_fact(observed: Observed) -> None:
    server, notes = observed()
    client = server.joined()
    notes.take()
    client.sign_in({"id": "1"})
    client.drop()
    assert notes.take() == [Disconnected(client.name())]


def test_subscriptions_are_counted_where_the_app_wants_that(observed: Observed) -> None:
    server, notes = observed(app_with(subscription_count=True))
    first, second = server.joined(), server.joined()
    notes.take()
    first.subscribe("a")
    second.subscribe("a")
    counted = [fact for fact in notes.take() if isinstance(fact, SubscriptionCounted)]
    assert counted == [SubscriptionCounted("a", 1), SubscriptionCounted("a", 2)]


def test_subscriptions_that_a_dead_process_had_are_counted_again() -> None:
    driver, notes = SharingDriver(), Notes()
    server = serve(driver, app_with(subscription_count=True))
    server.service.facts.observe(notes)
    driver.answers["tell_count"] = 3
    assert driver.observer is not None
    driver.observer.told(APP.id, SubscriptionsLost("a"))
    assert ("tell_count", APP.id, "a") in driver.asked
    assert notes.take() == [SubscriptionCounted("a", 3), SubscriptionsLost("a")]
    server.stop()


def test_what_a_driver_tells_is_passed_on() -> None:
    driver, notes = SharingDriver(), Notes()
    server = serve(driver)
    server.service.facts.observe(notes)
    assert driver.observer is not None
    driver.observer.told(APP.id, ChannelOccupied("a"))
    client = server.joined("b")
    assert notes.take() == [ChannelOccupied("a"), Connected(client.name())]
    server.stop()
