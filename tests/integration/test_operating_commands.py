"""`broadcaster start`, `stop`, `restart`, `status`, as people type them and as deployment scripts run them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import BROADCASTER, PATIENCE, broadcaster, clean_environment, free_port, get, until

pytestmark = pytest.mark.real

APP = '[[apps]]\nid = "1001"\nkey = "app-key"\nsecret = "app-secret"\n'


class Site:
    """A directory with a configuration, and whatever servers run in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._stack = ExitStack()
        (directory / "broadcaster.toml").write_text(
            f'[server]\nlisten = ["tcp:{self.port}:interface=127.0.0.1"]\ndrain_seconds = 1\nstop_seconds = 1\n{APP}'
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return broadcaster(arguments, self.directory, **environment)

    def done(self, *arguments: str) -> str:
        """What a command said that had nothing to complain of."""
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    def refused(self, status: int, *arguments: str) -> str:
        """The one line of a command that failed."""
        ended = self.run(*arguments)
        assert (ended.returncode, ended.stdout) == (status, ""), ended
        return one_line(ended.stderr)

    def launch(self, *arguments: str) -> subprocess.Popen[str]:
        """A command that goes on; it is ended with the test."""
        process = self._stack.enter_context(
            subprocess.Popen(
                [BROADCASTER, *arguments],
                cwd=self.directory,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        self._stack.callback(process.kill)
        return process

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A server, once it is the one that serves."""
        process = self.launch("start", *arguments)
        self.until_serving(process.pid)
        return process

    def until_serving(self, pid: int) -> None:
        until(lambda: self.status().get("pid") == pid and self.status().get("ready") is True, f"the start of {pid}")

    def status(self) -> dict[str, object]:
        told: dict[str, object] = json.loads(self.run("status", "--json").stdout or "{}")
        return told

    def script(self, text: str) -> None:
        """Run a shell script to its end; what it leaves in the background runs on."""
        script = text.replace("broadcaster ", f"{BROADCASTER} ")
        subprocess.run(
            ["sh", "-e", "-c", script], cwd=self.directory, env=clean_environment(), timeout=PATIENCE, check=True
        )

    def end(self) -> None:
        """Stop whatever runs."""
        with suppress(KeyError):
            while (pid := self.status()["pid"]) is not None:
                assert isinstance(pid, int)
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
        self._stack.close()


def one_line(errors: str) -> str:
    assert errors.startswith("broadcaster: ") and errors.count("\n") == 1, errors
    return errors.removeprefix("broadcaster: ").rstrip("\n")


def outcome(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and standard error of what ends by itself."""
    _, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, errors


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    try:
        yield site
    finally:
        site.end()


@contextmanager
def occupied(port: int) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", port)):
        yield


# ---- one server -----------------------------------------------------------------------------------------------


def test_a_server_is_started_asked_and_stopped(site: Site) -> None:
    server = site.start()
    told = dict(line.split("\t") for line in site.done("status").splitlines())
    assert told["pid"] == str(server.pid)
    assert told["listening"] == f"127.0.0.1:{site.port}"
    assert (told["ready"], told["driver"]) == ("yes", "memory")
    assert get(f"http://127.0.0.1:{site.port}/up")[0] == 200
    assert site.done("stop") == "stopped\n"
    assert outcome(server) == (0, "")
    assert sorted(os.listdir(site.directory)) == ["broadcaster.sock.lock", "broadcaster.toml"]


def test_where_none_runs_status_says_so_and_stop_is_content(site: Site) -> None:
    assert "no server runs here" in site.refused(1, "status")
    ended = site.run("status", "--json")
    assert (ended.returncode, json.loads(ended.stdout)) == (1, {"running": False})
    assert "no server runs here" in site.done("stop")
    assert "no server runs here" in site.refused(1, "reload")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_0_by_signals_too(site: Site, number: int) -> None:
    server = site.start()
    server.send_signal(number)
    assert outcome(server) == (0, "")


def test_laravel_echo_servers_own_options(site: Site, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    port = free_port()
    echo = {"port": port, "host": "127.0.0.1", "clients": [{"appId": "a", "key": "k"}], "subscribers": {"redis": False}}
    (elsewhere / "laravel-echo-server.json").write_text(json.dumps(echo))
    (elsewhere / "other.json").write_text(json.dumps(echo))
    for where in (
        [f"--dir={elsewhere}"],
        [f"--dir={elsewhere}", "--config=other.json"],
        ["--config=elsewhere/other.json"],
    ):
        server = site.launch("start", *where, "--dev")
        until(lambda: answers(port), "the start")
        assert site.done("stop", *where) == "stopped\n"
        output, _ = server.communicate(timeout=PATIENCE)
        assert server.returncode == 0
        assert "laravel-echo-server.json" in output or "other.json" in output
        assert f"127.0.0.1:{port}" in output or "interface=127.0.0.1" in output


def answers(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/up")[0] == 200
    except OSError:
        return False


def test_it_listens_where_the_command_line_says(site: Site) -> None:
    port = free_port()
    site.start("--listen", f"tcp:{port}:interface=127.0.0.1")
    assert answers(port) and not answers(site.port)
    assert site.done("publish", "news", "e") == "", "the running server is asked where it listens"


# ---- a start beside another -----------------------------------------------------------------------------------


def test_e177_of_two_starts_at_once_one_serves_and_one_says_that_it_does_not(site: Site) -> None:
    both = [site.launch("start"), site.launch("start")]
    until(lambda: any(process.poll() is not None for process in both), "the end of one")
    (loser,) = (process for process in both if process.poll() is not None)
    (winner,) = (process for process in both if process is not loser)
    status, errors = outcome(loser)
    assert status == 1
    assert "--force" in one_line(errors)
    site.until_serving(winner.pid)


@pytest.mark.parametrize("command", [["start", "--force"], ["restart"]])
def test_by_force_or_restart_it_takes_over_from_the_one_that_runs(site: Site, command: list[str]) -> None:
    old = site.start()
    new = site.launch(*command)
    site.until_serving(new.pid)
    assert outcome(old) == (0, "")
    assert answers(site.port)


def test_without_one_that_runs_restart_is_start(site: Site) -> None:
    site.until_serving(site.launch("restart").pid)


@pytest.mark.parametrize(
    "script",
    (
        "broadcaster stop > /dev/null 2>&1 &\nbroadcaster start > /dev/null 2>&1 &",
        "broadcaster start > /dev/null 2>&1 &\nbroadcaster stop > /dev/null 2>&1 &",
        "broadcaster stop > /dev/null 2>&1\nbroadcaster start > /dev/null 2>&1 &",
    ),
)
def test_a_deployment_script_leaves_the_new_server(site: Site, script: str) -> None:
    for _ in range(2):
        before = site.status().get("pid")
        site.script(script)
        until(lambda: site.status().get("pid") not in (None, before), "the succession")  # noqa: B023


def test_e177_neither_pid_files_nor_a_kill_nor_a_foreign_socket_file_hinder_a_start(site: Site) -> None:
    for name, content in (
        ("twistd.pid", "1"),
        ("laravel-echo-server.lock", '{"process": 1}'),
        ("broadcaster.pid", "x\0"),
    ):
        (site.directory / name).write_text(content)
    server = site.start()
    server.kill()
    server.wait()
    site.start()


# ---- what goes wrong ------------------------------------------------------------------------------------------


def test_a_taken_port_is_one_line_and_status_1(site: Site) -> None:
    with occupied(site.port):
        line = site.refused(1, "start")
    assert str(site.port) in line and "server.listen" in line


def test_a_wrong_configuration_is_one_line_and_status_2(site: Site) -> None:
    (site.directory / "broadcaster.toml").write_text("[servr]\n")
    for command in ("start", "stop", "status", "reload", "restart"):
        assert "broadcaster.toml: servr" in site.refused(2, command)


def test_a_control_socket_that_cannot_be_made_is_one_line(site: Site) -> None:
    config = site.directory / "broadcaster.toml"
    config.write_text(config.read_text().replace("[server]\n", '[server]\ncontrol = "/proc/broadcaster.sock"\n'))
    line = site.refused(1, "start")
    assert "server.control" in line and "/proc/broadcaster.sock" in line


def test_something_else_in_the_place_of_the_control_socket_is_one_line(site: Site) -> None:
    (site.directory / "broadcaster.sock").write_text("mine")
    assert "broadcaster.sock" in site.refused(1, "start")
    assert "broadcaster.sock" in site.refused(1, "stop")
    assert (site.directory / "broadcaster.sock").read_text() == "mine"


def test_a_program_that_answers_nonsense_there_is_told_as_such(site: Site) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(site.directory / "broadcaster.sock"))
        other.listen()
        asking = site.launch("status")
        link, _ = other.accept()
        with link:
            link.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            status, errors = outcome(asking)
    assert status == 1
    assert "another program" in one_line(errors)


def test_what_only_asks_starts_fast() -> None:
    """Nothing that takes long to import is imported for a question."""
    code = "import broadcaster.cli.running, broadcaster.cli.controlling, sys; print(*sys.modules)"
    command = [str(Path(BROADCASTER).with_name("python")), "-c", code]
    said = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True).stdout
    slow = {"twisted.internet", "autobahn", "rich", "tomlkit", "OpenSSL", "cryptography", "asyncio"}
    assert not slow & set(said.split())
