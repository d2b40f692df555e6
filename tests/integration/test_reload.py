"""A running server reads its configuration again; and its log may be on a disk that is full."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.processes import CONFIG, PATIENCE, TWISTD, Server, clean_environment, free_port, get, until

pytestmark = pytest.mark.real

OTHER = '\n[[apps]]\nid = "other"\nkey = "other-key"\nsecret = "other-secret"\n'


def rewrite(server: Server, text: str) -> None:
    (server.directory / "broadcaster.toml").write_text(text)


def other_url(server: Server) -> str:
    return server.websocket_url.replace("app-key", "other-key")


# ---- reading the configuration again ----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["SIGHUP", "the control socket"])
def test_a_reload_adds_and_removes_apps_and_nobody_else_notices(by: str) -> None:
    def reload(text: str) -> None:
        rewrite(server, text)
        before = server.log().count("read again")
        if by == "SIGHUP":
            server.send(signal.SIGHUP)
        else:
            answer = server.control("reload")
            assert (answer["ok"], answer["unchanged"]) == (True, [])
        until(lambda: server.log().count("read again") > before, "the reload")

    with Server() as server, connect(server.websocket_url) as stays:
        stays.recv(PATIENCE)
        reload(CONFIG + OTHER)
        with connect(other_url(server)) as goes:
            assert "connection_established" in str(goes.recv(PATIENCE))
            reload(CONFIG)
            with suppress(ConnectionClosed):
                goes.recv(PATIENCE)
            assert goes.close_code == 4001
        stays.send('{"event":"pusher:ping","data":{}}')
        assert "pusher:pong" in str(stays.recv(PATIENCE))


@pytest.mark.parametrize("wrong", ["[server\n", "[server]\nlisten_on = 1\n" + CONFIG, "", CONFIG + CONFIG])
def test_a_file_that_is_wrong_changes_nothing_and_is_told_in_one_line(wrong: str) -> None:
    with Server() as server, connect(server.websocket_url) as client:
        client.recv(PATIENCE)
        rewrite(server, wrong)
        server.send(signal.SIGHUP)
        until(lambda: "not read again: broadcaster.toml" in server.log(), "the line about it")
        answer = server.control("reload")
        assert answer["ok"] is False
        assert re.fullmatch(r"broadcaster\.toml: .+", answer["error"])
        client.send('{"event":"pusher:ping","data":{}}')
        assert "pusher:pong" in str(client.recv(PATIENCE))
        assert len([line for line in server.output().splitlines() if "not read again" in line]) == 2


def test_what_needs_a_restart_is_named_and_stays() -> None:
    with Server(CONFIG, BROADCASTER_LOG_LEVEL="info") as server:
        rewrite(server, CONFIG.replace("[server]", '[server]\ncontrol = "other.sock"'))
        assert server.control("reload")["unchanged"] == ["server.control"]
        assert "server.control: needs a restart" in server.output()
        assert server.control("status")["pid"] == server.pid


def test_level_and_format_of_the_log_change() -> None:
    with Server() as server:
        rewrite(server, CONFIG + '[log]\nformat = "json"\n')
        server.control("reload")
        server.control("reload")
        assert "read again" in json.loads(server.output().splitlines()[-1])["message"]
        rewrite(server, CONFIG + '[log]\nlevel = "error"\n')
        server.control("reload")
        before = server.output()
        server.control("reload")
        assert server.output() == before


def test_who_ends_reads_nothing_again() -> None:
    with Server(CONFIG.replace("[server]", "[server]\nstop_seconds = 600")) as server:
        server.control("stop")
        assert "successor" in server.control("reload")["error"]
        server.send(signal.SIGINT)
        assert server.wait() == 0


# ---- the log ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["standard output", "--logfile"])
def test_a_full_disk_costs_lines_of_the_log_and_no_connection(tmp_path: Path, where: str) -> None:
    (tmp_path / "broadcaster.toml").write_text(CONFIG + '[log]\nlevel = "debug"\n')
    port = free_port()
    options = ["--logfile", "/dev/full"] if where == "--logfile" else []
    command = [TWISTD, "-n", "--pidfile=", *options, "broadcaster", "--listen", f"tcp:{port}:interface=127.0.0.1"]
    with open("/dev/full", "w") as full, (tmp_path / "errors").open("w") as errors:
        server = subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=full, stderr=errors)
    with server:
        try:
            until(lambda: _answers(port), "the server's start")
            with connect(f"ws://127.0.0.1:{port}/app/app-key?protocol=7") as client:
                client.recv(PATIENCE)
                server.send_signal(signal.SIGHUP)
                client.send('{"event":"pusher:ping","data":{}}')
                assert "pusher:pong" in str(client.recv(PATIENCE))
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE) == 0
        finally:
            server.kill()
    (line,) = (tmp_path / "errors").read_text().splitlines()
    assert line.startswith("broadcaster: ")
    assert "the log cannot be written (No space left on device)" in line


def test_a_log_that_cannot_be_opened_is_one_line_and_status_1(tmp_path: Path) -> None:
    (tmp_path / "broadcaster.toml").write_text(CONFIG)
    command = [TWISTD, "-n", "--pidfile=", "--logfile", "/dev/null/log", "broadcaster", "--listen", "tcp:0"]
    ended = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("broadcaster: /dev/null/log: ")
    assert not (tmp_path / "broadcaster.sock").exists()


def _answers(port: int) -> bool:
    with suppress(OSError):
        return get(f"http://127.0.0.1:{port}/ready")[0] == 200
    return False
