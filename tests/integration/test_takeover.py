"""Deployment: a new server takes the listening sockets over, and whatever dies meanwhile, nobody finds no listener."""

from __future__ import annotations

import hmac
import json
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pusher
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.processes import APP_ID, CONFIG, KEY, PATIENCE, SECRET, Server, free_port, get, until
from tests.sockets import certificate, trusting

pytestmark = pytest.mark.real

SLOWLY = CONFIG.replace("drain_seconds = 1", "drain_seconds = 600\nstop_seconds = 600")


class Storm:
    """Connects and asks, again and again, as long as the ``with`` block runs; a refused connection is remembered."""

    def __init__(self, address: tuple[str, int] | str, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.connects = 0
        self.faults: list[Exception] = []
        self._address = address
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self) -> Storm:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self.once()
            except Exception as fault:
                self.faults.append(fault)

    def once(self) -> None:
        with socket.socket(socket.AF_UNIX if isinstance(self._address, str) else socket.AF_INET) as link:
            link.settimeout(PATIENCE)
            link.connect(self._address)
            if self._context is None:
                self._ask(link)
            else:
                with self._context.wrap_socket(link) as secured:
                    self._ask(secured)

    def _ask(self, link: socket.socket) -> None:
        answer = b""
        link.sendall(b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while heard := link.recv(4096):
            answer += heard
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        self.connects += 1


@contextmanager
def clients(server: Server, count: int = 10) -> Iterator[list[ClientConnection]]:
    """So many of them, greeted."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connect(server.websocket_url, open_timeout=PATIENCE)) for _ in range(count)]
        for client in opened:
            client.recv(PATIENCE)
        yield opened


def closed_with(client: ClientConnection, patience: float = PATIENCE) -> int | None:
    with suppress(ConnectionClosed):
        while True:
            client.recv(patience)
    return client.close_code


def serves(server: Server) -> Callable[[], bool]:
    """Whether this very server is the one that answers at the control socket."""

    def asked() -> bool:
        with suppress(OSError, ValueError):
            return bool(server.control("status")["pid"] == server.pid)
        return False

    return asked


def refused(server: Server) -> str:
    """The one line of a server that did not start, with status 1."""
    assert server.wait() == 1
    (line,) = server.errors().splitlines()
    assert line.startswith("broadcaster: ")
    return line


def take(server: Server, **more: object) -> socket.socket:
    """Ask for the sockets as a successor does, and be sent them."""
    link = server.controlling()
    link.sendall(json.dumps({"do": "takeover", **more}).encode() + b"\n")
    answer, descriptors, _, _ = socket.recv_fds(link, 65_536, 100)
    while b"\n" not in answer:
        heard, more_of_them, _, _ = socket.recv_fds(link, 65_536, 100)
        answer, descriptors = answer + heard, descriptors + more_of_them
    assert len(descriptors) == len(json.loads(answer)["listeners"]) + 2
    for descriptor in descriptors:
        os.close(descriptor)
    return link


# ---- stop and start -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["stop first", "start first"])
def test_a_stop_and_a_start_leave_the_new_server_and_no_moment_without_a_listener(order: str) -> None:
    with Server(CONFIG.replace("[server]\n", "[server]\nstop_seconds = 20\n")) as old, Storm(old.address) as storm:
        new = old.beside("--sole")
        until(lambda: storm.connects > 200, "the storm")
        if order == "stop first":
            assert old.control("stop")["stopping"]
            new.launch()
        else:
            new.launch()
            old.control("stop")
        with new:
            assert old.wait() == 0
            until(serves(new), "the succession")
            before = storm.connects
            until(lambda: storm.connects > before + 1000, "more of the storm")
            storm.__exit__()
            assert storm.faults == []


def test_clients_are_sent_to_the_successor_and_find_it_at_once() -> None:
    with Server() as old, clients(old) as connected:
        old.control("stop")
        with old.beside("--sole") as new:
            assert [closed_with(client) for client in connected] == [4200] * len(connected)
            with clients(new):
                assert new.control("status")["connections"] == 10
            assert old.wait() == 0


def test_a_server_that_is_stopped_lets_its_clients_go_slowly_once_it_has_a_successor() -> None:
    """Else a stop of two seconds sends all of them to the new server within two seconds."""
    slowly = CONFIG.replace("drain_seconds = 1", "drain_seconds = 600\nstop_seconds = 5")
    with Server(slowly) as old, clients(old, 50) as connected:
        old.control("stop")
        with old.beside("--sole") as new:
            until(lambda: "has taken over" in old.log(), "the succession")
            with pytest.raises(TimeoutError):
                closed_with(connected[0], 5)
                closed_with(connected[1], 5)
            assert new.control("status")["pid"] == new.pid
            old.send(signal.SIGTERM)
            assert old.wait() == 0


def test_without_a_successor_a_stop_takes_its_seconds_and_leaves_nothing_behind() -> None:
    with Server(CONFIG.replace("drain_seconds = 1", "drain_seconds = 600\nstop_seconds = 0.5")) as server:
        with clients(server) as connected:
            assert server.control("stop") == {"ok": True, "pid": server.pid, "stopping": True}
            assert [closed_with(client) for client in connected] == [4200] * len(connected)
            assert server.wait() == 0
        assert not (server.directory / "broadcaster.sock").exists()


def test_who_waits_for_the_stop_sees_its_end() -> None:
    with Server(CONFIG.replace("[server]\n", "[server]\nstop_seconds = 0.2\n")) as server, server.controlling() as link:
        link.sendall(b'{"do": "stop"}\n')
        said = b""
        while heard := link.recv(4096):
            said += heard
        assert [json.loads(line)["ok"] for line in said.splitlines()] == [True, True]
        assert server.wait() == 0


def test_a_stop_leaves_a_server_alone_that_was_started_later_than_itself() -> None:
    with Server() as server:
        assert server.control("stop", started=0.0) == {"ok": True, "pid": server.pid, "stopping": False}
        assert server.control("status")["draining"] is False
        assert server.control("stop", started=1e9)["stopping"] is True
        assert server.wait() == 0


def test_until_they_have_moved_clients_hear_what_is_published_to_either_server() -> None:
    """The driver memory reaches one process only; a deployment must not make anybody miss an event."""
    with Server(SLOWLY) as old, ExitStack() as stack:
        connected = [stack.enter_context(subscribed(old)) for _ in range(8)]
        old.control("stop")
        with old.beside("--sole") as new, subscribed(new) as came:
            until(lambda: "has taken over" in old.log(), "the succession")
            # Of eight in ten minutes the first goes at once, and another one when there is a successor.
            stays = next(client for client in connected if not is_closed(client))
            sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=False, host="127.0.0.1", port=new.port)
            for number in range(10):
                sdk.trigger("private-room", "news", number)
            sdk._pusher_client.http.session.close()
            for client in (stays, came):
                assert [json.loads(client.recv(PATIENCE))["data"] for _ in range(10)] == [str(n) for n in range(10)]
            for one, other, said in ((stays, came, "there"), (came, stays, "back")):
                one.send(json.dumps({"event": "client-said", "channel": "private-room", "data": said}))
                heard = json.loads(other.recv(PATIENCE))
                assert heard == {"event": "client-said", "channel": "private-room", "data": said}
            old.send(signal.SIGINT)
            assert old.wait() == 0
            came.send('{"event":"pusher:ping","data":{}}')
            assert "pusher:pong" in str(came.recv(PATIENCE))


def is_closed(client: ClientConnection) -> bool:
    try:
        client.recv(0.5)
    except TimeoutError:
        return False
    except ConnectionClosed:
        return True
    raise AssertionError("nothing was published")


@contextmanager
def subscribed(server: Server) -> Iterator[ClientConnection]:
    """A client that hears private-room."""
    with connect(server.websocket_url, open_timeout=PATIENCE) as client:
        socket_id = json.loads(json.loads(client.recv(PATIENCE))["data"])["socket_id"]
        signature = hmac.new(SECRET.encode(), f"{socket_id}:private-room".encode(), "sha256").hexdigest()
        asked = {"channel": "private-room", "auth": f"{KEY}:{signature}"}
        client.send(json.dumps({"event": "pusher:subscribe", "data": asked}))
        assert "subscription_succeeded" in str(client.recv(PATIENCE))
        yield client


# ---- without a stop -------------------------------------------------------------------------------------------


def test_by_force_it_takes_over_from_one_that_runs() -> None:
    with (
        Server() as old,
        clients(old) as connected,
        Storm(old.address) as storm,
        old.beside("--sole", "--force") as new,
    ):
        until(serves(new), "the succession")
        assert [closed_with(client) for client in connected] == [4200] * len(connected)
        assert old.wait() == 0
        storm.__exit__()
        assert storm.faults == []


def test_a_start_beside_a_server_that_runs_says_so_in_one_line() -> None:
    with Server() as server:
        other = server.beside("--sole")
        other.launch()
        assert str(server.pid) in refused(other)
        assert server.control("status")["draining"] is False


def test_a_server_on_another_port_of_the_same_directory_runs_without_a_control_socket() -> None:
    with Server() as server, server.beside(port=free_port()) as other:
        (line,) = [line for line in other.output().splitlines() if "without a control socket" in line]
        assert str(server.pid) in line
        assert get(f"{other.url}/ready")[0] == get(f"{server.url}/ready")[0] == 200
        assert server.control("status")["pid"] == server.pid


# ---- two at once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draining", [False, True], ids=["from nothing", "from one that drains"])
def test_of_two_starts_exactly_one_wins(draining: bool) -> None:
    with Server(SLOWLY) as old, clients(old, 1):
        if draining:
            old.control("stop")
        else:
            old.kill()
        one, other = old.beside("--sole"), old.beside("--sole")
        one.launch()
        other.launch()
        loser, winner = (one, other)
        until(lambda: one._process.poll() is not None or other._process.poll() is not None, "the end of one")
        if other._process.poll() is not None:
            loser, winner = (other, one)
        assert str(winner.pid) in refused(loser)
        assert winner.control("status")["pid"] == winner.pid
        assert get(f"{winner.url}/ready")[0] == 200
        winner.send(signal.SIGINT)
        assert winner.wait() == 0
        if draining:
            old.send(signal.SIGINT)


# ---- whoever dies ---------------------------------------------------------------------------------------------


def test_after_a_kill_the_next_start_is_not_hindered() -> None:
    with Server() as server:
        for _ in range(2):
            server.kill()
            assert (server.directory / "broadcaster.sock").exists()
            server.start()
        assert server.control("status")["pid"] == server.pid


def test_a_successor_that_dies_before_it_serves_changes_nothing() -> None:
    with Server(SLOWLY) as old, clients(old, 1), Storm(old.address) as storm:
        with take(old, force=True):
            assert old.control("takeover", force=True)["state"] == "busy"
        until(lambda: old.control("status")["draining"] is False, "being as before")
        old.control("stop")
        with take(old):
            pass
        assert old.control("status")["draining"] is True
        with old.beside("--sole") as new:
            until(serves(new), "the succession")
            storm.__exit__()
            assert storm.faults == []
        old.send(signal.SIGINT)


@pytest.mark.parametrize("dies", ["the old one", "the new one"])
def test_a_kill_after_the_succession_hinders_nobody(dies: str) -> None:
    with Server(SLOWLY) as old, clients(old, 1):
        old.control("stop")
        with old.beside("--sole") as new:
            until(serves(new), "the succession")
            (old if dies == "the old one" else new).kill()
            if dies == "the old one":
                assert new.control("status")["pid"] == new.pid
                assert get(f"{new.url}/ready")[0] == 200
                new.kill()
            with old.beside("--sole") as third:
                assert third.control("status")["pid"] == third.pid
        old.send(signal.SIGINT)


def test_a_server_that_hangs_is_told_as_such_and_once_it_is_killed_hinders_nobody() -> None:
    with Server() as old:
        old.send(signal.SIGSTOP)
        new = old.beside("--sole")
        new.launch()
        assert "does not answer" in refused(new)
        old.kill()
        with old.beside("--sole") as third:
            assert third.control("status")["pid"] == third.pid


def test_what_was_handed_over_stays_though_the_old_one_ends_before_the_new_one_serves() -> None:
    with Server(SLOWLY) as old, old.controlling() as link:
        link.sendall(b'{"do": "takeover", "force": true}\n')
        answer, descriptors, _, _ = socket.recv_fds(link, 1, 100)
        while b"\n" not in answer:
            heard, more, _, _ = socket.recv_fds(link, 65_536, 100)
            answer, descriptors = answer + heard, descriptors + more
        old.send(signal.SIGINT)
        assert old.wait() == 0
        _, control, listening = descriptors
        assert (old.directory / "broadcaster.sock").exists()
        with socket.create_connection(("127.0.0.1", old.port)), socket.socket(fileno=listening) as port:
            port.settimeout(PATIENCE)
            port.accept()[0].close()
        os.close(control)
        os.close(descriptors[0])


# ---- what is listened on --------------------------------------------------------------------------------------


def test_what_the_new_configuration_has_no_more_is_closed_and_what_it_has_new_is_bound(tmp_path: Path) -> None:
    kept, gone, new_port = free_port(), free_port(), free_port()
    path = str(tmp_path / "http.sock")
    options = ["--listen", f"unix:{path}", "--listen", f"tcp:{kept}:interface=127.0.0.1"]
    with Server(CONFIG, *options, "--listen", f"tcp:{gone}:interface=127.0.0.1") as old:
        with (
            clients(old, 1),
            Storm(path) as storm,
            Storm(("127.0.0.1", kept)) as other,
            old.beside("--sole", "--force", *options, "--listen", f"tcp:{new_port}:interface=127.0.0.1") as new,
        ):
            until(serves(new), "the succession")
            assert get(f"http://127.0.0.1:{new_port}/ready")[0] == 200
            assert old.wait() == 0
            with pytest.raises(OSError):
                socket.create_connection(("127.0.0.1", gone)).close()
            storm.once()
            storm.__exit__()
            other.__exit__()
            assert storm.faults == other.faults == []
        assert not Path(path).exists()


def test_behind_tls_nobody_finds_no_listener_either(tmp_path: Path) -> None:
    port = free_port()
    listen = ("--listen", f"tls:{port}:interface=127.0.0.1")
    with (
        Server(secured(tmp_path), *listen) as old,
        Storm(("127.0.0.1", port), trusting()) as storm,
        old.beside("--sole", "--force", *listen) as new,
    ):
        until(serves(new), "the succession")
        assert old.wait() == 0
        before = storm.connects
        until(lambda: storm.connects > before + 50, "more of the storm")
        storm.__exit__()
        assert storm.faults == []


def test_a_port_that_was_plain_may_be_tls_from_now_on(tmp_path: Path) -> None:
    port = free_port()
    with Server(secured(tmp_path), "--listen", f"tcp:{port}:interface=127.0.0.1") as old, clients(old, 1):
        listen = ("--listen", f"tls:{port}:interface=127.0.0.1")
        with old.beside("--sole", "--force", *listen) as new, Storm(("127.0.0.1", port), trusting()) as storm:
            assert old.wait() == 0
            storm.once()
            assert new.control("status")["pid"] == new.pid


def secured(folder: Path) -> str:
    (folder / "server.pem").write_bytes(certificate())
    return CONFIG + f'[tls]\ncertificate = "{folder}/server.pem"\n'


def test_a_successor_that_cannot_listen_on_all_it_shall_leaves_the_old_one_as_it_is() -> None:
    with Server(SLOWLY) as old, clients(old, 1), socket.create_server(("127.0.0.1", free_port())) as taken:
        new = old.beside("--sole", "--force", "--listen", f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1")
        new.launch()
        assert str(taken.getsockname()[1]) in refused(new)
        status = old.control("status")
        assert (status["draining"], status["connections"]) == (False, 1)
        assert get(f"{old.url}/ready")[0] == 200


def test_an_address_that_overlaps_with_an_old_one_is_changed_in_place() -> None:
    port = free_port()
    with (
        Server(CONFIG, "--listen", f"tcp:{port}:interface=127.0.0.1") as old,
        clients(old, 1),
        old.beside("--sole", "--force", "--listen", f"tcp:{port}:interface=0.0.0.0") as new,
    ):
        until(serves(new), "the succession")
        assert f"0.0.0.0:{port}" in new.control("status")["listening"]
        assert get(f"http://127.0.0.1:{port}/ready")[0] == 200
        assert old.wait() == 0


def test_the_status_says_what_an_operator_asks_first() -> None:
    with Server() as server, clients(server, 2):
        status = server.control("status")
        assert status["listening"] == [f"127.0.0.1:{server.port}"]
        assert (status["source"], status["driver"], status["version"]) == ("broadcaster.toml", "memory", "0.1.0")
        assert (status["ready"], status["reasons"], status["connections"]) == (True, [], 2)
        assert (status["channels"], status["draining"], KEY in json.dumps(status)) == (0, False, False)
        assert 0 < status["uptime"] < PATIENCE
