"""`twistd broadcaster` as its users and their scripts meet it: options, refusals, exit statuses, what it says."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.processes import CONFIG, PATIENCE, Server, free_port, get, twistd, until

pytestmark = pytest.mark.real

FOREGROUND = ["-n", "--pidfile="]
DAEMONISED = ["--pidfile=daemon.pid", "--logfile=daemon.log"]

APP = '[[apps]]\nid = "a"\nkey = "k"\nsecret = "s3cr3t"\n'
NO_SECRET = '[[apps]]\nid = "a"\nkey = "k"\n'

BAD_CONFIGURATIONS = {
    "unknown key": ("[server]\nlisten_on = 1\n" + APP, r"server\.listen_on.*listen\b"),
    "unknown section": ("[servers]\n" + APP, r"servers.*server\b"),
    "wrong type": ("[server]\ndrain_seconds = 'soon'\n" + APP, r"server\.drain_seconds"),
    "missing secret": (NO_SECRET, r"apps.*secret"),
    "duplicate app": (APP + APP, r"apps.*\ba\b|apps.*\bid\b"),
    "unknown driver": ("[driver]\nname = 'mermory'\n" + APP, r"driver\.name.*mermory.*memory"),
    "no TOML": ("[server\n", r"line 1"),
    "bad endpoint": ("[server]\nlisten = ['tpc:6001']\n" + APP, r"server\.listen.*tpc"),
}


def said_in_one_line(errors: str) -> str:
    """The single line on standard error, which is no traceback."""
    assert errors.endswith("\n"), errors
    assert len(errors.splitlines()) == 1, errors
    assert "Traceback" not in errors
    return errors


@pytest.fixture(params=[FOREGROUND, DAEMONISED], ids=["foreground", "daemonised"])
def mode(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@pytest.mark.parametrize("fault", BAD_CONFIGURATIONS)
def test_a_bad_configuration_gets_one_line_and_status_2(tmp_path: Path, mode: list[str], fault: str) -> None:
    text, told = BAD_CONFIGURATIONS[fault]
    (tmp_path / "broadcaster.toml").write_text(text)
    ended = twistd([*mode, "broadcaster"], tmp_path)
    line = said_in_one_line(ended.stderr)
    assert ended.returncode == 2
    assert "broadcaster.toml" in line
    assert re.search(told, line)
    assert "s3cr3t" not in ended.stdout + ended.stderr
    assert not (tmp_path / "daemon.pid").exists()


def test_an_unreadable_file_gets_one_line_and_status_2(tmp_path: Path, mode: list[str]) -> None:
    for path in (tmp_path / "absent.toml", tmp_path):
        ended = twistd([*mode, "broadcaster", "--config", str(path)], tmp_path)
        assert ended.returncode == 2
        assert str(path) in said_in_one_line(ended.stderr)


def test_a_bad_variable_gets_one_line_that_names_it_and_status_2(tmp_path: Path, mode: list[str]) -> None:
    ended = twistd([*mode, "broadcaster"], tmp_path, BROADCASTER_SERVER_DRAIN_SECONDS="soon")
    assert ended.returncode == 2
    assert "BROADCASTER_SERVER_DRAIN_SECONDS" in said_in_one_line(ended.stderr)


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["superfluous"], ["--listen", "tpc:1"]])
def test_a_wrong_command_line_gets_one_line_and_status_2(tmp_path: Path, arguments: list[str]) -> None:
    ended = twistd([*FOREGROUND, "broadcaster", *arguments], tmp_path)
    assert ended.returncode == 2
    assert arguments[-1].lstrip("-") in said_in_one_line(ended.stderr)


def test_a_taken_port_gets_one_line_that_names_it_and_status_1(tmp_path: Path, mode: list[str]) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as other:
        port = other.getsockname()[1]
        ended = twistd([*mode, "broadcaster", "--listen", f"tcp:{port}:interface=127.0.0.1"], tmp_path)
    assert ended.returncode == 1
    assert str(port) in said_in_one_line(ended.stderr)
    assert not (tmp_path / "daemon.pid").exists()


def test_with_nothing_to_read_the_embedded_default_runs_and_says_so_once() -> None:
    with Server(None) as server:
        lines = [line for line in server.output().splitlines() if "embedded default" in line]
        assert len(lines) == 1
        assert get(f"{server.url}/apps/app-id/channels")[0] == 401
        assert get(f"{server.url}/demo/")[0] == 200


def test_a_configuration_is_found_in_dir(tmp_path: Path) -> None:
    (tmp_path / "broadcaster.toml").write_text(CONFIG.replace("1001", "2002"))
    with Server(None, "--dir", str(tmp_path)) as server:
        assert get(f"{server.url}/apps/2002/channels")[0] == 401
        assert get(f"{server.url}/apps/1001/channels")[0] == 404


def test_config_wins_over_what_lies_in_the_directory(tmp_path: Path) -> None:
    named = tmp_path / "named.toml"
    named.write_text(CONFIG.replace("1001", "2002"))
    with Server(CONFIG, "--config", str(named)) as server:
        assert get(f"{server.url}/apps/2002/channels")[0] == 401
        assert get(f"{server.url}/apps/1001/channels")[0] == 404


def test_the_environment_wins_over_the_file() -> None:
    with Server(CONFIG, BROADCASTER_LOG_FORMAT="json") as server:
        assert json.loads(server.output().splitlines()[0])


def test_it_listens_on_each_endpoint_it_is_given() -> None:
    other = free_port()
    with Server(CONFIG, "--listen", f"tcp:{other}:interface=127.0.0.1") as server:
        assert get(f"{server.url}/up")[0] == get(f"http://127.0.0.1:{other}/up")[0] == 200


def test_it_listens_where_the_file_says(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "broadcaster.toml").write_text(f'[server]\nlisten = ["tcp:{port}:interface=127.0.0.1"]\n' + APP)
    with daemon(tmp_path):
        until(lambda: answers(port), "the daemon's start")


def test_daemonised_it_serves_in_the_background_until_sigterm(tmp_path: Path) -> None:
    port = free_port()
    with daemon(tmp_path, "--listen", f"tcp:{port}:interface=127.0.0.1") as process:
        until(lambda: answers(port), "the daemon's start")
        signal.pidfd_send_signal(process, signal.SIGTERM)
        assert select.select([process], [], [], PATIENCE)[0], "the daemon did not end"
    log = (tmp_path / "daemon.log").read_text()
    assert "embedded default" in log
    assert "Traceback" not in log
    assert not (tmp_path / "daemon.pid").exists()


def test_a_text_log_says_where_it_listens_and_never_a_secret() -> None:
    with Server(CONFIG) as server:
        assert str(server.port) in server.output()
    with Server(CONFIG + '[log]\nlevel = "debug"\n') as server:
        assert "app-secret" not in server.log()


def test_each_line_of_a_json_log_is_an_object() -> None:
    with Server(CONFIG + '[log]\nformat = "json"\n') as server:
        assert get(f"{server.url}/apps/1001/channels")[0] == 401
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        lines = [json.loads(line) for line in server.output().splitlines()]
        assert len(lines) > 1
        assert all(isinstance(line, dict) for line in lines)
        assert any(str(server.port) in str(line) for line in lines)


def test_the_pages_that_operators_ask_for(server: Server) -> None:
    status, answer = get(server.url)
    assert (status, answer.strip()) == (200, "OK")
    status, page = get(server.url, {"Accept": "text/html"})
    assert status == 200
    assert "<html" in page.lower()
    assert get(f"{server.url}/up")[0] == get(f"{server.url}/ready")[0] == 200
    status, metrics = get(f"{server.url}/metrics")
    assert status == 200
    assert re.search(r"^broadcaster_\w+(\{.*\})? \d", metrics, re.MULTILINE)


def answers(port: int) -> bool:
    try:
        return get(f"http://127.0.0.1:{port}/ready")[0] == 200
    except OSError:
        return False


@contextmanager
def daemon(directory: Path, *options: str) -> Iterator[int]:
    """A daemonised server as a file descriptor that stands for its process; it is gone afterwards."""
    started = twistd([*DAEMONISED, "broadcaster", *options], directory)
    assert started.returncode == 0, started.stderr
    until((directory / "daemon.pid").exists, "the pid file")
    process = os.pidfd_open(int((directory / "daemon.pid").read_text()))
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(process, signal.SIGKILL)
        os.close(process)
