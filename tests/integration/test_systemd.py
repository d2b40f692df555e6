"""Under systemd: what it is told, the sockets that it listens on for us, and its watchdog."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import CONFIG, PATIENCE, TWISTD, Server, clean_environment, free_port, get, until

pytestmark = pytest.mark.real


class Systemd:
    """Listens where services tell how they are."""

    def __init__(self, directory: Path, abstract: bool = False) -> None:
        self.address = f"@broadcaster-{os.getpid()}-{time.monotonic_ns()}" if abstract else str(directory / "notify")
        self.told: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE)
        self._socket.bind("\0" + self.address[1:] if abstract else self.address)

    def __enter__(self) -> Systemd:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait_for(self, news: str) -> None:
        """Listen until a line is that; what came before it is forgotten."""
        while news not in self.told:
            self.told += self._socket.recv(4096).decode().splitlines()
        self.told = self.told[self.told.index(news) + 1 :]


@contextmanager
def launched(
    directory: Path, *options: str, config: str = CONFIG, bound: socket.socket | None = None, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in ``directory`` that nobody waits for; ``bound`` is passed as systemd passes a socket."""
    (directory / "broadcaster.toml").write_text(config)
    command = [TWISTD, "-n", "--pidfile=", "broadcaster", *options]
    passed = () if bound is None else (bound.fileno(),)
    if bound is not None:
        passing = f'export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=http; exec "$@" 3<&{bound.fileno()}'
        command = ["bash", "-c", passing, "bash", *command]
    with (directory / "log").open("ab") as log:
        server = subprocess.Popen(
            command, cwd=directory, env=clean_environment() | environment, stdout=log, stderr=log, pass_fds=passed
        )
    try:
        yield server
    finally:
        server.kill()
        server.wait()
        assert "Traceback" not in (directory / "log").read_text()


def end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGTERM)
    assert server.wait(PATIENCE) == 0


# ---- what it is told ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True], ids=["a path", "an abstract name"])
def test_it_is_told_when_the_server_is_ready_reads_again_and_stops(tmp_path: Path, abstract: bool) -> None:
    with Systemd(tmp_path, abstract) as systemd, Server(CONFIG, NOTIFY_SOCKET=systemd.address) as server:
        systemd.wait_for("READY=1")
        systemd.wait_for(f"MAINPID={server.pid}")
        systemd.wait_for("STATUS=ready; 0 connections")
        server.send(signal.SIGHUP)
        systemd.wait_for("RELOADING=1")
        systemd.wait_for("READY=1")
        server.send(signal.SIGTERM)
        systemd.wait_for("STOPPING=1")
        assert server.wait() == 0


def test_it_is_told_of_the_successor_by_the_old_server_which_then_is_silent(tmp_path: Path) -> None:
    with Systemd(tmp_path) as systemd, Server(CONFIG, NOTIFY_SOCKET=systemd.address) as old:
        systemd.wait_for("READY=1")
        with old.beside("--sole", "--force") as new:
            systemd.wait_for(f"MAINPID={new.pid}")
            assert old.wait() == 0
            assert "STOPPING=1" not in systemd.told


def test_a_server_whose_driver_is_deaf_is_not_ready(tmp_path: Path) -> None:
    nobody = f'[driver]\nname = "redis"\n[driver.redis]\nurl = "redis://127.0.0.1:{free_port()}/0"\n'
    port = f"tcp:{free_port()}:interface=127.0.0.1"
    with (
        Systemd(tmp_path) as systemd,
        launched(tmp_path, "--listen", port, config=CONFIG + nobody, NOTIFY_SOCKET=systemd.address),
    ):
        for _ in range(2):
            while not any(line.startswith("STATUS=") for line in systemd.told):
                systemd.told += systemd._socket.recv(4096).decode().splitlines()
            assert "READY=1" not in systemd.told
            systemd.told = []


def test_the_watchdog_hears_from_a_server_that_is_well_and_not_from_one_that_hangs(tmp_path: Path) -> None:
    with (
        Systemd(tmp_path) as systemd,
        Server(CONFIG, NOTIFY_SOCKET=systemd.address, WATCHDOG_USEC="400000") as server,
    ):
        for _ in range(3):
            systemd.wait_for("WATCHDOG=1")
        server.send(signal.SIGSTOP)
        systemd._socket.settimeout(0.6)
        with pytest.raises(TimeoutError):
            while True:
                systemd._socket.recv(4096)
        systemd._socket.settimeout(PATIENCE)
        server.send(signal.SIGCONT)
        systemd.wait_for("WATCHDOG=1")


# ---- sockets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("listen", ["systemd:domain=INET:name=http", "tcp:{port}:interface=127.0.0.1"])
def test_with_its_sockets_nothing_is_lost_over_a_restart(tmp_path: Path, listen: str) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as bound:
        port = bound.getsockname()[1]
        options = ["--listen", listen.format(port=port)]
        with launched(tmp_path, *options, bound=bound) as server:
            assert get(f"http://127.0.0.1:{port}/up")[0] == 200
            end(server)
        with socket.create_connection(("127.0.0.1", port)) as early:
            early.settimeout(PATIENCE)
            early.sendall(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
            with launched(tmp_path, *options, bound=bound) as server:
                assert early.recv(4096).startswith(b"HTTP/1.1 200 ")
                end(server)


@pytest.mark.parametrize("listen", ["systemd:domain=UNIX:name=http", "unix:{path}"])
def test_a_unix_socket_of_its_stays_where_it_is(tmp_path: Path, listen: str) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        path.chmod(0o660)
        bound.listen()
        with launched(tmp_path, "--listen", listen.format(path=path), bound=bound) as server:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(PATIENCE)
                link.connect(str(path))
                link.sendall(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
                assert link.recv(4096).startswith(b"HTTP/1.1 200 ")
            end(server)
        assert path.stat().st_mode & 0o777 == 0o660


def test_its_sockets_go_to_a_successor_that_was_started_by_hand(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as bound:
        port = bound.getsockname()[1]
        options = ["--listen", "systemd:domain=INET:name=http"]
        with launched(tmp_path, *options, bound=bound) as old:
            assert get(f"http://127.0.0.1:{port}/up")[0] == 200
            bound.close()
            with launched(tmp_path, "--sole", "--force", *options) as new:
                assert old.wait(PATIENCE) == 0
                assert get(f"http://127.0.0.1:{port}/ready")[0] == 200
                end(new)


def test_a_socket_that_no_listener_is_for_is_named_in_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as bound:
        port = free_port()
        with launched(tmp_path, "--listen", f"tcp:{port}:interface=127.0.0.1", bound=bound) as server:
            until(lambda: answers(port), "the server's start")
            end(server)
        (line,) = [line for line in (tmp_path / "log").read_text().splitlines() if "systemd" in line]
        assert str(bound.getsockname()[1]) in line
        assert "server.listen" in line


def answers(port: int) -> bool:
    with suppress(OSError):
        return get(f"http://127.0.0.1:{port}/ready")[0] == 200
    return False
