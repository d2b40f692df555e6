"""The way into a channel where processes share it: its order, and that whoever leaves meanwhile has it all undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.defer import fail

from broadcaster.errors import DriverError, MembersFull
from broadcaster.messages import Event, LastEvent, Member, UserOffline, UserOnline
from broadcaster.settings import App
from tests.drivers import serve
from tests.inprocess import APP, Client, InProcess, app_with
from tests.sharing import SharingDriver

Start = Callable[..., InProcess]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts servers that end with the test."""
    servers: list[InProcess] = []

    def started(driver: SharingDriver, app: App = APP) -> InProcess:
        servers.append(serve(driver, app))
        return servers[-1]

    yield started
    for server in servers:
        server.stop()


def event_names(client: Client) -> list[str]:
    return [event["event"] for event in client.events()]


# ---- order -------------------------------------------------------------------------------------------------------


def test_a_channel_is_wanted_then_joined_then_told(start: Start) -> None:
    driver = SharingDriver("wanted", "join")
    client = start(driver).joined()
    client.subscribe("presence-a", {"user_id": "1"})
    assert driver.names() == [("wanted", "presence-a")]
    driver.waiting["wanted"][0].callback(None)
    assert driver.names() == [("join", "presence-a")]
    assert event_names(client) == []
    driver.waiting["join"][0].callback((Member("1"),))
    assert event_names(client) == ["pusher_internal:subscription_succeeded"]


def test_what_is_delivered_before_a_channel_is_wanted_here_is_not_heard(start: Start) -> None:
    driver = SharingDriver("wanted")
    client = start(driver).joined()
    client.subscribe("a")
    assert driver.sink is not None
    driver.sink.deliver(APP.id, Event("before", ("a",), "1"))
    driver.waiting["wanted"][0].callback(None)
    driver.sink.deliver(APP.id, Event("after", ("a",), "1"))
    assert event_names(client) == ["pusher_internal:subscription_succeeded", "after"]


def test_a_channel_that_is_not_allowed_is_not_wanted(start: Start) -> None:
    driver = SharingDriver()
    client = start(driver).joined()
    client.say("pusher:subscribe", {"channel": "private-a", "auth": "x:y"})
    assert driver.names() == []


def test_each_subscription_is_wanted_once_and_unwanted_once(start: Start) -> None:
    driver = SharingDriver()
    server = start(driver)
    first, second = server.joined("a", "b"), server.joined("a")
    first.say("pusher:unsubscribe", {"channel": "a"})
    first.subscribe("a")
    second.drop()
    first.leave()
    asked = driver.names()
    for channel, times in (("a", 3), ("b", 1)):
        assert [asked.count((word, channel)) for word in ("wanted", "unwanted")] == [times, times]


# ---- undoing -----------------------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[Client], Any]] = {
    "unsubscribes": lambda client: client.say("pusher:unsubscribe", {"channel": "presence-a"}),
    "vanishes": lambda client: client.drop(),
    "closes": lambda client: client.leave(),
}


@pytest.mark.parametrize("how", ENDS)
def test_who_leaves_before_the_channel_is_wanted_here_has_that_undone(start: Start, how: str) -> None:
    driver = SharingDriver("wanted")
    server = start(driver)
    client = server.joined()
    client.subscribe("presence-a", {"user_id": "1"})
    ENDS[how](client)
    assert driver.names() == [("wanted", "presence-a"), ("unwanted", "presence-a")]
    assert server.service.hub.channels(APP.id) == {}


@pytest.mark.parametrize("how", ENDS)
def test_who_leaves_while_joining_has_both_undone(start: Start, how: str) -> None:
    driver = SharingDriver("join")
    client = start(driver).joined()
    client.subscribe("presence-a", {"user_id": "1"})
    driver.names()
    ENDS[how](client)
    assert driver.names() == [("leave", "presence-a"), ("unwanted", "presence-a")]


@pytest.mark.parametrize(
    ("question", "error", "kind"),
    [
        ("wanted", DriverError("away"), "ServerError"),
        ("join", DriverError("away"), "ServerError"),
        ("join", MembersFull(), "LimitReached"),
    ],
)
def test_who_is_refused_wants_the_channel_no_more(start: Start, question: str, error: Exception, kind: str) -> None:
    driver = SharingDriver()
    driver.answers[question] = fail(error)
    client = start(driver).joined()
    client.subscribe("presence-a", {"user_id": "1"})
    assert driver.names()[-1] == ("unwanted", "presence-a")
    assert kind in client.events()[0]["data"]


