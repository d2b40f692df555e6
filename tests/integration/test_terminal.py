"""`broadcaster` in a terminal: questions with their defaults, tables, Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from broadcaster.config import load
from tests.processes import BROADCASTER, PATIENCE, broadcaster, clean_environment, until

pytestmark = pytest.mark.real

STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command that has a person before it; ``shown`` is what that person has not answered yet."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self.shown = self.raw = ""
        self._master = master
        self._process = process

    def type(self, question: str, text: str) -> None:
        """Wait for a question, then answer it."""
        self._read_until(lambda: question in self.shown)
        self.shown = self.shown[self.shown.index(question) + len(question) :]
        os.write(self._master, text.encode())

    def interrupt(self, question: str) -> None:
        """Wait for a question, then press Ctrl-C, and again: one that comes just before reading begins is lost."""
        self._read_until(lambda: question in self.shown)

        def gone() -> bool:
            os.write(self._master, b"\x03")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.2)
            return self._process.returncode is not None

        until(gone, "the end")

    def status(self) -> int:
        """The exit status, once it has ended and all was shown."""
        self._read_until(lambda: False)
        return self._process.wait(PATIENCE)

    def _read_until(self, enough: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not enough():
            assert select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))[0], self.shown
            try:
                heard = os.read(self._master, 65_536).decode()
            except OSError:  # how a terminal says that nobody is left on its other side
                return
            self.raw += heard
            self.shown += STYLE.sub("", heard).replace("\r\n", "\n")


def _control() -> None:
    """Make standard input the terminal that Ctrl-C is typed on."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def terminal(directory: Path, *arguments: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [BROADCASTER, *arguments],
        cwd=directory,
        env={**clean_environment(), "TERM": "xterm", "COLUMNS": "120"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_control,
    )
    os.close(slave)
    try:
        yield Terminal(master, process)
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_init_asks_laravel_echo_servers_questions_in_their_order(tmp_path: Path) -> None:
    with terminal(tmp_path, "init") as person:
        person.type("development mode? [y/N]", "y\n")
        person.type("Which port would you like to serve from? [6001]", "many\n")
        person.type("[6001]", "7001\n")
        person.type("[memory]", "\n")
        person.type("authentication server. [http://localhost]", "nonsense\n")
        person.type("[http://localhost]", "https://shop.test\n")
        person.type("http or https? (http, https) [http]", "https\n")
        person.type("SSL cert file", "\n")
        person.type("client ID/Key", "\n")
        person.type("cross domain access", "y\n")
        person.type("[http://localhost:80]", "\n")
        person.type("[GET, POST]", "\n")
        person.type("X-Socket-Id]", "\n")
        person.type("[broadcaster.toml]", "\n")
        assert person.status() == 0
        assert "secret: " in person.shown
    settings = load(str(tmp_path / "broadcaster.toml"), ".", {})
    assert (settings.server.listen, settings.log.level) == (("tls:7001",), "debug")
    assert settings.tls.certificate == str(tmp_path / "certificate.pem")
    assert settings.apps[0].auth is not None and settings.apps[0].auth.host == ("https://shop.test",)
    assert settings.echo_api.cors is not None


def test_what_an_option_answers_is_not_asked_and_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    file = tmp_path / "broadcaster.toml"
    file.write_text("# mine")
    options = ("--no-dev", "--port=1", "--database=memory", "--auth-host=http://a", "--protocol=http", "--no-bearer")
    with terminal(tmp_path, "init", *options, "--no-cors", "--config", "broadcaster.toml") as person:
        person.type("Overwrite it? [y/N]", "n\n")
        assert person.status() == 1
        assert "broadcaster: broadcaster.toml is there already" in person.shown
    assert file.read_text() == "# mine"


def test_ctrl_c_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with terminal(tmp_path, "init") as person:
        person.interrupt("development mode? [y/N]")
        assert person.status() == 1
        assert person.shown.splitlines()[-1] == "broadcaster: interrupted"
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_a_head_and_leaves_the_defaults_in_the_background(tmp_path: Path) -> None:
    (tmp_path / "broadcaster.toml").write_text('[[apps]]\nid = "a"\nkey = "[red]k"\nsecret = "s3cr3t"\n')
    with terminal(tmp_path, "check") as person:
        assert person.status() == 0
    head, *rows = (re.split(r" {2,}", line.strip()) for line in person.shown.splitlines() if line.strip("─━ "))
    assert head == ["key", "value", "from"]
    assert ["apps[0].key", "[red]k", "broadcaster.toml"] in rows
    assert ["limits.members", "1000", "default"] in rows
    assert "\x1b[2m" in person.raw and "s3cr3t" not in person.raw


def test_a_server_ends_with_0_on_ctrl_c(tmp_path: Path) -> None:
    with terminal(tmp_path, "start", "--listen", "unix:http.sock") as person:
        until(lambda: broadcaster(["status"], tmp_path).returncode == 0, "the start")
        person.type("listening on", "\x03")
        assert person.status() == 0
        assert "Traceback" not in person.shown
