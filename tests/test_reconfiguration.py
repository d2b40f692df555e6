"""A configuration that is read again: who is there stays, and all that can change has changed; or nothing has."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from msgspec.structs import replace
from twisted.logger import capturedLogs

from broadcaster.errors import ConfigError
from broadcaster.reconfiguration import settled
from broadcaster.settings import Auth, Driver, Limits, Log, Metrics, Server, Settings, SlowClient, SocketIO
from tests.conformance.polling import Poller
from tests.inprocess import APP, Client, InProcess, app_with

OTHER = app_with(id="4", key="other-key", secrets=("other-secret",))


def reload(running: InProcess, *apps: Any, **changes: Any) -> list[str]:
    """Have ``running`` take on its settings with ``changes``; what needs a restart."""
    if apps:
        changes["apps"] = apps
    return running.service.reload(replace(running.service.settings, **changes))


def subscribe(client: Client, channel: str, secret: str, key: str = APP.key) -> dict[str, Any]:
    """Subscribe, signed with ``secret``; the answer."""
    signature = hmac.new(secret.encode(), f"{client.name()}:{channel}".encode(), hashlib.sha256).hexdigest()
    client.say("pusher:subscribe", {"channel": channel, "auth": f"{key}:{signature}"})
    return client.events()[0]


@pytest.fixture
def serve() -> Any:
    servers: list[InProcess] = []

    def start(*apps: Any, **settings: Any) -> InProcess:
        servers.append(InProcess(*apps, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


# ---- apps -----------------------------------------------------------------------------------------------------


def test_p282_clients_of_an_app_that_is_removed_are_closed_with_4001_and_no_others(serve: Any) -> None:
    server = serve(APP, OTHER)
    stays, goes = server.joined("a"), server.joined("a", key=OTHER.key)
    reload(server, APP)
    assert goes.events() == []
    assert (goes.close_code, goes.close_reason) == (4001, "Application does not exist")
    server.publish("a")
    assert [event["event"] for event in stays.events()] == ["e"]
    assert stays.close_code is None
    refused = server.open(key=OTHER.key)
    refused.events()
    assert refused.close_code == 4001


def test_p282_so_are_its_pollers_and_told_not_to_come_back(serve: Any) -> None:
    server = serve(APP, OTHER)
    joined, waits = Poller(server, 3, f"&app={OTHER.key}"), Poller(server, 4, f"&app={OTHER.key}")
    stays = Poller(server, 3)
    polls = [poller.get() for poller in (joined, waits)]
    reload(server, APP)
    server.turn()
    assert polls[0].text == "2:411:1"
    assert polls[1].text == "41\x1e1" or polls[1].text == "1"
    stays.say("2")


def test_an_app_that_is_disabled_closes_its_clients_with_4003(serve: Any) -> None:
    server = serve()
    client = server.joined("a")
    reload(server, app_with(enabled=False))
    client.events()
    assert client.close_code == 4003


def test_an_app_that_is_added_is_served(serve: Any) -> None:
    server = serve()
    reload(server, APP, OTHER)
    client = server.joined("a", key=OTHER.key)
    assert server.call("POST", "/events", {"name": "e", "channels": ["a"], "data": "1"}, app=OTHER).status == 200
    assert [event["event"] for event in client.events()] == ["e"]
    assert Poller(server, 3, f"&app={OTHER.key}").open_packet["sid"]


def test_while_a_secret_changes_both_count_also_for_who_is_connected_already(serve: Any) -> None:
    server = serve()
    old = APP.secrets[0]
    client = server.open()
    client.name()
    reload(server, app_with(secrets=("new-secret", old)))
    for number, secret in enumerate(("new-secret", old)):
        answer = subscribe(client, f"private-{number}", secret)
        assert answer["event"] == "pusher_internal:subscription_succeeded"
    reload(server, app_with(secrets=("new-secret",)))
    assert subscribe(client, "private-3", old)["event"] == "pusher:subscription_error"
    assert server.call("GET", "/channels", app=APP).status == 401
    assert server.call("GET", "/channels", app=app_with(secrets=("new-secret",))).status == 200


def test_the_switches_of_an_app_count_for_who_is_connected_already(serve: Any) -> None:
    server = serve()
    one, other = server.joined("private-a"), server.joined("private-a")
    reload(server, app_with(client_events=False, subscription_count=True))
    one.say("client-x", "1", channel="private-a")
    assert other.events() == []
    third = server.joined("private-a")
    third.drop()
    assert "pusher_internal:subscription_count" in [event["event"] for event in one.events()]


def test_who_is_asked_about_channels_changes_for_who_is_connected_already(serve: Any) -> None:
    server = serve()
    client = Poller(server, 3)
    reload(server, app_with(auth=Auth(host=("http://127.0.0.1:8001",))))
    client.say('42["subscribe",{"channel":"private-a"}]')
    server.turn()
    assert [(host, port) for host, port, *_ in server.reactor.tcpClients] == [("127.0.0.1", 8001)]
    server.advance(11)


# ---- everything else ------------------------------------------------------------------------------------------


def test_limits_count_for_who_is_connected_already(serve: Any) -> None:
    server = serve()
    client = server.joined("a")
    reload(server, limits=Limits(channel_name_length=5, event_bytes=20, handshake_bytes=600))
    client.subscribe("too-long")
    assert client.events()[0]["event"] == "pusher:subscription_error"
    assert server.publish("a", data="x" * 21).status == 413
    assert server.http("GET", "/", headers={"X-Long": "x" * 700}).status == 431


def test_origins_and_trusted_proxies_count_for_newcomers(serve: Any) -> None:
    server = serve()
    forwarded = {"X-Forwarded-For": "198.51.100.1"}
    reload(server, server=Server(origins=("https://a.test",), trusted_proxies=("192.0.2.7",)))
    stranger = server.open(headers={"Origin": "https://b.test", **forwarded})
    stranger.events()
    assert stranger.close_code == 4009
    friend = server.open(headers={"Origin": "https://a.test", **forwarded})
    friend.name()
    assert server.service.hub.connections()[0]._transport.peer == "198.51.100.1"


def test_what_slow_clients_may_hold_and_what_is_kept_for_late_ones(serve: Any) -> None:
    server = serve(app_with(cache_seconds=0))
    reload(server, app_with(cache_seconds=60), slow_client=SlowClient(buffer_bytes=5))
    server.publish("cache-a", data="kept")
    client = server.open()
    client.name()
    client.subscribe("cache-a")
    assert [json.loads(json.dumps(event["data"])) for event in client.events()][1] == "kept"
    assert server.doors.turns.slow_client.buffer_bytes == 5


def test_pages_appear_and_go(serve: Any) -> None:
    server = serve(demo=True)
    reload(server, demo=False, metrics=Metrics(enabled=False), socketio=SocketIO(path="/elsewhere"))
    assert server.http("GET", "/demo/").status == server.http("GET", "/metrics").status == 404
    assert server.http("GET", "/elsewhere/?EIO=3&transport=polling").status == 200
    assert server.http("GET", "/socket.io/?EIO=3&transport=polling").status == 404


def test_how_long_a_drain_takes(serve: Any) -> None:
    server = serve(server=Server(drain_seconds=600))
    client = server.joined("a")
    reload(server, server=Server(drain_seconds=1))
    server.service.drain()
    server.advance(2)
    client.events()
    assert client.close_code == 4200


# ---- nothing --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    (
        {"apps": (OTHER, app_with(id="5", key=OTHER.key))},
        {"apps": (OTHER,), "server": Server(trusted_proxies=("nonsense",))},
    ),
)
def test_of_a_configuration_that_is_wrong_nothing_is_taken(serve: Any, wrong: dict[str, Any]) -> None:
    server = serve()
    client, before = server.joined("a"), server.service.settings
    with pytest.raises(ConfigError):
        reload(server, **wrong, limits=Limits(event_bytes=1))
    assert server.service.settings is before
    assert server.publish("a").status == 200
    assert [event["event"] for event in client.events()] == ["e"]
    assert server.open(key=OTHER.key).events()[0]["data"]["code"] == 4001


def test_what_needs_a_restart_is_named_in_one_line_and_left(serve: Any) -> None:
    server = serve()
    with capturedLogs() as events:
        names = reload(
            server,
            app_with(client_events=False),
            server=Server(listen=("tcp:7001",), control="elsewhere.sock"),
            metrics=Metrics(listen="tcp:9601"),
            driver=Driver(name="redis"),
        )
    assert names == ["server.listen", "server.control", "metrics.listen", "driver"]
    told = [event["log_format"].format(**event) for event in events]
    assert told == [
        "defaults: server.listen, server.control, metrics.listen, driver: needs a restart",
        "defaults: read again",
    ]
    assert server.service.settings.server.listen == ("tcp:6001",)
    assert server.service.settings.driver.name == "memory"
    assert not server.service.settings.apps[0].client_events


def test_what_is_as_it_was_needs_no_restart() -> None:
    running = Settings(apps=(APP,))
    wanted = Settings(apps=(APP, OTHER), log=Log(level="debug"))
    assert settled(running, wanted) == (wanted, [])
