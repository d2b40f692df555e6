"""What processes on one real Redis share beyond what every driver promises: right again after every loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.logger import globalLogPublisher
from zope.interface import implementer

from broadcaster.errors import DriverError, MembersFull
from broadcaster.facts import ChannelOccupied, ChannelVacated, Fact, SubscriptionsLost
from broadcaster.interfaces import IFactObserver
from broadcaster.messages import (
    Event,
    LastEvent,
    Member,
    MemberAdded,
    MemberRemoved,
    UserOffline,
    UserOnline,
)
from tests.driving import Driving, failure_of, laravel, result
from tests.redis import Redis, Sentinel
from tests.sockets import reactor, run_until

pytestmark = pytest.mark.real

LEASE = 2.0
ANN, BEN = Member("ann", b'{"n":1}', b'{"user_id":"ann"}'), Member("ben", b"{}", b'{"user_id":"ben"}')
ROOM = "presence-a"


@implementer(IFactObserver)
class Sharing(Driving):
    """One process; ``facts`` is what it told."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **{"lease_seconds": LEASE, **options})
        self.facts: list[Fact] = []
        self.driver.observe(self)
        self.driver.keep_last(lambda app_id: 60)

    def __enter__(self) -> Self:
        super().__enter__()
        if self._wait:
            run_until(lambda: self.driver._lease.held, "the first lease")
        return self

    def told(self, app_id: str, fact: Fact) -> None:
        assert app_id == "3"
        self.facts.append(fact)

    def take(self) -> list[Fact]:
        """The facts since the last call."""
        facts, self.facts = self.facts, []
        return facts

    def join(self, socket_id: str, member: Member, channel: str = ROOM, limit: int = 0) -> list[str]:
        """The users in the list that the joiner gets."""
        return [each.user_id for each in result(self.driver.join("3", channel, socket_id, member, limit))]

    def leave(self, socket_id: str, channel: str = ROOM) -> None:
        result(self.driver.leave("3", channel, socket_id))

    def members(self, channel: str = ROOM) -> list[str]:
        """Whom Redis knows."""
        return [each.user_id for each in result(self.driver.members("3", channel))]

    def roster(self, channel: str = ROOM) -> list[str]:
        """Whom those here have been told of."""
        return [each.user_id for each in self.driver._membership._rosters["3", channel].members()]

    def counts(self) -> dict[str, int]:
        return dict(result(self.driver.channels("3", "")))

    def die(self) -> None:
        """Fall silent at once, as a process does that is killed."""
        driver = self.driver
        driver._lease._beating.stop()
        driver._sink = None
        result(super(type(driver), driver).stop())
        globalLogPublisher.removeObserver(self._observe)


@pytest.fixture(scope="module")
def one_redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture
def redis(one_redis: Redis) -> Redis:
    one_redis.command("FLUSHALL")
    return one_redis


@pytest.fixture
def here(redis: Redis) -> Iterator[Sharing]:
    with Sharing(redis.url) as process:
        yield process


@pytest.fixture
def there(redis: Redis) -> Iterator[Sharing]:
    with Sharing(redis.url) as process:
        yield process


def settle(*processes: Sharing) -> None:
    """Let everything that is under way to these arrive."""
    for process in processes:
        process.want("settled")
        result(process.driver.last("3", "cache-settled"))
        process.driver.unwanted("3", "settled")
        run_until(lambda one=process: not one.driver._occupancy._changed, "telling all counts")  # type: ignore[misc]
        result(process.driver.last("3", "cache-settled"))
    for process in processes:
        process.facts = [fact for fact in process.facts if getattr(fact, "channel", "") != "settled"]


# ---- presence ----------------------------------------------------------------------------------------------------


def test_many_joining_at_once_are_told_once_each_and_all_lists_agree(redis: Redis) -> None:
    with Sharing(redis.url) as first, Sharing(redis.url) as second, Sharing(redis.url) as third:
        processes = (first, second, third)
        for process in processes:
            process.want(ROOM)
        joining = [
            process.driver.join("3", ROOM, f"{place}.{tab}", Member(f"user{tab % 20}"), 0)
            for tab in range(60)
            for place, process in enumerate(processes)
        ]
        for one in joining:
            result(one)
        settle(*processes)
        names = {f"user{number}" for number in range(20)}
        assert all(set(process.roster()) == names for process in processes)
        added = [fact.member.user_id for each in processes for fact in each.take() if isinstance(fact, MemberAdded)]
        assert sorted(added) == sorted(names)
        leaving = [
            process.driver.leave("3", ROOM, f"{place}.{tab}")
            for tab in range(60)
            for place, process in enumerate(processes)
        ]
        for left in leaving:
            result(left)
        removed = [fact.member.user_id for each in processes for fact in each.take() if isinstance(fact, MemberRemoved)]
        assert sorted(removed) == sorted(names)


