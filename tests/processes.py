"""`twistd broadcaster` as a process of its own: started on a free port, awaited, listened to and always ended."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

TWISTD = str(Path(sys.executable).with_name("twistd"))
"""The command beside the Python that runs the tests, so that it finds the installed package and its plugin."""

BROADCASTER = str(Path(sys.executable).with_name("broadcaster"))
"""The command for people, likewise."""

PATIENCE = 20.0
"""Seconds after which something that should have happened counts as failed."""

APP_ID, KEY, SECRET = "1001", "app-key", "app-secret"
"""The one app of the test configuration. Pusher's Python SDK refuses an app id that is not a number."""

CONFIG = f"""
[server]
drain_seconds = 1

[limits]
event_bytes = 10240
members = 100
member_bytes = 1024
channel_name_length = 200

[[apps]]
id = "{APP_ID}"
key = "{KEY}"
secret = "{SECRET}"
"""
"""The test configuration: Pusher's own limits."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on.

    It is below the range from which the kernel takes the ports of outgoing connections: a client that tries again and
    again to reach a stopped server would otherwise connect to itself one day.
    """
    for port in random.sample(range(15_000, 32_000), 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def until(happened: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait for a fact of another process that nobody announces; ``what`` is what failed when it never comes."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.01)


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and body of a GET, whatever the status."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.read().decode()


def twistd(arguments: Sequence[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``twistd`` to its end (or, daemonised, to the parent's) and return what it said."""
    return _run(TWISTD, arguments, directory, environment)


def broadcaster(arguments: Sequence[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``broadcaster`` to its end and return what it said. There is no terminal."""
    return _run(BROADCASTER, arguments, directory, environment)


def _run(
    command: str, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        cwd=directory,
        env={**clean_environment(), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def clean_environment() -> dict[str, str]:
    """Ours without what would configure the server by accident or show it this checkout's source."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("BROADCASTER_", "PYTHON"))}


_numbers = itertools.count(2)


class Server:
    """A server that runs while the ``with`` block does, and must have said nothing about an unhandled error.

    ``config`` is the text of its ``broadcaster.toml``, or None for no file at all. It listens on ``port``, by default a
    free one, whatever that says. `beside` is for another one in the same directory.
    """

    _folder: tempfile.TemporaryDirectory[str] | None = None
    directory: Path

    def __init__(self, config: str | None = CONFIG, *options: str, port: int | None = None, **environment: str) -> None:
        self.port = port or free_port()
        self._name = "server"
        self._config = config
        self._options = options
        self._environment = environment

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/app/{KEY}?protocol=7&client=js&version=8.4.0"

    def beside(self, *options: str, port: int | None = None, **environment: str) -> Server:
        """One that shares the directory, the configuration and, unless another is named, the port of this one."""
        other = Server(None, *options, port=port or self.port, **environment)
        other.directory = self.directory
        other._name = f"server-{next(_numbers)}"
        return other

    def __enter__(self) -> Self:
        if not hasattr(self, "directory"):
            self._folder = tempfile.TemporaryDirectory(prefix="broadcaster-")
            self.directory = Path(self._folder.name)
        if self._config is not None:
            (self.directory / "broadcaster.toml").write_text(self._config)
        try:
            if not hasattr(self, "_process"):
                self.launch()
            until(self._ready, "the server's start")
        except BaseException:
            self.kill()
            self._cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        try:
            if self._process.poll() is None:
                self.send(signal.SIGINT)
                self.wait()
            if kind is None:
                self.assert_no_traceback()
            elif error is not None:
                error.add_note(f"the server said:\n{self.log()}")
        finally:
            self.kill()
            self._cleanup()

    def _cleanup(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    def start(self) -> None:
        """Start on the same port and with the same files; return once it is ready."""
        self.launch()
        until(self._ready, "the server's start")

    def launch(self) -> None:
        """Start, and wait for nothing."""
        listen = f"tcp:{self.port}:interface=127.0.0.1"
        command = [TWISTD, "-n", "--pidfile=", "broadcaster", *self._options, "--listen", listen]
        with self._said("output").open("ab") as output, self._said("errors").open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env={**clean_environment(), **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, signal_number: int) -> None:
        self._process.send_signal(signal_number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit status, once it has ended by itself."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """End it as ``kill -9`` does, if it still runs."""
        if hasattr(self, "_process") and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def log(self) -> str:
        """All that it has said until now: standard output, then standard error."""
        return self.output() + self.errors()

    def output(self) -> str:
        return self._said("output").read_text()

    def errors(self) -> str:
        return self._said("errors").read_text()

    def _said(self, where: str) -> Path:
        return self.directory / f"{self._name}-{where}.txt"

    def control(self, do: str, **more: object) -> dict[str, Any]:
        """Ask on the control socket; the answer."""
        with self.controlling() as link, link.makefile("rwb") as lines:
            lines.write(json.dumps({"do": do, **more}).encode() + b"\n")
            lines.flush()
            answer: dict[str, Any] = json.loads(lines.readline())
            return answer

    def controlling(self) -> socket.socket:
        """A connection to the control socket."""
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(PATIENCE)
        link.connect(str(self.directory / "broadcaster.sock"))
        return link

    def assert_no_traceback(self) -> None:
        log = self.log()
        assert "Traceback" not in log and "Unhandled" not in log, log

    def _ready(self) -> bool:
        assert self._process.poll() is None, f"the server ended with {self._process.returncode}:\n{self.log()}"
        try:
            return get(f"{self.url}/ready")[0] == 200
        except OSError:
            return False
