"""A real redis-server of the test's own: started, paused, killed, restarted and always ended."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import hiredis

from tests.conftest import require
from tests.processes import free_port, until

BINARY = shutil.which("redis-server")


class Redis:
    """A Redis that keeps nothing on disk, on a unix socket and a port, while the ``with`` block does.

    ``options`` are lines of redis.conf. ``password`` is what the default user needs.
    """

    def __init__(self, *options: str, password: str = "", port: int | None = None) -> None:
        require(BINARY is not None, "redis-server is not installed (make test-deps)")
        self.port = port or free_port()
        self._options = options
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis+unix://{self.path}"

    @property
    def tcp(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._closing = ExitStack()
        self.directory = Path(self._closing.enter_context(tempfile.TemporaryDirectory(prefix="broadcaster-redis-")))
        self.path = self.directory / "redis.sock"
        self._closing.callback(self.kill)
        try:
            self.start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def start(self) -> None:
        """Start, on the same port and socket as before; return once it answers."""
        lines = (
            *(f"port {self.port}", "bind 127.0.0.1", f"unixsocket {self.path}", f"dir {self.directory}"),
            *('save ""', "appendonly no", "daemonize no", "repl-diskless-sync-delay 0"),
            *((f"requirepass {self._password}", f"masterauth {self._password}") if self._password else ()),
            *self._options,
        )
        file = self.directory / "redis.conf"
        file.write_text("\n".join(lines) + "\n")
        self._launch(str(file))
        until(self._answers, "the start of Redis")

    def _launch(self, *arguments: str) -> None:
        assert BINARY is not None
        with (self.directory / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [BINARY, *arguments], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _answers(self) -> bool:
        assert self._process is not None and self._process.poll() is None, (self.directory / "log.txt").read_text()
        try:
            return self.command("PING") == b"PONG"
        except OSError:
            return False

    def stop(self) -> None:
        """End it as an operator does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the kernel does when memory is short."""
        self._end(signal.SIGKILL)

    def _end(self, how: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.wait(20)
            self.path.unlink(missing_ok=True)

    def pause(self) -> None:
        """Let it hang: it takes connections and bytes, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def command(self, *arguments: str | bytes | int) -> Any:
        """What Redis replies to one command, errors too."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(str(self.path))
            reader = hiredis.Reader()
            commands = [("AUTH", self._password)] if self._password else []
            for each in (*commands, arguments):
                link.sendall(hiredis.pack_command(each))
                while (reply := reader.gets()) is False:
                    received = link.recv(65_536)
                    if not received:
                        raise ConnectionResetError("Redis hung up")
                    reader.feed(received)
            return reply

    def publish(self, channel: str | bytes, payload: str | bytes) -> int:
        """Publish as an application does; how many heard it."""
        return int(self.command("PUBLISH", channel, payload))

    def channels(self) -> list[str]:
        """What anybody is subscribed to."""
        return sorted(name.decode() for name in self.command("PUBSUB", "CHANNELS"))

    def clients(self) -> list[dict[str, str]]:
        """The connections of our drivers."""
        lines = self.command("CLIENT", "LIST").decode().splitlines()
        found = [dict(part.partition("=")[::2] for part in line.split()) for line in lines]
        return [client for client in found if client["name"].startswith("broadcaster-")]


class Sentinel(Redis):
    """A Sentinel that watches ``master`` as ``mymaster`` and replaces it half a second after it is gone."""

    def __init__(self, master: Redis, quorum: int = 1, *options: str, password: str = "") -> None:
        super().__init__(*options, password=password)
        self._master = master
        self._quorum = quorum

    def start(self) -> None:
        """See `Redis`; what it learnt is forgotten."""
        master = self._master
        lines = (
            *(f"port {self.port}", "bind 127.0.0.1", f"unixsocket {self.path}", f"dir {self.directory}"),
            f"sentinel monitor mymaster 127.0.0.1 {master.port} {self._quorum}",
            "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 5000",
            *((f"sentinel auth-pass mymaster {master._password}",) if master._password else ()),
            *((f"requirepass {self._password}",) if self._password else ()),
            *self._options,
        )
        file = self.directory / "sentinel.conf"
        file.write_text("\n".join(lines) + "\n")
        self._launch(str(file), "--sentinel")
        until(self._answers, "the start of Sentinel")