# ---- cache channels ----------------------------------------------------------------------------------------------


def test_the_last_event_that_other_processes_know_is_told_first(start: Start) -> None:
    driver = SharingDriver()
    driver.answers["last"] = LastEvent("e", '"x"', 60)
    client = start(driver).joined()
    client.subscribe("cache-a")
    assert driver.names() == [("wanted", "cache-a"), ("last", "cache-a")]
    assert event_names(client) == ["pusher_internal:subscription_succeeded", "e"]


def test_where_none_is_kept_any_more_the_event_that_was_heard_once_is_not_told(start: Start) -> None:
    driver = SharingDriver()
    server = start(driver)
    assert driver.sink is not None
    driver.sink.deliver(APP.id, Event("old", ("cache-a",), "1"))
    client = server.joined()
    client.subscribe("cache-a")
    assert event_names(client) == ["pusher_internal:subscription_succeeded", "pusher:cache_miss"]


def test_an_event_between_recalling_and_joining_is_told_as_the_last(start: Start) -> None:
    driver = SharingDriver("join")
    driver.answers["last"] = LastEvent("old", "1", 60)
    client = start(driver).joined()
    client.subscribe("presence-cache-a", {"user_id": "1"})
    assert driver.sink is not None
    driver.sink.deliver(APP.id, Event("new", ("presence-cache-a",), "1"))
    driver.waiting["join"][0].callback((Member("1"),))
    assert event_names(client) == ["pusher_internal:subscription_succeeded", "new"]


def test_the_driver_is_told_how_long_events_are_kept(start: Start) -> None:
    driver = SharingDriver()
    start(driver, app_with(cache_seconds=7))
    assert driver.seconds is not None
    assert (driver.seconds(APP.id), driver.seconds("other")) == (7, 0)


def test_the_last_event_is_asked_for_by_the_http_api_too(start: Start) -> None:
    driver = SharingDriver()
    driver.answers |= {"last": LastEvent("e", '"x"', 59.5), "subscriptions": 3}
    answer = start(driver).call("GET", "/channels/cache-a", query="info=cache,subscription_count")
    assert answer.json == {"occupied": True, "subscription_count": 3, "cache": {"data": '"x"', "ttl": 60}}


# ---- users -------------------------------------------------------------------------------------------------------

WATCHES = app_with(watchlists=True)
OWN = "#server-to-user-1"


def test_a_user_is_wanted_and_watches_before_it_is_told(start: Start) -> None:
    driver = SharingDriver("wanted", "watch")
    client = start(driver, WATCHES).joined()
    client.sign_in({"id": "1", "watchlist": ["2", "3"]})
    driver.waiting["wanted"][0].callback(None)
    assert driver.names() == [("wanted", OWN), ("watch", ("2", "3"))]
    assert event_names(client) == []
    driver.waiting["watch"][0].callback(frozenset({"3"}))
    success, watchlist = client.events()
    assert success["event"] == "pusher:signin_success"
    expected = '{"events":[{"name":"online","user_ids":["3"]},{"name":"offline","user_ids":["2"]}]}'
    assert watchlist["data"] == expected


def test_watchers_are_told_what_the_driver_says_and_nothing_else(start: Start) -> None:
    driver = SharingDriver()
    server = start(driver, WATCHES)
    watcher, other = server.joined(), server.joined()
    watcher.sign_in({"id": "1", "watchlist": ["2"]})
    watcher.events()
    other.sign_in({"id": "2"})
    assert watcher.events() == []
    assert driver.sink is not None
    driver.sink.deliver(APP.id, UserOnline("2"))
    driver.sink.deliver(APP.id, UserOffline("2"))
    told = ['{"events":[{"name":"online","user_ids":["2"]}]}', '{"events":[{"name":"offline","user_ids":["2"]}]}']
    assert [event["data"] for event in watcher.events()] == told


