"""`broadcaster publish`, `listen` and `channels` act on a running server, by whatever address it listens on."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import BROADCASTER, CONFIG, PATIENCE, Server, broadcaster, clean_environment, free_port

pytestmark = pytest.mark.real


@contextmanager
def listening(server: Server, *arguments: str, channels: int = 1) -> Iterator[subprocess.Popen[str]]:
    """`broadcaster listen`, once it has said that it listens."""
    with subprocess.Popen(
        [BROADCASTER, "listen", *arguments],
        cwd=server.directory,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            for _ in range(channels):
                assert "listening on" in process.stderr.readline()
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=PATIENCE)
    return process.returncode, output, errors


def act(server: Server, *arguments: str) -> str:
    """What a command printed that had nothing to complain of."""
    done = broadcaster(arguments, server.directory)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refused(server: Server, status: int, *arguments: str) -> str:
    done = broadcaster(arguments, server.directory)
    assert (done.returncode, done.stdout) == (status, ""), done
    assert done.stderr.startswith("broadcaster: ") and done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize("channel", ["commands", "private-commands", "presence-commands"])
def test_what_is_published_is_heard(server: Server, channel: str) -> None:
    with listening(server, "--url", server.url, "--count", "2", channel) as process:
        act(server, "publish", "--url", server.url, channel, "greeting", '{"text": "héllo"}')
        act(server, "publish", "--url", server.url, channel, "farewell", "two\nlines \x1b[31m")
        assert ended(process) == (
            0,
            f'{channel}\tgreeting\t{{"text": "héllo"}}\n{channel}\tfarewell\ttwo\\nlines \\x1b[31m\n',
            "",
        )


def test_each_event_is_an_object_where_a_script_wants_it(server: Server) -> None:
    with listening(server, "--url", server.url, "--json", "--count", "1", "json-1", "json-2", channels=2) as process:
        act(server, "publish", "--url", server.url, "json-2", "e")
        assert json.loads(line_of(process)) == {"event": "e", "channel": "json-2", "data": "{}"}


def test_occupied_channels_are_listed(server: Server) -> None:
    with listening(server, "--url", server.url, "listed-1", "presence-listed", channels=2):
        said = act(server, "channels", "--url", server.url).splitlines()
        assert {"listed-1\t1\t", "presence-listed\t1\t1"} <= set(said)
        only = json.loads(act(server, "channels", "--url", server.url, "--prefix", "listed-", "--json"))
        assert only == {"channels": {"listed-1": {"subscription_count": 1}}}


def test_data_can_come_from_standard_input(server: Server) -> None:
    with listening(server, "--url", server.url, "--count", "1", "piped") as process:
        command = [BROADCASTER, "publish", "--url", server.url, "piped", "e", "-"]
        subprocess.run(command, cwd=server.directory, input="from a pipe", text=True, check=True, timeout=PATIENCE)
        assert line_of(process) == "piped\te\tfrom a pipe\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_listening_and_is_no_failure(server: Server, number: int) -> None:
    with listening(server, "--url", server.url, "interrupted") as process:
        process.send_signal(number)
        assert ended(process) == (0, "", "")


def test_who_no_longer_reads_is_no_failure(server: Server) -> None:
    with listening(server, "--url", server.url, "unread") as process:
        assert process.stdout is not None
        process.stdout.close()
        act(server, "publish", "--url", server.url, "unread", "e")
        assert process.wait(PATIENCE) == 0


def test_it_listens_on_when_the_server_was_restarted() -> None:
    with Server() as server, listening(server, "--url", server.url, "--count", "1", "kept") as process:
        server.send(signal.SIGTERM)
        assert server.wait() == 0
        server.start()
        assert process.stderr is not None and "listening on kept" in process.stderr.readline()
        act(server, "publish", "--url", server.url, "kept", "e")
        assert ended(process) == (0, "kept\te\t{}\n", "")


@pytest.mark.parametrize("endpoint", ["unix:server.sock", "tcp:{port}:interface=127.0.0.1", "haproxy:unix:server.sock"])
def test_the_server_of_a_configuration_is_found_by_where_it_listens(endpoint: str) -> None:
    listen = endpoint.format(port=free_port())
    tls_only = CONFIG.replace("[server]\n", f'[server]\nlisten = ["{listen}"]\n') + "tls_only = true\n"
    with Server(tls_only, "--listen", listen) as server, listening(server, "--count", "1", "found") as process:
        act(server, "publish", "found", "e")
        assert line_of(process) == "found\te\t{}\n"


def test_a_client_of_laravel_echo_server_publishes_with_its_key(tmp_path: Path) -> None:
    port = free_port()
    echo = {"port": port, "host": "127.0.0.1", "clients": [{"appId": "a", "key": "k"}], "subscribers": {"redis": False}}
    (tmp_path / "laravel-echo-server.json").write_text(json.dumps(echo))
    with Server(None, "--dir", str(tmp_path)) as server:
        where = ("--url", server.url, "--dir", str(tmp_path))
        with listening(server, *where, "echo") as process:
            act(server, "publish", *where, "echo", "e", '{"a": 1}')
            assert line_of(process) == 'echo\te\t{"a":1}\n'
            assert act(server, "channels", *where) == "echo\t1\t\n"
        assert "PUSHER_APP_SECRET" in refused(server, 1, "listen", *where, "private-echo")


def test_what_cannot_be_done_is_one_line(server: Server) -> None:
    url = ("--url", server.url)
    assert "--url" in refused(server, 1, "publish", "--url", f"http://127.0.0.1:{free_port()}", "a", "b")
    assert "400" in refused(server, 1, "publish", *url, "no good name", "b")
    assert "'other'" in refused(server, 2, "publish", *url, "--app", "other", "a", "b")
    assert "'gopher:x'" in refused(server, 2, "channels", "--url", "gopher:x")
    assert "no good name" in refused(server, 1, "listen", *url, "no good name")
    wrong = CONFIG.replace("app-secret", "another-secret")
    (server.directory / "wrong.toml").write_text(wrong)
    assert "401" in refused(server, 1, "channels", *url, "--config", "wrong.toml")
    assert "private-x" in refused(server, 1, "listen", *url, "--config", "wrong.toml", "private-x")
    (server.directory / "wrong.toml").write_text(CONFIG.replace("app-key", "another-key"))
    assert "does not exist" in refused(server, 1, "listen", *url, "--config", "wrong.toml", "x")
    secure = server.url.replace("http", "https")
    assert "no server answers" in refused(server, 1, "channels", "--url", secure)
