"""``systemd``, ``supervisor`` and ``compose``: what they print fits the configuration in force."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from broadcaster.cli.endpoints import Endpoint, endpoint
from tests.commands import Shell
from tests.conftest import require

APP = '[[apps]]\nid = "a"\nkey = "k"\nsecret = "s3cr3t"\n'


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / '100% "here" $x').mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {"PATH": os.environ["PATH"]})


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def write(listen: str, more: str = "", directory: str = ".") -> None:
    Path(directory, "broadcaster.toml").write_text(f"[server]\nlisten = [{listen}]\n{more}\n{APP}")


def settings(unit: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in unit.splitlines() if "=" in line and not line.startswith("#"))


def verified(tmp_path: Path, **units: str) -> None:
    """systemd itself has nothing to complain of."""
    require(shutil.which("systemd-analyze") is not None, "systemd-analyze is not installed (make test-deps)")
    folder = tmp_path / "units"
    folder.mkdir()
    files = []
    for kind, text in units.items():
        files.append(folder / f"broadcaster.{kind}")
        files[-1].write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, timeout=60)
    said = [line for line in (done.stdout + done.stderr).splitlines() if str(folder) in line or "broadcaster." in line]
    assert (done.returncode, said) == (0, [])


# ---- systemd --------------------------------------------------------------------------------------------------


def test_the_unit_is_hardened_and_systemd_finds_nothing_wrong_with_it(shell: Shell, tmp_path: Path) -> None:
    write('"tcp:6001"', "drain_seconds = 12.5")
    unit = shell("systemd").result()
    verified(tmp_path, service=unit)
    told = settings(unit)
    assert (told["Type"], told["KillMode"], told["WatchdogSec"]) == ("notify", "mixed", "30")
    assert int(told["TimeoutStopSec"]) > 12.5 + 10
    assert told["ExecStart"].endswith(f" start --config {tmp_path}/broadcaster.toml")
    assert told["ExecReload"].endswith(f" reload --config {tmp_path}/broadcaster.toml")
    assert told["User"] == pwd.getpwuid(os.getuid()).pw_name
    assert (told["CapabilityBoundingSet"], told["ReadWritePaths"]) == ("", str(tmp_path))
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", tmp_path / "units" / "broadcaster.service"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    exposure = re.search(r"exposure level for broadcaster.service: ([0-9.]+)", rated.stdout)
    assert exposure is not None and float(exposure[1]) < 3


def test_a_low_port_gets_the_one_right_that_it_takes(shell: Shell, tmp_path: Path) -> None:
    write('"tls:443"')
    told = settings(shell("systemd").result())
    assert told["CapabilityBoundingSet"] == told["AmbientCapabilities"] == "CAP_NET_BIND_SERVICE"


def test_where_sockets_are_made_can_be_written(shell: Shell, tmp_path: Path) -> None:
    write('"unix:/run/ws/http.sock"', 'control = "/run/broadcaster/control.sock"')
    assert settings(shell("systemd").result())["ReadWritePaths"] == "/run/ws /run/broadcaster"


def test_names_of_any_characters_are_quoted(shell: Shell, tmp_path: Path) -> None:
    directory = '100% "here" $x'
    write('"tcp:6001"', directory=directory)
    unit = shell("systemd", "--dir", directory).result()
    verified(tmp_path, service=unit)
    assert '/100%% \\"here\\" $$x/broadcaster.toml"' in settings(unit)["ExecStart"]


def test_with_socket_activation_systemd_listens(shell: Shell, tmp_path: Path) -> None:
    write('"tcp:6001", "tls:443:interface=127.0.0.1", "haproxy:tcp:7001:interface=\\\\:\\\\:1", "unix:/run/ws.sock"')
    socket, service = shell("systemd", "--socket").result(), shell("systemd", "--activated").result()
    verified(tmp_path, socket=socket, service=service)
    streams = [line.removeprefix("ListenStream=") for line in socket.splitlines() if "ListenStream" in line]
    assert streams == ["6001", "127.0.0.1:443", "[::1]:7001", "/run/ws.sock"]
    assert settings(service)["Requires"] == "broadcaster.socket"


def test_somebody_else_may_run_it(shell: Shell) -> None:
    write('"tcp:6001"')
    assert settings(shell("systemd", "--user", "nobody").result())["User"] == "nobody"
    assert "'no-such-user'" in shell("systemd", "--user", "no-such-user").refusal(2)


# ---- supervisor and compose -----------------------------------------------------------------------------------


def test_supervisor_waits_for_the_drain(shell: Shell, tmp_path: Path) -> None:
    directory = '100% "here" $x'
    write('"tcp:6001"', "drain_seconds = 40", directory)
    parser = ConfigParser(interpolation=None, inline_comment_prefixes=(";",))
    parser.read_string(shell("supervisor", "--dir", directory).result())
    program = parser["program:broadcaster"]
    assert program["stopsignal"] == "TERM" and int(program["stopwaitsecs"]) > 50
    assert program["directory"] == str(tmp_path / directory).replace("%", "%%")
    assert program["command"].endswith(f"start --config '{tmp_path}/100%% \"here\" $x/broadcaster.toml'")


def test_compose_mounts_what_is_read_and_publishes_what_is_listened_on(shell: Shell, tmp_path: Path) -> None:
    write('"tcp:6001", "tls:443"', "drain_seconds = 40\n[tls]\ncertificate = 'c.pem'\nkey = '/k.pem'")
    told = shell("compose", "--image", "ws:1").result()
    assert 'image: "ws:1"' in told and "build:" not in told
    assert [line.strip() for line in told.splitlines() if line.strip().startswith("- ")] == [
        '- "6001:6001"',
        '- "443:443"',
        f'- "{tmp_path}/broadcaster.toml:/etc/broadcaster/broadcaster.toml:ro"',
        f'- "{tmp_path}/c.pem:{tmp_path}/c.pem:ro"',
        '- "/k.pem:/k.pem:ro"',
        f"- /run/broadcaster:uid={os.getuid()},gid={os.getgid()},mode=0700",
    ]
    assert "stop_grace_period: 55s" in told
    assert "s3cr3t" not in told


def test_compose_without_a_file_takes_the_app_from_laravels_variables(shell: Shell) -> None:
    told = shell("compose").result()
    assert "PUSHER_APP_SECRET: ${PUSHER_APP_SECRET:?}" in told
    assert "BROADCASTER_SERVER_LISTEN: tcp:6001" in told
    assert "build: ." in told


# ---- endpoint strings -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "found"),
    (
        ("tcp:6001", Endpoint(port=6001)),
        ("tcp:port=6001:interface=127.0.0.1:backlog=9", Endpoint(port=6001, interface="127.0.0.1")),
        ("tls:443:interface=\\:\\:1", Endpoint(port=443, interface="::1", secure=True)),
        ("ssl:443:privateKey=a\\:b", Endpoint(port=443, secure=True)),
        ("haproxy:unix:/run/a\\:b", Endpoint(path="/run/a:b", proxied=True)),
        ("unix:address=/a:mode=660", Endpoint(path="/a")),
        ("systemd:domain=INET:index=0", None),
        ("tls:/a/b.pem:tcp:443", None),
        ("", None),
    ),
)
def test_an_endpoint_string_is_read(description: str, found: Endpoint | None) -> None:
    assert endpoint(description) == found