SOCKETS = (("1.1", 0), ("1.2", 0), ("2.1", 1), ("2.2", 1))
moves = st.lists(
    st.tuples(st.sampled_from(SOCKETS), st.sampled_from(("ann", "ben", "eve", None)), st.integers(0, 3)), max_size=20
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves, st.sampled_from((0, 2)))
def test_any_coming_and_going_leaves_all_lists_right(
    here: Sharing, there: Sharing, moves: list[Any], limit: int
) -> None:
    """The same promises as of a process by itself: order by newest connection, its data, the first one's info."""
    processes, channel = (here, there), "presence-any"
    connections: dict[str, Member] = {}
    infos: dict[str, bytes] = {}
    for process in processes:
        process.want(channel)
    for (socket_id, place), user_id, number in moves:
        driver = processes[place].driver
        if user_id is None:
            result(driver.leave("3", channel, socket_id))
            connections.pop(socket_id, None)
        else:
            member = Member(user_id, b"%d" % number, b"[%d]" % number, socket_id)
            failure = failure_of(lambda: driver.join("3", channel, socket_id, member, limit))  # noqa: B023
            if connections.get(socket_id, member).user_id != user_id:
                del connections[socket_id]
            others = {each.user_id for each in connections.values()}
            if limit and user_id not in others and len(others) >= limit:
                assert isinstance(failure, MembersFull)
            else:
                assert failure is None
                connections.pop(socket_id, None)
                connections[socket_id] = member
        present = {each.user_id for each in connections.values()}
        infos = {user: info for user, info in infos.items() if user in present}
        for each in connections.values():
            infos.setdefault(each.user_id, each.info)
        newest = {each.user_id: each for each in connections.values()}
        order = sorted(newest.values(), key=lambda each: list(connections).index(each.socket_id))
        expected = tuple(replace(each, info=infos[each.user_id]) for each in order)
        assert result(here.driver.members("3", channel)) == expected
        settle(here, there)
        for process in processes:
            if ("3", channel) in process.driver._membership._rosters:
                assert process.driver._membership._rosters["3", channel].members() == expected
    for socket_id, place in SOCKETS:
        result(processes[place].driver.leave("3", channel, socket_id))
    for process in processes:
        process.driver.unwanted("3", channel)
    settle(here, there)


def test_who_cannot_be_asked_is_a_failure_of_the_driver(redis: Redis) -> None:
    with Sharing(redis.url.replace("redis.sock", "nobody.sock"), wait_seconds=0.3, wait=False) as process:
        for ask in (
            lambda: process.driver.join("3", ROOM, "1.1", ANN, 0),
            lambda: process.driver.members("3", ROOM),
            lambda: process.driver.subscriptions("3", ROOM),
            lambda: process.driver.last("3", "cache-a"),
            lambda: process.driver.wanted("3", "a"),
            lambda: process.driver.watch("3", ["1"]),
        ):
            assert isinstance(failure_of(ask), DriverError)
        assert failure_of(lambda: process.driver.leave("3", ROOM, "1.1")) is None


# ---- occupancy ---------------------------------------------------------------------------------------------------


def test_a_channel_is_occupied_by_the_first_of_all_and_vacated_by_the_last(here: Sharing, there: Sharing) -> None:
    here.want("a")
    there.want("a")
    there.want("a")
    assert here.counts() == there.counts() == {"a": 3}
    assert result(here.driver.subscriptions("3", "a")) == 3
    here.driver.unwanted("3", "a")
    there.driver.unwanted("3", "a")
    settle(here, there)
    assert (here.take(), there.take()) == ([ChannelOccupied("a")], [])
    there.driver.unwanted("3", "a")
    settle(here, there)
    assert (here.take(), there.take()) == ([], [ChannelVacated("a")])
    assert here.counts() == {}


def test_seats_are_counted_over_processes(here: Sharing, there: Sharing) -> None:
    assert [result(process.driver.seat("3", 3)) for process in (here, there, here)] == [True] * 3
    assert not result(here.driver.seat("3", 3))
    assert not result(there.driver.seat("3", 3))
    there.driver.unseat("3")
    settle(there)
    assert result(here.driver.seat("3", 3))
    assert here.counts() == {}
    assert here.take() == there.take() == []


