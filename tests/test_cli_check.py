"""``check``: what is in force and where it came from, and no secret among it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from broadcaster.config.place import words
from broadcaster.config.schema import leaves
from tests.commands import Shell

APP = '[[apps]]\nid = "shop"\nkey = "public"\nsecret = "s3cr3t"\n'


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    environment: dict[str, str] = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", environment)
    return environment


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def lines(shell: Shell) -> dict[str, tuple[str, str]]:
    """Value and origin by key."""
    rows = [line.split("\t") for line in shell("check").result().splitlines()]
    return {key: (value, origin) for key, value, origin in rows}


def test_each_value_is_told_with_its_origin(shell: Shell, environment: dict[str, str]) -> None:
    Path("broadcaster.toml").write_text(APP + "[server]\ndrain_seconds = 30\n[driver.redis]\nprefix = 'red'\n")
    environment |= {"BROADCASTER_LOG_LEVEL": "warn", "PUSHER_APP_KEY": "theirs", "BROADCASTER_DRIVER_NAME": "redis"}
    told = lines(shell)
    assert told["server.drain_seconds"] == ("30", "broadcaster.toml")
    assert told["server.origins"] == ("*", "default")
    assert told["log.level"] == ("warn", "BROADCASTER_LOG_LEVEL")
    assert told["apps[0].id"] == ("shop", "broadcaster.toml")
    assert told["apps[0].key"] == ("theirs", "PUSHER_APP_KEY")
    assert told["apps[0].secrets"] == ("(hidden)", "broadcaster.toml")
    assert told["apps[0].client_events"] == ("true", "default")
    assert told["driver.redis.prefix"] == ("red", "broadcaster.toml")


def test_no_key_is_left_out(shell: Shell) -> None:
    Path("broadcaster.toml").write_text(
        APP
        + '[apps.auth]\n[[apps.webhooks]]\nurl="http://b/"\n'
        + '[[tls.hosts]]\nname="d"\n[echo_api.cors]\norigin="a"\nmethods="b"\nheaders="c"\n'
    )
    wanted = {".".join(words(path)) for path, _ in leaves()} - {"apps.secret"}
    assert {key.replace("[0]", "") for key in lines(shell)} >= wanted


def test_a_secret_is_told_in_no_form(shell: Shell, environment: dict[str, str]) -> None:
    Path("broadcaster.toml").write_text(
        APP.replace("secret =", "bearer = true\nsecret =")
        + "[driver]\nname = 'redis'\n[driver.redis]\nurl = 'redis://u:p4ss@h/0'\n"
    )
    environment["BROADCASTER_APPS_SECRET"] = "en7ir0n"
    for form in ((), ("--json",)):
        said = shell("check", *form).result()
        assert not any(secret in said for secret in ("s3cr3t", "p4ss", "en7ir0n", "public"))
    assert lines(shell)["driver.redis.url"][0] == "redis://u:(hidden)@h/0"
    assert lines(shell)["apps[0].secrets"][1] == "BROADCASTER_APPS_SECRET"


def test_the_embedded_default_is_told_as_such(shell: Shell) -> None:
    told = lines(shell)
    assert told["demo"] == ("true", "embedded default")
    assert told["apps[0].key"] == ("app-key", "embedded default")
    assert told["limits.members"] == ("1000", "default")


def test_laravel_echo_server_json_is_told_in_our_words(shell: Shell, environment: dict[str, str]) -> None:
    clients = [{"appId": "a", "key": "k3y"}]
    Path("laravel-echo-server.json").write_text(json.dumps({"clients": clients, "socketio": {"pingInterval": 9000}}))
    environment |= {"LARAVEL_ECHO_SERVER_PORT": "7001", "LARAVEL_ECHO_SERVER_DEBUG": "true"}
    ended = shell("check")
    told = {row[0]: (row[1], row[2]) for row in (line.split("\t") for line in ended.output.splitlines())}
    assert told["server.listen"] == ("tcp:7001", "LARAVEL_ECHO_SERVER_PORT")
    assert told["log.level"] == ("debug", "LARAVEL_ECHO_SERVER_DEBUG")
    assert told["socketio.ping_interval"] == ("9", "laravel-echo-server.json")
    assert told["socketio.ping_timeout"] == ("20", "default")
    assert told["apps[0].key"] == ("(hidden)", "laravel-echo-server.json")
    assert ended.status == 0


def test_as_json_values_keep_their_types_and_notes_come_along(shell: Shell) -> None:
    Path("laravel-echo-server.json").write_text('{"secureOptions": 7}')
    told = json.loads(shell("check", "--json").result())
    values = {value["key"]: value["value"] for value in told["values"]}
    assert values["limits.members"] == 0
    assert values["socketio.transports"] == ["polling", "websocket"]
    assert any("secureOptions" in note for note in told["notes"])
    assert told["source"] == "laravel-echo-server.json"


FAULTS = {
    "unknown table": "[servr]\n",
    "no key": "[[apps]]\nid = 'a'\n",
    "no TOML": "x =",
    "no address": f"[server]\nlisten = ['tpc:6001']\n{APP}",
    "no certificate": f"[server]\nlisten = ['tls:6001']\n[tls]\ncertificate = 'absent.pem'\n{APP}",
    "no driver": f"[driver]\nname = 'mermory'\n{APP}",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_not_start_is_one_line_and_status_2(shell: Shell, fault: str) -> None:
    Path("broadcaster.toml").write_text(FAULTS[fault])
    assert shell("check").refusal(2).startswith("broadcaster.toml: ")