@pytest.mark.parametrize("slow", ("wanted", "watch", "nothing"))
def test_who_leaves_while_signing_in_or_later_has_all_undone(start: Start, slow: str) -> None:
    driver = SharingDriver(slow)
    server = start(driver, WATCHES)
    client = server.joined()
    client.sign_in({"id": "1", "watchlist": ["2"]})
    client.drop()
    asked = driver.names()
    assert asked.count(("unwanted", OWN)) == asked.count(("wanted", OWN)) == 1
    assert asked.count(("unwatch", ("2",))) == asked.count(("watch", ("2",))) == (0 if slow == "wanted" else 1)
    assert server.service.hub.channels(APP.id) == {}


def test_a_user_stays_wanted_whatever_becomes_of_the_subscription(start: Start) -> None:
    driver = SharingDriver()
    client = start(driver).joined()
    client.sign_in({"id": "1"})
    client.say("pusher:unsubscribe", {"channel": OWN})
    client.subscribe(OWN)
    assert driver.names() == [("wanted", OWN)]
    client.drop()
    assert driver.names() == [("unwanted", OWN)]


def test_a_second_sign_in_waits_for_the_first(start: Start) -> None:
    driver = SharingDriver("wanted")
    client = start(driver).joined()
    client.sign_in({"id": "1"})
    client.sign_in({"id": "2"})
    assert [event["data"]["message"] for event in client.events()] == ["Signing in already"]
    driver.waiting["wanted"][0].callback(None)
    assert event_names(client) == ["pusher:signin_success"]


def test_another_watchlist_replaces_the_first(start: Start) -> None:
    driver = SharingDriver()
    client = start(driver, WATCHES).joined()
    client.sign_in({"id": "1", "watchlist": ["2"]})
    client.sign_in({"id": "1", "watchlist": ["3"]})
    assert driver.names() == [("wanted", OWN), ("watch", ("2",)), ("watch", ("3",)), ("unwatch", ("2",))]


def test_a_sign_in_that_cannot_be_shared_is_refused(start: Start) -> None:
    driver = SharingDriver()
    driver.answers["wanted"] = fail(DriverError("away"))
    client = start(driver).joined()
    client.sign_in({"id": "1"})
    assert [event["data"] for event in client.events()] == [{"code": 4009, "message": "Try again later"}]
    assert driver.names() == [("wanted", OWN), ("unwanted", OWN)]


# ---- seats -------------------------------------------------------------------------------------------------------

FEW = app_with(max_connections=5)


def test_a_client_is_greeted_once_it_is_counted_with_all_others(start: Start) -> None:
    driver = SharingDriver("seat")
    server = start(driver, FEW)
    client = server.open()
    client.say("pusher:ping")
    assert client.events() == []
    driver.waiting["seat"][0].callback(True)
    assert event_names(client) == ["pusher:connection_established"]
    client.drop()
    assert driver.names() == ["seat", "unseat"]


@pytest.mark.parametrize("protocol", (5, 7))
def test_one_too_many_over_all_processes_is_refused(start: Start, protocol: int) -> None:
    driver = SharingDriver()
    driver.answers["seat"] = False
    client = start(driver, FEW).open(f"protocol={protocol}&client=js")
    refusal = {"code": 4004, "message": "Application is over connection quota"}
    assert [event["data"] for event in client.events()] == [refusal]
    assert client.close_code == 4004
    client.drop()
    assert driver.names() == ["seat"]


@pytest.mark.parametrize("granted", (True, False))
def test_who_leaves_before_it_is_counted_leaves_a_seat_only_if_it_got_one(start: Start, granted: bool) -> None:
    driver = SharingDriver("seat")
    client = start(driver, FEW).open()
    client.drop()
    driver.waiting["seat"][0].callback(granted)
    assert driver.names() == ["seat", "unseat"][: 1 + granted]


def test_who_cannot_be_counted_is_let_in(start: Start) -> None:
    driver = SharingDriver()
    driver.answers["seat"] = fail(DriverError("away"))
    client = start(driver, FEW).open()
    assert event_names(client) == ["pusher:connection_established"]
    client.drop()
    assert driver.names() == ["seat", "unseat"]


def test_an_app_without_a_bound_is_not_counted(start: Start) -> None:
    driver = SharingDriver()
    start(driver).joined()
    assert driver.names() == []
