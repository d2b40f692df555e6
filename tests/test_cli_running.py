"""``start`` and ``restart`` are twistd with our plugin; what their options become for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from twisted.scripts import twistd

from tests.commands import Shell

TWISTD = ["broadcaster", "--nodaemon", "--pidfile=", "broadcaster", "--sole"]


@pytest.mark.parametrize(
    ("arguments", "became"),
    (
        ("start", ["--dir", "."]),
        ("start --force", ["--force", "--dir", "."]),
        ("restart", ["--force", "--dir", "."]),
        ("start --dir=etc", ["--dir", "etc"]),
        ("start --dir=etc --config=a.toml", ["--dir", "etc", "--config", "etc/a.toml"]),
        ("start --config=a.toml", ["--dir", ".", "--config", "a.toml"]),
        ("start --dir=etc --config=/a.toml", ["--dir", "etc", "--config", "/a.toml"]),
        ("start -l tcp:1 -l tcp:2", ["--dir", ".", "--listen", "tcp:1", "--listen", "tcp:2"]),
    ),
)
def test_options_become_those_of_twistd(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: str, became: list[str]
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(twistd, "run", lambda: seen.append(sys.argv))
    Shell(capsys)(*arguments.split()).result()
    assert seen == [[*TWISTD, *became]]


def test_in_development_it_logs_verbosely_whatever_is_configured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setattr(twistd, "run", lambda: None)
    monkeypatch.setenv("BROADCASTER_LOG_LEVEL", "error")
    Shell(capsys)("start", "--dev").result()
    assert os.environ["BROADCASTER_LOG_LEVEL"] == "debug"
