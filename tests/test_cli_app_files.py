"""``client:add`` and ``client:remove``: in place, in both formats, so that nothing else in the file changes."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.cli import app_files, toml_apps
from broadcaster.cli.credentials import Credentials
from broadcaster.config import load
from tests.commands import Shell

TOML = """\
# The shop's server.

[server]
listen = ["tcp:6001"]   # behind nginx

# The shop itself.
[[apps]]
id = "shop"
key = "shop-key"  # public
secret = 'shop-secret'

  [apps.auth]
  host = ["http://shop.test"]

# Where people talk.
[[apps]]
id = "forum"
key = "forum-key"
secrets = ["new", "old"]

# Less noise.
[log]
level = "warn"
"""

JSON = """\
{
  "authHost": "http://shop.test",
  "clients": [
    {
      "appId": 7,
      "key": "k"
    }
  ],
  "port": "6001"
}
"""


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "broadcaster.toml"
    file.write_text(TOML)
    return file


def secrets() -> dict[str, tuple[str, ...]]:
    return {app.id: app.secrets for app in load(None, ".", {}).apps}


# ---- broadcaster.toml -----------------------------------------------------------------------------------------


def test_an_app_is_added_behind_what_is_there(shell: Shell, file: Path) -> None:
    said = dict(line.split(": ") for line in shell("client:add", "chat").result().splitlines()[1:])
    assert file.read_text() == TOML + (f'\n[[apps]]\nid = "chat"\nkey = "{said["key"]}"\nsecret = "{said["secret"]}"\n')
    assert secrets()["chat"] == (said["secret"],)
    assert (len(said["key"]), len(said["secret"])) == (32, 64)


def test_an_app_without_a_name_gets_a_random_one(shell: Shell, file: Path) -> None:
    made = json.loads(shell("app:add", "--json").result())
    assert len(made["id"]) == 16
    assert secrets()[made["id"]] == (made["secret"],)


def test_e178_an_app_that_is_there_gets_a_new_key_and_keeps_all_else(shell: Shell, file: Path) -> None:
    made = json.loads(shell("client:add", "shop", "--json").result())
    assert file.read_text() == TOML.replace("shop-key", made["key"])
    assert (made["secret"], made["new"]) == ("shop-secret", False)


def test_credentials_can_be_given(shell: Shell, file: Path) -> None:
    shell("client:add", "forum", "--key", "k", "--secret", "s", "--bearer").result()
    (app,) = (app for app in load(None, ".", {}).apps if app.id == "forum")
    assert (app.key, app.secrets, app.bearer) == ("k", ("s",), True)
    assert 'level = "warn"' in file.read_text()


def test_an_app_goes_with_its_tables_and_its_comment(shell: Shell, file: Path) -> None:
    assert shell("client:remove", "shop").result() == "Client removed: shop\n"
    start, end = TOML.index("# The shop itself"), TOML.index("# Where people talk")
    assert file.read_text() == TOML[:start] + TOML[end:]
    ended = shell("app:remove", "forum")
    assert (ended.status, ended.output) == (0, "Client removed: forum\n")
    assert "no app is configured" in ended.errors, "nothing could start with this file"
    assert file.read_text() == TOML[:start] + TOML[TOML.index("# Less noise") :]


def test_what_was_added_and_removed_leaves_no_trace(shell: Shell, file: Path) -> None:
    shell("client:add", "chat").result()
    shell("client:remove", "chat").result()
    assert file.read_text() == TOML


def test_the_first_app_comes_into_a_file_without_any(shell: Shell, file: Path) -> None:
    file.write_text("")
    shell("client:add", "only", "--key", "k", "--secret", "s").result()
    assert file.read_text() == '[[apps]]\nid = "only"\nkey = "k"\nsecret = "s"\n'


def test_apps_may_be_written_in_one_line(shell: Shell, file: Path) -> None:
    file.write_text('apps = [{id = "a", key = "k", secret = "s"}] # here\n\n[log]\nlevel = "warn"\n')
    shell("client:add", "b", "--key", "l", "--secret", "t").result()
    shell("client:add", "a", "--key", "m").result()
    assert secrets() == {"a": ("s",), "b": ("t",)}
    shell("client:remove", "a").result()
    assert secrets() == {"b": ("t",)}
    assert "# here" in file.read_text()


def test_line_ends_of_windows_stay(shell: Shell, file: Path) -> None:
    file.write_bytes(TOML.replace("\n", "\r\n").encode())
    shell("client:add", "chat").result()
    shell("client:add", "shop", "--key", "n").result()
    shell("client:remove", "forum").result()
    assert b"\n" not in file.read_bytes().replace(b"\r\n", b"")
    assert list(secrets()) == ["shop", "chat"]


@pytest.mark.parametrize("text", ["apps.x = 1\n", "apps = 7\n", "apps = [7]\n", "[apps]\nid = 'a'\n"])
def test_what_is_no_list_of_apps_is_refused_and_stays(shell: Shell, file: Path, text: str) -> None:
    file.write_text(text)
    assert "broadcaster.toml: apps" in shell("client:add", "b").refusal(2)
    assert file.read_text() == text


def test_an_unknown_app_cannot_be_removed(shell: Shell, file: Path) -> None:
    assert "'nobody'" in shell("client:remove", "nobody").refusal(1)
    assert file.read_text() == TOML


def test_a_key_belongs_to_one_app(shell: Shell, file: Path) -> None:
    assert "apps.key" in shell("client:add", "chat", "--key", "shop-key").refusal(2)
    assert file.read_text() == TOML


@pytest.mark.parametrize("given", [("",), (" ",), ("a\nb",), ("a", "--key", ""), ("a", "--secret", "x\x1b")])
def test_credentials_are_text(shell: Shell, file: Path, given: tuple[str, ...]) -> None:
    assert "client:add --help" in shell("client:add", *given).refusal(2)


def test_a_file_that_is_no_toml_is_told_with_its_line(shell: Shell, file: Path) -> None:
    file.write_text("[server\n")
    assert "line 1" in shell("client:add", "a").refusal(2)


def test_without_a_file_there_is_nothing_to_edit(shell: Shell) -> None:
    assert "broadcaster init" in shell("client:add", "a").refusal(2)


name = st.text(st.characters(codec="utf-8"), min_size=1)


@given(name, name, name)
def test_credentials_of_any_characters_are_written_as_toml(app_id: str, key: str, secret: str) -> None:
    text, standing, new = toml_apps.put(TOML, "f", Credentials(f"x{app_id}", f"x{key}", secret))
    assert (standing, new) == (Credentials(f"x{app_id}", f"x{key}", secret), True)
    assert toml_apps.take(text, "f", f"x{app_id}") == TOML


# ---- laravel-echo-server.json ---------------------------------------------------------------------------------


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    file = tmp_path / "laravel-echo-server.json"
    file.write_text(JSON)
    return file


def test_a_client_is_added_to_laravel_echo_server_json_in_its_own_form(shell: Shell, echo: Path) -> None:
    lines = shell("client:add", "shop").result().splitlines()
    assert lines[0] == "API Client added!"
    key = lines[2].removeprefix("key: ")
    added = f',\n    {{\n      "appId": "shop",\n      "key": "{key}"\n    }}\n  ]'
    assert echo.read_text() == JSON.replace("\n  ]", added)
    assert len(lines) == 3


def test_e178_a_client_that_is_there_gets_a_new_key(shell: Shell, echo: Path) -> None:
    assert shell("client:add", "7", "--key", "new").result() == "API Client updated!\nappId: 7\nkey: new\n"
    assert echo.read_text() == JSON.replace('"k"', '"new"')


def test_e178_a_client_is_removed_and_an_unknown_one_changes_nothing(shell: Shell, echo: Path) -> None:
    assert "'8'" in shell("client:remove", "8").refusal(1)
    assert echo.read_text() == JSON
    shell("client:remove", "7").result()
    assert json.loads(echo.read_text())["clients"] == []


def test_a_secret_has_no_place_in_it(shell: Shell, echo: Path) -> None:
    assert "PUSHER_APP_SECRET" in shell("client:add", "a", "--secret", "s").refusal(2)


@pytest.mark.parametrize("clients", ["7", "[7]"])
def test_clients_that_are_none_are_refused(shell: Shell, echo: Path, clients: str) -> None:
    echo.write_text(f'{{"clients": {clients}}}')
    assert "clients" in shell("client:add", "a").refusal(2)


def test_a_file_in_one_line_is_indented_as_the_original_would(shell: Shell, echo: Path) -> None:
    echo.write_text('{"port":"6001"}')
    shell("client:add", "a", "--key", "k").result()
    assert (
        echo.read_text()
        == '{\n\t"port": "6001",\n\t"clients": [\n\t\t{\n\t\t\t"appId": "a",\n\t\t\t"key": "k"\n\t\t}\n\t]\n}'
    )


# ---- the file as such -----------------------------------------------------------------------------------------


def test_e178_dir_and_config_say_which_file(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for name in ("broadcaster.toml", "other.toml"):
        (tmp_path / "etc" / name).write_text("")
    shell("client:add", "a", "--dir", "etc").result()
    shell("client:add", "b", "--dir=etc", "--config=other.toml").result()
    shell("client:add", "c", "--config", str(tmp_path / "etc" / "other.toml")).result()
    assert [app.id for app in load("etc/broadcaster.toml", ".", {}).apps] == ["a"]
    assert [app.id for app in load("etc/other.toml", ".", {}).apps] == ["b", "c"]


def test_mode_owner_and_link_stay(shell: Shell, file: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    file.rename(real)
    file.symlink_to("real.toml")
    real.chmod(0o640)
    if os.getuid() == 0:
        os.chown(real, 12_345, 12_346)
    before = real.stat()
    shell("client:add", "a").result()
    after = real.stat()
    assert file.is_symlink() and [app.id for app in load(None, ".", {}).apps][-1] == "a"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert sorted(os.listdir(tmp_path)) == ["broadcaster.toml", "real.toml"]


def test_many_at_once_lose_nothing(file: Path) -> None:
    threads = [
        threading.Thread(target=app_files.put, args=(str(file), Credentials(f"app-{number}", f"key-{number}")))
        for number in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(load(None, ".", {}).apps) == 12


def test_a_file_that_cannot_be_replaced_stays_and_is_named(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "broadcaster.toml"
    file.write_text(TOML)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    line = shell("client:add", "a").refusal(1)
    assert line == "broadcaster.toml: cannot be written (No space left on device); it is as it was"
    assert file.read_text() == TOML
    assert os.listdir() == ["broadcaster.toml"]
