"""Several real servers on one real Redis are one server, and Laravel's broadcasts reach clients of either dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import socketio

from tests.driving import laravel
from tests.integration.wire import Peer, auth, command, frame, request
from tests.processes import CONFIG, KEY, PATIENCE, Server, get, twistd, until
from tests.redis import Redis

pytestmark = pytest.mark.real

PREFIX = "laravel_database_"


def configured(redis: Redis, **options: Any) -> str:
    """The test configuration on this Redis, with Laravel's usual prefix."""
    written = {"url": redis.url, "prefix": PREFIX, "canary_seconds": 0.5, "wait_seconds": 3, **options}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in written.items())
    return f'{CONFIG}\n[driver]\nname = "redis"\n\n[driver.redis]\n{lines}\n'


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture(scope="module")
def servers(redis: Redis) -> Iterator[list[Server]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Server(configured(redis))) for _ in range(3)]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Echo:
    """A Socket.IO client that speaks laravel-echo's dialect; ``heard`` is what it hears, (event, channel, data)."""

    def __init__(self, server: Server) -> None:
        self._client = socketio.Client(reconnection=False)
        self._client.on("*", lambda *heard: self.heard.put(heard))
        self.heard: Queue[tuple[Any, ...]] = Queue()
        self._client.connect(server.url, transports=["websocket"])
        self.socket_id = str(self._client.get_sid())

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()

    def subscribe(self, redis: Redis, channel: str) -> None:
        """Nothing is answered: it is heard as soon as it is heard."""
        self._client.emit("subscribe", {"channel": channel, "auth": {}})

        def hears() -> bool:
            redis.publish(f"{PREFIX}{channel}", laravel("probe"))
            return not self.heard.empty()

        until(hears, "the subscription")
        redis.publish(f"{PREFIX}{channel}", laravel("last probe"))
        while self.next()[0] != "last probe":
            pass

    def next(self) -> tuple[Any, ...]:
        return self.heard.get(timeout=PATIENCE)[:3]


def pusher(stack: ExitStack, server: Server, *channels: str) -> Peer:
    peer = stack.enter_context(Peer(server)).open()
    for channel in channels:
        signature = auth(peer.socket_id, channel) if channel.startswith("private-") else None
        peer.send(command("pusher:subscribe", channel=channel, auth=signature))
        assert peer.event()["event"] == "pusher_internal:subscription_succeeded"
    return peer


def status_of_publishing(server: Server, channel: str, data: str = "1") -> tuple[int, str]:
    """What the HTTP API answers: the status, and all of the head."""
    body = json.dumps({"name": "e", "channel": channel, "data": data}).encode()
    with Peer(server) as peer:
        peer.send(request("POST", "/events", body))
        head = peer.head().decode()
    return int(head.split()[1]), head.lower()


# ---- Laravel --------------------------------------------------------------------------------------------------


def test_e142_and_e143_laravels_broadcasts_reach_both_dialects_but_not_their_sender(
    redis: Redis, servers: list[Server], stack: ExitStack
) -> None:
    echo = stack.enter_context(Echo(servers[2]))
    echo.subscribe(redis, "o1")
    page, other = pusher(stack, servers[0], "o1"), pusher(stack, servers[1], "o1")
    for data, text in (('"s"', '"s"'), ("1", "1"), ("[1]", "[1]"), ('{"a":1.0}', '{"a":1.0}')):
        redis.publish(f"{PREFIX}o1", f'{{"event":"App\\\\Events\\\\E","data":{data},"socket":null}}')
        for peer in (page, other):
            assert peer.event() == {"event": "App\\Events\\E", "channel": "o1", "data": text}
        assert echo.next() == ("App\\Events\\E", "o1", json.loads(data))
    redis.publish(f"{PREFIX}o1", '{"event":"E","socket":null}')
    assert page.event() == other.event() == {"event": "E", "channel": "o1", "data": "null"}
    assert echo.next() == ("E", "o1", None)
    for sender in (page.socket_id, echo.socket_id, "1.1"):
        redis.publish(f"{PREFIX}o1", laravel("E", sender, sender))
    redis.publish(f"{PREFIX}o1", laravel("E", "last"))
    every = [json.dumps(sender) for sender in (page.socket_id, echo.socket_id, "1.1", "last")]
    assert [page.event()["data"] for _ in range(3)] == every[1:]
    assert [other.event()["data"] for _ in range(4)] == every
    assert [json.dumps(echo.next()[2]) for _ in range(3)] == [every[0], *every[2:]]


