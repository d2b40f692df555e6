"""The driver against a real Redis: what is published by anybody arrives where it is wanted, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.trial.unittest import TestCase

from broadcaster.drivers.redis import make
from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver
from broadcaster.messages import Event, Terminated
from broadcaster.testing import SharedDriverContract
from tests.driving import Driving, failure_of, laravel, result
from tests.processes import until
from tests.redis import Redis
from tests.sockets import reactor, run_until

pytestmark = pytest.mark.real

LARAVELS_SCRIPT = """
for i = 2, #ARGV do
  redis.call('publish', ARGV[i], ARGV[1])
end
"""
"""The one that Illuminate's RedisBroadcaster sends, with the payload first and a channel in each further argument."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture
def redis(shared: Redis) -> Redis:
    """A Redis that tests leave as they found it."""
    run_until(lambda: not shared.channels(), "the end of the last test's subscriptions")
    return shared


@pytest.fixture
def here(redis: Redis) -> Iterator[Driving]:
    with Driving(redis.url) as process:
        yield process


@pytest.fixture
def there(redis: Redis) -> Iterator[Driving]:
    with Driving(redis.url) as process:
        yield process


class TestRedis(SharedDriverContract, TestCase):
    """Held to what every driver is held to that makes processes one server."""

    def setUp(self) -> None:
        self.redis = Redis().__enter__()
        self.addCleanup(self.redis.__exit__)

    def make_driver(self) -> IDriver:
        driver = make(reactor, {"url": self.redis.tcp})
        driver.tenants({"app": None, "other-app": None})
        return driver


# ---- events of our own ----------------------------------------------------------------------------------------


def test_an_event_arrives_in_every_process_that_wants_its_channel(here: Driving, there: Driving) -> None:
    event = Event("e", ("private-a",), '{"é": 1.0}', exclude="1.2", user_id="ü")
    here.want("private-a")
    there.want("private-a")
    result(here.driver.publish("3", event))
    assert here.wait_for() == there.wait_for() == [event]


def test_what_nobody_wants_is_not_even_received(redis: Redis, here: Driving, there: Driving) -> None:
    there.want("b")
    here.publish("a")
    here.publish("b")
    assert there.wait_for() == [Event("e", ("b",), "1")]
    assert here.driver._received["own"] == 0
    assert [name.rpartition(":")[2] for name in redis.channels() if ":event:" in name] == ["b"]


def test_an_event_on_several_channels_arrives_on_each(here: Driving, there: Driving) -> None:
    for channel in ("a", "b", "c"):
        there.want(channel)
    there.want("d")
    here.publish(("a", "b", "c"), exclude="1.2")
    assert there.wait_for(3) == [Event("e", (channel,), "1", "1.2") for channel in ("a", "b", "c")]


def test_the_order_of_a_channel_is_the_order_of_publishing(here: Driving, there: Driving) -> None:
    for channel in ("a", "b"):
        there.want(channel)
    events = [Event("e", ("a", "b") if number % 3 else ("a",), str(number)) for number in range(300)]
    for event in events:
        here.driver.publish("3", event)
    run_until(lambda: len(there.sink.events("3", "a")) == 300, "all events")
    assert [event.data for event in there.sink.events("3", "a")] == [event.data for event in events]


def test_what_has_arrived_is_taken_in_without_a_turn_of_the_reactor(here: Driving) -> None:
    here.want("a")
    taken = here.driver.publish("3", Event("e", ("a",), "1"))

    def answered() -> bool:
        here.driver.take_in()
        return bool(taken.called)

    until(answered, "the answer")
    assert here.wait_for() == [Event("e", ("a",), "1")]


def test_apps_are_apart(here: Driving) -> None:
    here.want("a", "3")
    here.want("a", "4")
    result(here.driver.publish("4", Event("e", ("a",), "1")))
    run_until(lambda: here.sink.delivered, "the delivery")
    assert here.sink.delivered == [("4", Event("e", ("a",), "1"))]


