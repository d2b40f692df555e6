"""``nginx`` and ``haproxy`` print what fits the configuration in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Shell

APP = '[[apps]]\nid = "shop"\nkey = "public"\nsecret = "s3cr3t"\n'


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    return Shell(capsys)


def test_the_configuration_in_force_decides(shell: Shell) -> None:
    assert "server 127.0.0.1:6001;" in shell("nginx").result()
    Path("broadcaster.toml").write_text(f'[server]\nlisten = ["unix:/run/b.sock"]\n{APP}')
    assert "server unix:/run/b.sock;" in shell("nginx").result()
    assert " unix@/run/b.sock " in shell("haproxy").result()
    assert "s3cr3t" not in shell("nginx").result() + shell("haproxy").result()


@pytest.mark.parametrize("command", ("nginx", "haproxy"))
def test_options_say_what_the_proxy_is_to_clients(shell: Shell, command: str) -> None:
    options = ("--server-name", "ws.test", "--listen", "[::1]:8443", "--certificate", "/c.pem", "--ca", "/ca.pem")
    text = shell(command, *options, "--upstream", "tls:7001:interface=10.0.0.5", "--upstream", "tls:7002").result()
    for word in ("ws.test", "[::1]:8443", "/c.pem", "/ca.pem", "10.0.0.5:7001", "127.0.0.1:7002"):
        assert word in text, word
    assert ("listen 80;" if command == "nginx" else "bind :80\n") in shell(command, "--no-tls").result()


def test_nginx_has_options_of_its_own(shell: Shell) -> None:
    text = shell("nginx", "--key", "/k.pem", "--keepalive", "0", "--access-log", "off", "--standalone").result()
    assert "/k.pem;" in text and "keepalive" not in text and "access_log off;" in text and "worker_processes" in text


@pytest.mark.parametrize("command", ("nginx", "haproxy"))
@pytest.mark.parametrize(
    ("option", "value"),
    (
        ("--server-name", "a;b"),
        ("--server-name", "a b"),
        ("--listen", "http"),
        ("--listen", "80;"),
        ("--certificate", "a\nb"),
        ("--ca", "a\nb"),
        ("--upstream", "unix:a\nb"),
    ),
)
def test_what_would_be_another_line_of_the_file_is_refused(shell: Shell, command: str, option: str, value: str) -> None:
    assert option in shell(command, option, value).refusal(2)


@pytest.mark.parametrize("command", ("nginx", "haproxy"))
def test_where_the_server_is_has_to_be_known(shell: Shell, command: str) -> None:
    Path("broadcaster.toml").write_text(f'[server]\nlisten = ["systemd:domain=INET:index=0"]\n{APP}')
    assert shell(command).refusal(2) == (
        "broadcaster.toml: server.listen: where systemd:domain=INET:index=0 is cannot be told from it; "
        "say it: --upstream tcp:6001:interface=127.0.0.1"
    )
    assert "127.0.0.1:6001" in shell(command, "--upstream", "tcp:6001").result()


@pytest.mark.parametrize("command", ("nginx", "haproxy"))
def test_a_file_that_is_wrong_is_one_line(shell: Shell, command: str) -> None:
    Path("broadcaster.toml").write_text("[server]\nlisten = 1\n")
    assert "server.listen" in shell(command).refusal(2)