def test_e144_junk_kills_nobody(redis: Redis, servers: list[Server], stack: ExitStack) -> None:
    page = pusher(stack, servers[0], "junk")
    for junk in ("null", "[1]", "{}", "not JSON", '{"event":null}', b"\xff"):
        assert redis.publish(f"{PREFIX}junk", junk) == 1
    redis.publish(f"{PREFIX}junk", laravel("E"))
    assert page.event()["event"] == "E"
    assert 'broadcaster_redis_junk_total{kind="laravel"} 6.0' in get(f"{servers[0].url}/metrics")[1]


def test_e145_the_prefix_is_cut_and_others_are_not_heard(redis: Redis, servers: list[Server], stack: ExitStack) -> None:
    page = pusher(stack, servers[0], "orders")
    assert redis.publish("orders", laravel("bare")) == 0
    assert redis.publish("other_database_orders", laravel("other")) == 0
    assert redis.publish(f"{PREFIX}orders", laravel("ours")) == 1
    assert page.event() == {"event": "ours", "channel": "orders", "data": "1"}


def test_e146_data_keeps_its_bytes(redis: Redis, servers: list[Server], stack: ExitStack) -> None:
    page = pusher(stack, servers[0], "bytes")
    for data in ("1e2", "1.0", "12345678901234567890", '{"a":1,"a":2}', r'"\u00e9"'):
        redis.publish(f"{PREFIX}bytes", f'{{"event":"E","data":{data}}}')
        assert page.event()["data"] == data


# ---- one server -----------------------------------------------------------------------------------------------


def test_what_is_published_at_one_is_heard_at_all(servers: list[Server], stack: ExitStack) -> None:
    peers = [pusher(stack, server, "all", "private-all") for server in servers]
    assert status_of_publishing(servers[1], "all")[0] == 200
    for peer in peers:
        assert peer.event() == {"event": "e", "channel": "all", "data": "1"}
    whisper = {"event": "client-e", "channel": "private-all", "data": {"x": 1}}
    peers[0].send(frame(json.dumps(whisper).encode()))
    for peer in peers[1:]:
        assert peer.event() == {"event": "client-e", "channel": "private-all", "data": '{"x":1}'}
    status_of_publishing(servers[2], "private-all", "last")
    assert [peer.event()["data"] for peer in peers] == ["last"] * 3


def test_everybody_hears_a_channel_in_the_same_order(servers: list[Server], stack: ExitStack) -> None:
    peers = [pusher(stack, server, "order") for server in servers]
    publishers = [stack.enter_context(Peer(server)) for server in servers]
    count = 60
    for number in range(count):
        for name, publisher in enumerate(publishers):
            body = json.dumps({"name": "e", "channel": "order", "data": f"{name}:{number}"}).encode()
            publisher.send(request("POST", "/events", body))
    heard = [[peer.event()["data"] for _ in range(3 * count)] for peer in peers]
    assert heard[0] == heard[1] == heard[2]
    for name in range(3):
        assert [data for data in heard[0] if data.startswith(f"{name}:")] == [f"{name}:{each}" for each in range(count)]


# ---- Redis goes away ------------------------------------------------------------------------------------------