@pytest.mark.parametrize("other", ({"namespace": "another"}, {"url": "?db=1"}), ids=("namespace", "database"))
def test_servers_are_apart(redis: Redis, here: Driving, other: dict[str, str]) -> None:
    options = dict(other)
    with Driving(redis.url + options.pop("url", ""), **options) as stranger:
        for process in (here, stranger):
            process.want("a")
        stranger.publish("a", "theirs")
        here.publish("a", "ours")
        assert [event.data for event in here.wait_for()] == ["ours"]
        assert [event.data for event in stranger.wait_for()] == ["theirs"]


def test_the_end_of_a_user_reaches_every_process(here: Driving, there: Driving) -> None:
    result(here.driver.publish("4", Terminated("u")))
    for process in (here, there):
        run_until(lambda process=process: process.sink.delivered, "the delivery")
        assert process.sink.delivered == [("4", Terminated("u"))]


def test_large_events_arrive_whole(here: Driving) -> None:
    here.want("a")
    for size in (1, 65_536, 5_000_000):
        here.publish("a", "ü" * size)
        assert here.wait_for() == [Event("e", ("a",), "ü" * size)]


def test_names_are_what_they_are(here: Driving) -> None:
    names = ("a:b", "a%3Ab", "*", "a?[b]\\", "#server-to-user-1", "ü ", "__proto__", "control", "a" * 200)
    for name in names:
        here.want(name)
    for name in names:
        here.publish(name, name)
    assert here.wait_for(len(names)) == [Event("e", (name,), name) for name in names]


# ---- wanting and not wanting ----------------------------------------------------------------------------------


def test_a_channel_that_many_want_is_subscribed_to_once(redis: Redis, here: Driving) -> None:
    waiting = [here.driver.wanted("3", "a") for _ in range(1_000)]
    for each in waiting:
        result(each)
    here.publish("a")
    assert len(here.wait_for()) == 1
    for _ in range(999):
        here.driver.unwanted("3", "a")
    run_until(lambda: not here.driver.listening._leaving, "nothing")
    here.publish("a")
    assert len(here.wait_for()) == 1
    here.driver.unwanted("3", "a")
    run_until(lambda: not [name for name in redis.channels() if name.endswith(":a")], "the end of the subscription")


def test_ten_thousand_channels_are_a_moment(redis: Redis, here: Driving) -> None:
    waiting = [here.driver.wanted("3", f"c{number}") for number in range(10_000)]
    for each in waiting:
        result(each)
    commands = int(
        redis.command("INFO", "commandstats").decode().partition("cmdstat_subscribe:calls=")[2].split(",")[0]
    )
    assert commands < 100
    here.publish("c9999")
    assert here.wait_for() == [Event("e", ("c9999",), "1")]


def test_a_page_that_is_loaded_again_costs_no_subscription(redis: Redis) -> None:
    with Driving(redis.url, linger_seconds=60) as here:
        here.want("a")
        before = len(here.driver.listening)
        here.driver.unwanted("3", "a")
        result(here.driver.wanted("3", "a"))
        assert len(here.driver.listening) == before


def test_a_subscription_that_is_given_up_at_once_leaves_nothing(redis: Redis, here: Driving) -> None:
    waiting = here.driver.wanted("3", "a")
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    here.driver.unwanted("3", "a")
    here.want("b")
    run_until(lambda: not [name for name in redis.channels() if name == "a" or name.endswith(":a")], "the end of it")


# ---- Laravel --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ("", "laravel_database_", "a*b[?]"))
def test_laravels_broadcasts_arrive_under_its_prefix(redis: Redis, prefix: str) -> None:
    with Driving(redis.url, prefix=prefix) as here:
        here.want("private-orders.1")
        assert redis.publish(f"{prefix}private-orders.1", laravel(data={"id": 1, "t": "é😀"}, socket="1.2")) == 1
        event = Event("App\\Events\\Shipped", ("private-orders.1",), '{"id":1,"t":"\\u00e9\\ud83d\\ude00"}', "1.2")
        assert here.wait_for() == [event]
        assert redis.publish("another_private-orders.1", laravel()) == 0


def test_laravels_script_publishes_to_several_channels(redis: Redis) -> None:
    with Driving(redis.url, prefix="l_") as here:
        for channel in ("a", "private-b"):
            here.want(channel)
        redis.command("EVAL", LARAVELS_SCRIPT, 0, laravel("E"), "l_a", "l_private-b", "l_c")
        assert here.wait_for(2) == [Event("E", (channel,), "1") for channel in ("a", "private-b")]