def test_seats_that_are_asked_for_at_once_are_as_many_as_there_are(here: Sharing, there: Sharing) -> None:
    asked = [process.driver.seat("3", 7) for _ in range(10) for process in (here, there)]
    assert sum(result(one) for one in asked) == 7


# ---- users and last events ---------------------------------------------------------------------------------------


def test_a_user_is_online_while_signed_in_anywhere(here: Sharing, there: Sharing) -> None:
    assert result(here.driver.watch("3", ["1", "2"])) == frozenset()
    there.want("#server-to-user-1")
    assert here.wait_for() == [UserOnline("1")]
    assert result(there.driver.watch("3", ["1"])) == {"1"}
    here.want("#server-to-user-1")
    there.driver.unwanted("3", "#server-to-user-1")
    settle(here, there)
    assert here.events() == there.events() == []
    here.driver.unwanted("3", "#server-to-user-1")
    assert here.wait_for() == there.wait_for() == [UserOffline("1")]
    assert here.take() == there.take() == []


def test_who_watches_no_more_is_told_nothing(redis: Redis, here: Sharing, there: Sharing) -> None:
    result(here.driver.watch("3", ["1"]))
    here.driver.unwatch("3", ["1"])
    there.want("#server-to-user-1")
    settle(here, there)
    assert here.events() == []
    run_until(lambda: not [name for name in redis.channels() if ":user:" in name], "the end of the subscription")


def test_the_last_event_is_known_everywhere(here: Sharing, there: Sharing) -> None:
    assert result(there.driver.last("3", "cache-a")) is None
    here.publish(("cache-a", "b"), "1")
    here.publish("cache-a", "2")
    last = result(there.driver.last("3", "cache-a"))
    assert isinstance(last, LastEvent)
    assert (last.name, last.data) == ("e", "2") and 59 < last.seconds <= 60
    assert result(there.driver.last("3", "b")) is None
    assert result(there.driver.last("4", "cache-a")) is None


def test_client_events_are_not_kept(here: Sharing) -> None:
    result(here.driver.publish("3", Event("client-e", ("private-cache-a",), "1")))
    assert result(here.driver.last("3", "private-cache-a")) is None


def test_what_laravel_publishes_is_kept_by_whoever_hears_it(redis: Redis, here: Sharing, there: Sharing) -> None:
    here.want("cache-a")
    redis.publish("cache-a", laravel(data={"a": 1}))
    here.wait_for()
    settle(here)
    last = result(there.driver.last("3", "cache-a"))
    assert last is not None and last.data == '{"a":1}'


def test_an_answer_contains_what_was_delivered_before_it_and_no_more(here: Sharing, there: Sharing) -> None:
    here.want("cache-a")
    seen: list[tuple[int, int]] = []
    for number in range(200):
        there.driver.publish("3", Event("e", ("cache-a",), str(number)))
        asked = here.driver.last("3", "cache-a")
        asked.addCallback(
            lambda last: seen.append((int(last.data) if last else -1, len(here.sink.delivered) - 1)),
        )
    run_until(lambda: len(seen) == 200, "all answers")
    assert all(last == delivered for last, delivered in seen)


# ---- death -------------------------------------------------------------------------------------------------------


def test_what_a_dead_process_shared_is_taken_back_and_told_once(redis: Redis) -> None:
    with Sharing(redis.url) as first, Sharing(redis.url) as second:
        dead = Sharing(redis.url)
        dead.__enter__()
        for process in (first, second, dead):
            process.want(ROOM)
        for channel in ("only-there", "shared", "#server-to-user-7"):
            dead.want(channel)
        first.want("shared")
        result(first.driver.watch("3", ["7"]))
        first.join("1.1", ANN)
        dead.join("3.1", ANN)
        dead.join("3.2", BEN)
        settle(first, second)
        first.take(), second.take(), first.events(), second.events()
        dead.die()
        run_until(lambda: first.counts() == {ROOM: 2, "shared": 1}, "the sweep", LEASE + 0.5)
        settle(first, second)
        assert first.members() == first.roster() == ["ann"]
        told = first.take() + second.take()
        assert sorted(map(repr, told)) == sorted(
            map(
                repr,
                (
                    MemberRemoved(ROOM, replace(BEN, socket_id="3.2")),
                    ChannelVacated("only-there"),
                    SubscriptionsLost("shared"),
                    SubscriptionsLost(ROOM),
                ),
            )
        )
        removed = MemberRemoved(ROOM, replace(BEN, socket_id="3.2"))
        assert [event for event in first.events() if not isinstance(event, UserOffline)] == [removed]
        assert [key for key in redis.command("KEYS", "*") if dead.driver.process_id.encode() in key] == []


