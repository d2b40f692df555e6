"""Whatever happens to Redis or on the way to it: the driver notices, says so, and works again by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.internet.protocol import Factory, Protocol
from zope.interface import implementer

from broadcaster.drivers.redis import link
from broadcaster.drivers.redis.commands import Script
from broadcaster.errors import DriverError
from broadcaster.messages import Event
from tests.cutting import NEVER, Cutter
from tests.driving import Driving, failure_of, laravel
from tests.processes import free_port
from tests.redis import Redis, Sentinel
from tests.sockets import reactor, run_until

pytestmark = pytest.mark.real


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other quickly, since waiting proves nothing."""
    monkeypatch.setattr(link, "LONGEST_DELAY", 0.2)
    monkeypatch.setattr(link, "WATCH", 0.1)


def assert_it_works(redis: Redis, here: Driving, channel: str = "a") -> None:
    """What was wanted before is heard again, from Laravel too, and events go out."""
    here.events()
    here.publish(channel, "ours")
    redis.publish(channel, laravel("E", "Laravel's"))
    assert here.wait_for(2) == [Event("e", (channel,), "ours"), Event("E", (channel,), '"Laravel\'s"')]


# ---- Redis goes and comes -------------------------------------------------------------------------------------

FAULTS: dict[str, Callable[[Redis], Any]] = {
    "restart": lambda redis: (redis.stop(), redis.start()),
    "kill -9": lambda redis: (redis.kill(), redis.start()),
    "kill pubsub": lambda redis: redis.command("CLIENT", "KILL", "TYPE", "pubsub"),
    "kill normal": lambda redis: redis.command("CLIENT", "KILL", "TYPE", "normal"),
    "kill everybody": lambda redis: [redis.command("CLIENT", "KILL", "TYPE", each) for each in ("pubsub", "normal")],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_service_resumes(redis: Redis, fault: str) -> None:
    with Driving(redis.url) as here:
        here.want("a")
        FAULTS[fault](redis)
        here.wait_until_it_is_deaf()
        here.wait_until_it_hears()
        assert_it_works(redis, here)
        assert here.restored == 2
        assert here.driver.hearing.times == 1
        assert 0 < here.driver.hearing.deaf_seconds < 5
        told = [line for line in here.lines if "deaf" in line or "hears" in line]
        assert [line.split(":")[0] for line in told[1:2]] == ["deaf to Redis"]
        assert re.fullmatch(r"hears Redis again after \d\.\d s", told[2])
        assert len(told) == 3


def test_a_full_output_buffer_is_no_end(redis: Redis) -> None:
    redis.command("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 1mb 1")
    with Driving(redis.url) as here:
        here.want("a")
        for _ in range(60):
            redis.publish("a", laravel("E", "x" * 1_000_000))
        here.wait_until_it_is_deaf()
        here.wait_until_it_hears()
        assert_it_works(redis, here)


@pytest.mark.parametrize("hang", ("SIGSTOP", "CLIENT PAUSE"))
def test_a_redis_that_hangs_is_noticed_and_comes_back(redis: Redis, hang: str) -> None:
    with Driving(redis.url) as here:
        here.want("a")
        if hang == "SIGSTOP":
            redis.pause()
        else:
            redis.command("CLIENT", "PAUSE", 1_500, "ALL")
        error = failure_of(lambda: here.driver.publish("3", Event("e", ("a",), "1")))
        assert isinstance(error, DriverError)
        here.wait_until_it_is_deaf()
        if hang == "SIGSTOP":
            redis.resume()
        here.wait_until_it_hears()
        assert_it_works(redis, here)


def test_it_starts_while_redis_is_away(redis: Redis) -> None:
    redis.stop()
    with Driving(redis.url, wait=False) as here:
        here.wait_until_it_is_deaf()
        waiting = here.driver.wanted("3", "a")
        run_until(lambda: here.lines, "a line")
        assert here.lines == [f"deaf to Redis: redis+unix://{redis.path}?db=0: No such file or directory"]
        assert here.driver.faults() == here.lines
        assert not here.started.called
        redis.start()
        run_until(lambda: waiting.called and here.started.called, "the subscription and the start")
        assert_it_works(redis, here)


def test_a_subscription_waits_for_redis_but_not_for_ever(redis: Redis) -> None:
    with Driving(redis.url, wait_seconds=0.3) as here:
        here.want("a")
        redis.stop()
        here.wait_until_it_is_deaf()
        error = failure_of(lambda: here.driver.wanted("3", "b"))
        assert isinstance(error, DriverError)
        assert str(error).startswith("Redis has not confirmed the subscription within 0.3 s: ")
        here.driver.unwanted("3", "b")
        redis.start()
        here.wait_until_it_hears()
        assert_it_works(redis, here)


def test_nothing_is_kept_for_a_redis_that_is_away(redis: Redis) -> None:
    with Driving(redis.url) as here:
        here.want("a")
        redis.stop()
        here.wait_until_it_is_deaf()
        for channels in (("a",), ("a", "b")):
            publishing = here.driver.publish("3", Event("e", channels, "1"))
            assert publishing.called
            error = failure_of(lambda publishing=publishing: publishing)
            assert isinstance(error, DriverError) and str(error).startswith("Redis is away: ")
        redis.start()
        here.wait_until_it_hears()
        assert_it_works(redis, here)


def test_more_than_may_wait_for_answers_fails_at_once(redis: Redis) -> None:
    with Driving(redis.url, reply_seconds=30, canary_seconds=30) as here:
        redis.pause()
        event = Event("e", ("a",), "x" * 1_000_000)
        taken: list[object] = []
        refused: list[Any] = []
        for _ in range(100):
            here.driver.publish("3", event).addCallbacks(taken.append, refused.append)
        assert not taken
        assert 30 < len(refused) < 40
        assert str(refused[0].value) == "Redis does not keep up: too much waits for its answers"
        redis.resume()
        run_until(lambda: len(taken) + len(refused) == 100, "all answers")


# ---- the way is cut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ("up", "down"))
def test_the_way_may_be_cut_anywhere(monkeypatch: pytest.MonkeyPatch, direction: str) -> None:
    monkeypatch.setattr(link, "LONGEST_DELAY", 0.002)
    monkeypatch.setattr(link, "WATCH", 0.01)
    with Redis("user ann on >secret ~* &* +@all") as redis:
        # Each connection is cut a little later than the one before, until all of a start has passed.
        most = 2 * 200
        stride = 2 if direction == "up" else 1

        def allowed(number: int) -> int:
            return number // 2 * stride if number < most else NEVER

        with (
            Cutter(redis.path, **{f"bytes_{direction}": allowed}) as cutter,
            Driving(f"redis://ann:secret@127.0.0.1:{cutter.port}/1", wait=False) as here,
        ):
            waiting = here.driver.wanted("3", "a")
            run_until(lambda: cutter.whole == 2, "all cuts", 30)
            here.wait_until_it_hears()
            run_until(lambda: waiting.called, "the subscription")
            assert_it_works(redis, here)


def test_a_way_that_falls_silent_is_given_up(redis: Redis) -> None:
    with Cutter(redis.path) as cutter, Driving(cutter.url) as here:
        here.want("a")
        cutter.silent = True
        here.wait_until_it_is_deaf()
        reason = here.driver.faults()[0]
        cutter.silent = False
        here.wait_until_it_hears()
        assert_it_works(redis, here)
        assert "within" in reason


@pytest.mark.parametrize("answer", (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"+OK\r\n" * 100, b"*-5\r\n", b"\0" * 9))
def test_what_answers_may_be_something_else(answer: bytes) -> None:
    class Other(Protocol):
        def connectionMade(self) -> None:
            self.transport.write(answer)

    other = reactor.listenTCP(0, Factory.forProtocol(Other), interface="127.0.0.1")
    port = other.getHost().port
    with Driving(f"redis://127.0.0.1:{port}", wait=False) as here:
        here.wait_until_it_is_deaf()
        run_until(lambda: here.lines, "a line")
        stopped: list[object] = []
        other.stopListening().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of the other server")
        with Redis(port=port) as redis:
            here.wait_until_it_hears()
            here.want("a")
            assert_it_works(redis, here)


# ---- it is the wrong one --------------------------------------------------------------------------------------


def test_a_wrong_password_is_said_without_it_and_tried_again() -> None:
    with Redis(password="right") as redis:
        with Driving(redis.url.replace("//", "//:wrong-secret@"), wait=False) as here:
            here.wait_until_it_is_deaf()
            run_until(lambda: here.lines, "a line")
            assert "WRONGPASS" in here.lines[0]
            assert "wrong-secret" not in " ".join(here.lines)
            redis.command("CONFIG", "SET", "requirepass", "wrong-secret")
            here.wait_until_it_hears()
        redis.command("CONFIG", "SET", "requirepass", "right")


def test_a_redis_that_became_a_replica_is_left_and_found_again(redis: Redis) -> None:
    with Redis() as master, Driving(redis.url) as here:
        here.want("a")
        redis.command("REPLICAOF", "127.0.0.1", master.port)
        error = failure_of(
            lambda: here.driver.commands.script(Script("return redis.call('set', KEYS[1], '1')"), ("k",), ())
        )
        assert "READONLY" in str(error)
        here.wait_until_it_is_deaf()
        redis.command("REPLICAOF", "NO", "ONE")
        here.wait_until_it_hears()
        assert_it_works(redis, here)


def test_scripts_that_are_flushed_are_sent_again(redis: Redis) -> None:
    with Driving(redis.url) as here:
        for channel in ("a", "b"):
            here.want(channel)
        for _ in range(3):
            here.publish(("a", "b"))
            assert len(here.wait_for(2)) == 2
            redis.command("SCRIPT", "FLUSH")


@implementer(IHostnameResolver, IHostResolution)
class Resolver:
    """A DNS that knows one address, until it hangs."""

    name = "redis.test"

    def __init__(self) -> None:
        self.asked = 0
        self.hangs = False

    def resolveHostName(self, receiver: Any, host: str, portNumber: int = 0, *_: object, **__: object) -> Resolver:
        self.asked += 1
        receiver.resolutionBegan(self)
        if not self.hangs:
            receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
            receiver.resolutionComplete()
        return self

    def cancel(self) -> None:
        pass


def test_a_dns_that_hangs_holds_nothing_up_for_ever(redis: Redis) -> None:
    resolver, before = Resolver(), reactor.nameResolver
    reactor.installNameResolver(resolver)
    try:
        with Driving(f"redis://redis.test:{redis.port}") as here:
            here.want("a")
            resolver.hangs = True
            redis.stop()
            here.wait_until_it_is_deaf()
            run_until(lambda: resolver.asked > 4 and "no answer within" in here.driver.faults()[0], "attempts")
            redis.start()
            resolver.hangs = False
            here.wait_until_it_hears()
            assert_it_works(redis, here)
    finally:
        reactor.installNameResolver(before)


# ---- Sentinel -------------------------------------------------------------------------------------------------


def test_a_fail_over_by_sentinel_is_followed() -> None:
    with (
        Redis(password="secret") as first,
        Redis(f"replicaof 127.0.0.1 {first.port}", password="secret") as second,
        Sentinel(first, password="watch") as sentinel,
    ):
        run_until(lambda: b"slave0:" in first.command("INFO", "replication"), "the replica")
        run_until(lambda: b"slaves=1" in sentinel.command("INFO", "sentinel"), "its discovery", 30)
        nobody = free_port()
        url = f"redis+sentinel://:secret@127.0.0.1:{nobody},127.0.0.1:{sentinel.port}/mymaster/0"
        with Driving(url, sentinel_password="watch", connect_seconds=1) as here:
            here.want("a")
            assert_it_works(first, here)
            first.kill()
            here.wait_until_it_is_deaf()
            run_until(lambda: here.hears, "the fail-over", 30)
            assert_it_works(second, here)


def test_a_master_that_is_none_any_more_is_left_though_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "DOUBT", 0.1)
    with (
        Redis() as first,
        Redis() as second,
        Sentinel(first) as sentinel,
        Driving(f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster") as here,
    ):
        here.want("a")
        assert_it_works(first, here)
        sentinel.command("SENTINEL", "REMOVE", "mymaster")
        sentinel.command("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", second.port, 1)
        here.wait_until_it_is_deaf()
        run_until(lambda: len(second.clients()) == 2, "the change to the other")
        here.wait_until_it_hears()
        assert_it_works(second, here)
        assert f"deaf to Redis: 127.0.0.1:{second.port} is the master now" in here.lines
