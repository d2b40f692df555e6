"""The server as Twisted handles it: bound before it starts, ready when its driver is, unbound when it stops."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs

from broadcaster.auth.endpoint import AuthEndpoint
from broadcaster.errors import ConfigError
from broadcaster.listeners import Unlistenable
from broadcaster.service import BroadcasterService, build
from broadcaster.settings import EMBEDDED, Auth, Metrics, Server, Settings
from tests.inprocess import APP, InProcess, app_with, server_with
from tests.sockets import Peer, run_until
from tests.sockets import reactor as real_reactor


def service(*listen: str, reactor: Any = None, **settings: Any) -> BroadcasterService:
    """One that is built and no more."""
    made = Settings(apps=(APP,), server=Server(listen=listen), source="broadcaster.toml", **settings)
    return build(reactor or MemoryReactorClock(), made)


class Taken(MemoryReactorClock):
    """A reactor on a machine where somebody else has port 6002."""

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        if port == 6002:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))
        return super().listenTCP(port, factory, backlog, interface)


# ---- addresses ------------------------------------------------------------------------------------------------


def test_it_listens_where_it_is_told_with_room_for_a_storm() -> None:
    reactor = MemoryReactorClock()
    bound = service("tcp:6001:interface=127.0.0.1", "tcp:6003:interface=127.0.0.1:backlog=7", reactor=reactor)
    assert reactor.tcpServers == []
    bound.bind()
    assert [(port, backlog, host) for port, _, backlog, host in reactor.tcpServers] == [
        (6001, 4096, "127.0.0.1"),
        (6003, 7, "127.0.0.1"),
    ]
    assert [address.port for address in bound.listeners.addresses] == [6001, 6003]


def test_a_unix_socket_is_as_good(tmp_path: Any) -> None:
    bound = service(f"unix:{tmp_path}/http.sock:mode=640", reactor=real_reactor)
    bound.bind()
    assert stat.filemode((tmp_path / "http.sock").lstat().st_mode) == "srw-r-----"
    with Peer(f"{tmp_path}/http.sock") as peer:
        peer.send(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
        assert peer.read_until(lambda data: data.endswith(b"OK\n"))
    stopped: list[object] = []
    bound.listeners.close().addBoth(stopped.append)
    run_until(lambda: stopped, "the end of listening")
    assert list(tmp_path.iterdir()) == []


def test_metrics_may_have_an_address_of_their_own() -> None:
    reactor = MemoryReactorClock()
    listen = "tcp:9601:interface=127.0.0.1"
    service("tcp:6001:interface=127.0.0.1", reactor=reactor, metrics=Metrics(listen=listen)).bind()
    assert [port for port, *_ in reactor.tcpServers] == [6001, 9601]


@pytest.mark.parametrize(
    ("key", "settings"),
    (
        ("server.listen", {"metrics": Metrics(listen="tcp:9601:interface=127.0.0.1")}),
        ("metrics.listen", {"metrics": Metrics(listen="tcp:6002:interface=127.0.0.1")}),
    ),
)
def test_an_address_that_is_taken_is_one_line_and_nothing_stays_bound(key: str, settings: dict[str, Any]) -> None:
    taken = ("tcp:6002:interface=127.0.0.1",) if key == "server.listen" else ()
    bound = service("tcp:6001:interface=127.0.0.1", *taken, reactor=Taken(), **settings)
    with pytest.raises(Unlistenable) as caught:
        bound.bind()
    assert str(caught.value) == (
        "cannot listen on tcp:6002:interface=127.0.0.1: Address already in use; "
        f"stop the server that has it, or change {key}"
    )
    assert bound.listeners.addresses == []


@pytest.mark.parametrize("wrong", ("tpc:6001", "tcp:", "6001", "", "tcp:port"))
def test_what_is_no_address_is_a_line_about_the_configuration(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        service(wrong).bind()
    line = str(caught.value)
    assert line.startswith(f"broadcaster.toml: server.listen: {wrong!r} is no address to listen on (")
    assert line.endswith('write e.g. "tcp:6001"')


def test_no_two_apps_may_have_one_id_or_key() -> None:
    for other in (app_with(key="other"), app_with(id="other")):
        with pytest.raises(ConfigError, match="is given twice"):
            build(MemoryReactorClock(), Settings(apps=(APP, other), source="broadcaster.toml"))


# ---- starting and stopping ------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[InProcess]:
    server = InProcess(server=server_with(drain_seconds=2))
    yield server
    server.stop()


def test_it_says_in_one_line_what_it_runs_on() -> None:
    with capturedLogs() as events:
        made = build(MemoryReactorClock(), EMBEDDED)
        made.bind()
        made.startService()
        made.stopService()
    told = [event["log_format"].format(**event) for event in events]
    hint = "; app key app-key, demo at http://localhost:6001/demo/"  # the reactor in memory listens anywhere
    assert told == [f"embedded default: driver memory, listening on tcp:6001:interface=127.0.0.1{hint}"]


def test_stopping_lets_go_of_the_addresses() -> None:
    bound = service("tcp:6001:interface=127.0.0.1")
    bound.bind()
    bound.startService()
    stopped: list[object] = []
    bound.stopService().addBoth(stopped.append)
    assert (bound.listeners.addresses, len(stopped)) == ([], 1)


def test_stopping_what_was_never_started_is_no_error() -> None:
    stopped: list[object] = []
    service("tcp:6001:interface=127.0.0.1").stopService().addBoth(stopped.append)
    assert len(stopped) == 1


def test_readiness_names_every_reason(server: InProcess) -> None:
    assert server.service.unready() == []
    server.service.drain()
    assert server.service.unready() == ["shutting down"]
    assert server.http("GET", "/ready").text == "Not ready: shutting down\n"
    unstarted = service("tcp:6001:interface=127.0.0.1")
    assert unstarted.unready() == ["the driver has not started"]


def test_draining_is_done_when_the_last_client_is_gone(server: InProcess) -> None:
    clients = [server.joined("a") for _ in range(4)]
    done: list[object] = []
    server.service.drain().addBoth(done.append)
    server.advance(3)
    for client in clients:
        client.events()
        assert client.close_code == 4200
    assert done == []
    for client in clients:
        client.leave(4200)
    server.advance(0.5)
    assert done == [None]


def test_draining_nobody_is_done_at_once(server: InProcess) -> None:
    done: list[object] = []
    server.service.drain().addBoth(done.append)
    assert done == [None]


def test_deadlines_are_served_once_a_second_until_it_stops() -> None:
    server = InProcess(app_with(activity_timeout=1))
    client = server.joined("a")
    server.advance(12)
    client.events()
    assert client.pings == [b""]
    server.stop()
    assert server.reactor.getDelayedCalls() == []


def test_the_embedded_default_serves_its_app_and_its_pages() -> None:
    server = InProcess(*EMBEDDED.apps, demo=True)
    client = server.joined("a")
    assert server.publish("a").status == 200
    assert [event["data"] for event in client.events()] == ["1"]
    assert server.http("GET", "/demo/").headers["content-type"] == "text/html; charset=utf-8"
    server.stop()


def test_without_a_bound_of_its_own_the_file_limit_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.service.file_limit", lambda: 65)
    server = InProcess()
    server.joined("a")
    refused = server.open()
    refused.events()
    assert refused.close_code == 4100
    server.stop()


def test_files_for_asking_the_application_are_kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.service.file_limit", lambda: 64 + 100 + 2)
    server = InProcess(app_with(auth=Auth(requests=100)))
    assert [_let_in(server) for _ in range(3)] == [True, True, False]
    server.stop()


def test_a_file_limit_below_all_reserves_is_a_bound_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.service.file_limit", lambda: 64)
    server = InProcess(app_with(auth=Auth(requests=100)))
    assert [_let_in(server) for _ in range(2)] == [True, False]
    server.stop()


def _let_in(server: InProcess) -> bool:
    client = server.open()
    client.events()
    return client.close_code is None


def test_stopping_lets_go_of_the_connections_to_the_application(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[AuthEndpoint] = []
    monkeypatch.setattr(AuthEndpoint, "close", lambda endpoint: closed.append(endpoint))
    server = InProcess(app_with(auth=Auth()), app_with(id="4", key="other", auth=Auth()))
    server.stop()
    assert len(closed) == 2


def test_two_servers_in_one_process_know_nothing_of_each_other() -> None:
    first, second = InProcess(), InProcess(app_with(id="4", key="other"))
    first.joined("a")
    assert (first.service.hub.count(), second.service.hub.count()) == (1, 0)
    first.stop()
    second.stop()


def test_a_deadline_that_raises_is_told_and_does_not_end_the_ticks() -> None:
    class Faulty:
        spoke: int | None = None

        def due(self, now: float) -> float | None:
            raise ZeroDivisionError

    server = InProcess()
    server.service._turning.f._wheel.set(Faulty(), server.reactor.seconds() + 1)
    with capturedLogs() as logged:
        server.advance(5)
    assert [event["log_format"] for event in logged if "log_failure" in event] == ["a deadline failed"]
    assert server.service._turning.running
    server.stop()