def test_a_process_that_stops_in_order_leaves_nothing(redis: Redis, here: Sharing) -> None:
    with Sharing(redis.url) as there:
        for process in (here, there):
            process.want(ROOM)
        here.join("1.1", ANN)
        there.join("2.1", BEN)
        settle(here)
        here.events()
    settle(here)
    assert here.events() == [MemberRemoved(ROOM, replace(BEN, socket_id="2.1"))]
    assert here.counts() == {ROOM: 1}
    assert [type(fact) for fact in there.take()] == [MemberAdded, MemberRemoved, SubscriptionsLost]


def test_nothing_at_all_is_left_when_all_have_stopped(redis: Redis) -> None:
    with Sharing(redis.url) as process:
        process.want(ROOM)
        process.join("1.1", ANN)
        assert result(process.driver.seat("3", 5))
    assert redis.command("KEYS", "*") == [b"broadcaster:epoch"]


def test_a_process_that_was_taken_for_dead_claims_what_it_has(redis: Redis, here: Sharing, there: Sharing) -> None:
    for process in (here, there):
        process.want(ROOM)
    here.join("1.1", ANN)
    there.join("2.1", BEN)
    settle(here, there)
    here.take(), here.events(), there.take()
    there.driver._lease._beating.stop()
    ben = replace(BEN, socket_id="2.1")
    assert here.wait_for(2) == [MemberRemoved(ROOM, ben), MemberAdded(ROOM, ben)]
    there.driver._lease._beating.start(LEASE / 6)
    run_until(lambda: there.driver._lease.held, "the lease")
    settle(here, there)
    # Of its being taken for dead its own clients learn nothing.
    assert there.events() == here.events() == []
    told = [fact for fact in here.take() + there.take() if isinstance(fact, MemberAdded | MemberRemoved)]
    assert told == [MemberRemoved(ROOM, ben), MemberAdded(ROOM, ben)]
    assert here.counts() == {ROOM: 2}
    assert here.members() == ["ann", "ben"]


# ---- losses of Redis ---------------------------------------------------------------------------------------------


def populated(*processes: Sharing) -> None:
    for place, process in enumerate(processes):
        process.want(ROOM)
        process.want("a")
        process.join(f"{place}.1", ANN)
        process.join(f"{place}.2", Member(f"user{place}"))
    settle(*processes)
    for process in processes:
        process.take(), process.events()


def test_a_flushed_redis_is_filled_again_and_nobody_is_told_anything(
    redis: Redis, here: Sharing, there: Sharing
) -> None:
    populated(here, there)
    redis.command("FLUSHALL")
    run_until(lambda: here.counts() == {ROOM: 2, "a": 2} and len(here.members()) == 3, "filling it again")
    run_until(lambda: here.driver._lease.held and there.driver._lease.held, "the leases")
    run_until(lambda: (mending := here.driver._lease._mending) is None or not mending.active(), "looking again")
    settle(here, there)
    assert here.events() == there.events() == []
    assert here.take() == there.take() == []
    assert set(here.roster()) == set(there.roster()) == {"ann", "user0", "user1"}


def test_who_died_while_redis_was_flushed_is_removed_for_those_who_see_it(redis: Redis, here: Sharing) -> None:
    dead = Sharing(redis.url)
    dead.__enter__()
    populated(here, dead)
    dead.die()
    redis.command("FLUSHALL")
    run_until(lambda: set(here.roster()) == {"ann", "user0"}, "looking again", 3 * LEASE)
    assert [type(event) for event in here.events()] == [MemberRemoved]


@pytest.mark.parametrize("how", ("stop", "kill"))
def test_a_restarted_redis_is_filled_again(redis: Redis, here: Sharing, there: Sharing, how: str) -> None:
    populated(here, there)
    getattr(redis, how)()
    here.wait_until_it_is_deaf()
    redis.start()
    for process in (here, there):
        process.wait_until_it_hears()
        run_until(lambda one=process: one.driver._lease.held, "the lease")  # type: ignore[misc]
    assert here.counts() == {ROOM: 2, "a": 2}
    assert set(here.members()) == {"ann", "user0", "user1"}
    settle(here, there)
    assert here.events() == there.events() == []
    assert here.take() == there.take() == []