class Started(Server):
    """One that counts as started when it lives, ready or not."""

    def _ready(self) -> bool:
        try:
            return get(f"{self.url}/up")[0] == 200
        except OSError:
            return False


def test_while_redis_is_away_clients_stay_and_publishers_are_told(stack: ExitStack) -> None:
    redis = stack.enter_context(Redis())
    servers = [stack.enter_context(Server(configured(redis))) for _ in range(2)]
    peers = [pusher(stack, server, "a", "private-a") for server in servers]
    redis.kill()
    for server in servers:
        until(lambda server=server: get(f"{server.url}/ready")[0] == 503, "noticing")
        assert get(f"{server.url}/ready")[1].startswith("Not ready: deaf to Redis: ")
        status, head = status_of_publishing(server, "a")
        assert status == 503 and "retry-after: 1\r\n" in head
    peers[0].send(frame(json.dumps({"event": "client-e", "channel": "private-a", "data": 1}).encode()))
    assert peers[0].event()["data"]["code"] == 4301
    peers[1].send(command("pusher:subscribe", channel="b"))
    peers[1].send(command("pusher:ping"))
    assert peers[1].event()["event"] == "pusher:pong"
    redis.start()
    assert peers[1].event() == {"event": "pusher_internal:subscription_succeeded", "channel": "b", "data": "{}"}
    for server in servers:
        until(lambda server=server: get(f"{server.url}/ready")[0] == 200, "readiness")
    assert status_of_publishing(servers[0], "a", "back")[0] == 200
    assert [peer.event()["data"] for peer in peers] == ["back"] * 2
    for server in servers:
        log = server.log()
        assert log.count("deaf to Redis: ") == log.count("hears Redis again after ") == 1


def test_a_server_starts_while_redis_is_away_and_is_ready_when_it_is_there(stack: ExitStack) -> None:
    redis = stack.enter_context(Redis())
    redis.stop()
    server = stack.enter_context(Started(configured(redis, wait_seconds=0.2)))
    assert get(f"{server.url}/ready")[0] == 503
    peer = stack.enter_context(Peer(server)).open()
    peer.send(command("pusher:subscribe", channel="a"))
    refused = peer.event()
    assert refused["event"] == "pusher:subscription_error"
    assert json.loads(refused["data"])["status"] == 503
    assert peer.event()["event"] == "pusher:error"
    redis.start()
    until(lambda: get(f"{server.url}/ready")[0] == 200, "readiness")
    peer.subscribe("a")
    redis.publish(f"{PREFIX}a", laravel("E"))
    assert peer.event()["event"] == "E"


@pytest.mark.parametrize(
    ("options", "line"),
    (
        ({"url": "redis://ann:hush-hush@"}, "driver.redis.url: names no host; write one of redis://host:6379/0, "),
        ({"canary_second": 1}, "driver.redis.canary_second: unknown key; did you mean driver.redis.canary_seconds?"),
        ({"url": "http://ann:hush-hush@host"}, "driver.redis.url: is no URL of Redis; write one of "),
    ),
)
def test_wrong_options_are_one_line_without_a_secret(options: dict[str, Any], line: str, tmp_path: Path) -> None:
    written = "\n".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    config = f'{CONFIG}\n[driver]\nname = "redis"\n\n[driver.redis]\n{written}\n'
    (tmp_path / "broadcaster.toml").write_text(config)
    done = twistd(["-n", "--pidfile=", "broadcaster"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"broadcaster: broadcaster.toml: {line}")
    assert done.stderr.count("\n") == 1 and "hush-hush" not in done.stderr + done.stdout


def test_the_password_may_come_from_the_environment(stack: ExitStack) -> None:
    redis = stack.enter_context(Redis(password="hush-hush"))
    server = stack.enter_context(Server(configured(redis), BROADCASTER_DRIVER_REDIS_PASSWORD="hush-hush"))
    pusher(stack, server, "a")
    assert "hush-hush" not in server.log()
    assert KEY not in server.log()