@pytest.mark.parametrize(
    ("data", "text"),
    (
        ('"é"', '"é"'),
        ('"12"', '"12"'),
        ("1e2", "1e2"),
        ("1.0", "1.0"),
        ("12345678901234567890", "12345678901234567890"),
        ('{"a":1,"a":2}', '{"a":1,"a":2}'),
        (r'"\u00e9"', r'"\u00e9"'),
        ("[ 1 , 2 ]", "[ 1 , 2 ]"),
        ("null", "null"),
        (None, "null"),
    ),
)
def test_laravels_data_stays_as_it_was_written(redis: Redis, here: Driving, data: str | None, text: str) -> None:
    here.want("a")
    field = f',"data":{data}' if data is not None else ""
    redis.publish("a", f'{{"event":"E"{field},"socket":null,"other":[1]}}')
    assert here.wait_for() == [Event("E", ("a",), text)]


JUNK = (
    *("", "null", "5", '"x"', "[1]", "{}", '{"event":null}', '{"event":{"a":1}}', '{"event":""}', "{", '{"event":"E"'),
    *('{"event":"pusher:error"}', '{"event":"pusher_internal:member_added","data":{}}', "[" * 100_000),
    *(b"\xff\xfe", b'{"event":"\xff"}', b'{"event":"E","data":"\xff"}', '{"event":"E","data":}', "\0"),
)


def test_junk_is_counted_and_named_once(redis: Redis, here: Driving) -> None:
    here.want("a")
    for junk in JUNK:
        assert redis.publish("a", junk) == 1
    redis.publish("a", laravel("E"))
    assert here.wait_for() == [Event("E", ("a",), "1")]
    assert here.driver._junk == {"laravel": len(JUNK)}
    own = here.driver.channel("3", "a")
    for payload in (b"", b"\xc0", b"\x91\xa1x", b"\x95\xa8event/99\xa1e\xa11\xc0\xc0", b"{}"):
        redis.publish(own, payload)
    here.publish("a")
    here.wait_for()
    assert here.driver._junk == {"laravel": len(JUNK), "own": 5}
    junk = [line for line in here.lines if line.startswith("junk")]
    assert [line.partition(" (")[2].partition(")")[0] for line in junk] == ["laravel", "own"]


def test_a_socket_that_is_none_excludes_nobody(redis: Redis, here: Driving) -> None:
    here.want("a")
    for socket in (None, 5, [], {}, ""):
        redis.publish("a", laravel("E", socket=socket))
    assert {event.exclude or None for event in here.wait_for(5)} == {None}


def test_prefixes_of_several_applications_are_apart(redis: Redis) -> None:
    with Driving(redis.url, {"3": None, "4": "forum_", "5": None}) as here:
        for app_id in ("3", "4", "5"):
            here.want("a", app_id)
            here.want("forum_a", app_id)
        redis.publish("a", laravel("first"))
        redis.publish("forum_a", laravel("second"))
        run_until(lambda: len(here.sink.delivered) == 2, "both")
        assert here.sink.delivered == [("3", Event("first", ("a",), "1")), ("4", Event("second", ("a",), "1"))]


def test_nobody_listens_to_the_servers_own_channels_through_laravels_names(redis: Redis, here: Driving) -> None:
    own = here.driver.channel("3", "private-a").decode()
    here.want("private-a")
    here.want(own)
    here.publish("private-a")
    assert here.wait_for() == [Event("e", ("private-a",), "1")]


# ---- refusals -------------------------------------------------------------------------------------------------


def test_a_channel_that_the_acl_forbids_is_refused_and_no_other() -> None:
    with Redis("user default on nopass ~* &broadcaster* &ok* +@all") as redis, Driving(redis.url) as here:
        waiting = [here.driver.wanted("3", name) for name in ("ok1", "bad", "ok2")]
        assert result(waiting[0]) is None and result(waiting[2]) is None
        error = failure_of(lambda: waiting[1])
        assert isinstance(error, DriverError) and "NOPERM" in str(error)
        redis.publish("ok2", laravel("E"))
        assert here.wait_for() == [Event("E", ("ok2",), "1")]
        assert here.hears