def test_who_leaves_while_redis_is_away_is_taken_out_when_it_is_back(
    redis: Redis, here: Sharing, there: Sharing
) -> None:
    populated(here, there)
    redis.pause()
    there.wait_until_it_is_deaf()
    there.leave("1.2")
    there.driver.unwanted("3", "a")
    redis.resume()
    here.wait_until_it_hears()
    there.wait_until_it_hears()
    run_until(lambda: here.driver._lease.held and there.driver._lease.held, "the leases")
    assert set(here.members()) == {"ann", "user0"}
    assert here.counts() == {ROOM: 2, "a": 1}
    settle(here, there)
    assert [type(event) for event in here.events()] == [MemberRemoved]
    assert [type(fact) for fact in there.take()] == [MemberRemoved]


def test_who_joins_while_redis_is_away_is_in_when_it_is_back(redis: Redis, here: Sharing) -> None:
    here.want(ROOM)
    redis.pause()
    here.wait_until_it_is_deaf()
    joining = here.driver.join("3", ROOM, "1.1", ANN, 0)
    wanting = here.driver.wanted("3", "b")
    redis.resume()
    assert [member.user_id for member in result(joining)] == ["ann"]
    result(wanting)
    assert here.members() == ["ann"]
    run_until(lambda: here.counts() == {ROOM: 1, "b": 1}, "counting")
    told = sorted(map(repr, here.take()))
    assert told == sorted(map(repr, (*(ChannelOccupied(name) for name in (ROOM, "b")), _added(ANN, "1.1"))))


def _added(member: Member, socket_id: str) -> MemberAdded:
    return MemberAdded(ROOM, replace(member, socket_id=socket_id))


def test_changes_that_were_missed_are_told_afterwards(redis: Redis, here: Sharing, there: Sharing) -> None:
    populated(here, there)
    restored = here.restored
    here.driver._inward.connection.abort("cut")
    there.leave("1.2")
    there.join("1.3", BEN)
    run_until(lambda: here.restored > restored and here.driver._lease.held, "hearing again")
    settle(here)
    assert {type(event) for event in here.events()} == {MemberAdded, MemberRemoved}
    assert set(here.roster()) == {"ann", "user0", "ben"}


def test_a_redis_that_was_paused_for_longer_than_all_leases_makes_nobody_leave(
    redis: Redis, here: Sharing, there: Sharing
) -> None:
    populated(here, there)
    redis.pause()
    overdue = reactor.seconds() + LEASE
    run_until(lambda: reactor.seconds() > overdue, "the end of all leases")
    redis.resume()
    for process in (here, there):
        process.wait_until_it_hears()
        run_until(lambda one=process: one.driver._lease.held, "the lease")  # type: ignore[misc]
    settle(here, there)
    assert here.events() == there.events() == []
    assert here.take() == there.take() == []


def offset(redis: Redis, which: str) -> int:
    """How far a Redis is in the stream of replication."""
    return int(redis.command("INFO", "replication").partition(f"{which}:".encode())[2].split()[0])


def test_a_redis_that_sentinel_puts_in_the_masters_place_is_filled_again() -> None:
    with Redis() as master, Redis(f"replicaof 127.0.0.1 {master.port}") as replica, Sentinel(master) as sentinel:
        run_until(lambda: b"master_link_status:up" in replica.command("INFO", "replication"), "replication")
        run_until(lambda: b"slaves=1" in sentinel.command("INFO", "sentinel"), "the Sentinel's knowing the replica", 30)
        url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster/0"
        with Sharing(url) as here, Sharing(url) as there:
            populated(here, there)
            # What a master has not replicated is lost with it, and told as leaving and coming back.
            written = offset(master, "master_repl_offset")
            run_until(lambda: offset(replica, "slave_repl_offset") >= written, "the last of replication")
            master.kill()
            here.wait_until_it_is_deaf()
            there.wait_until_it_is_deaf()
            for process in (here, there):
                run_until(lambda one=process: one.hears and one.driver._lease.held, "the fail-over", 30)  # type: ignore[misc]
            assert here.counts() == {ROOM: 2, "a": 2}
            assert set(here.members()) == {"ann", "user0", "user1"}
            settle(here, there)
            assert here.events() == there.events() == []
            assert here.take() == there.take() == []
