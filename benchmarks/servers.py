"""The servers that are measured, each with the command that starts it, and their start and end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dialects import APP, KEY, SECRET, Dialect, echo_3, echo_4, polling, pusher, pusher_tls

HERE = Path(__file__).parent
ROOT = HERE.parent
PEERS = HERE / "peers"
BUILD = HERE / "build"
CERTIFICATE, PRIVATE_KEY = BUILD / "certificate.pem", BUILD / "key.pem"
START_SECONDS = 30


class BenchError(Exception):
    """Something that keeps a measurement from being made, in words for whoever started it."""


@dataclass(frozen=True, slots=True)
class Server:
    """``prepare(port, folder, tls)`` gives the command and what it adds to the environment; ``flags`` are for wsload.

    ``dialects`` is what it speaks; it takes part in the works that are in one of them.
    """

    name: str
    prepare: Callable[[int, Path, bool], tuple[list[str], dict[str, str]]]
    dialects: Mapping[str, Dialect]
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """Where a started server is found."""

    port: int
    pid: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def prepare_ours(port: int, folder: Path, tls: bool) -> tuple[list[str], dict[str, str]]:
    config = folder / "broadcaster.toml"
    config.write_text(
        f'[server]\nlisten = ["{"tls" if tls else "tcp"}:{port}:interface=127.0.0.1"]\n\n'
        + (f'[tls]\ncertificate = "{CERTIFICATE}"\nkey = "{PRIVATE_KEY}"\n\n' if tls else "")
        + '[driver]\nname = "memory"\n\n'
        f'[[apps]]\nid = "{APP}"\nkey = "{KEY}"\nsecret = "{SECRET}"\nbearer = true\n\n'
        '[log]\nlevel = "warn"\n'
    )
    twistd = Path(sys.executable).with_name("twistd")
    command = [str(twistd), "-n", "--pidfile=", "broadcaster", "--config", str(config)]
    return command, {"PYTHONPATH": str(ROOT)}  # the checkout is measured, not a wheel that was installed some day


def prepare_soketi(port: int, _folder: Path, tls: bool) -> tuple[list[str], dict[str, str]]:
    settings = {
        "SOKETI_HOST": "127.0.0.1",
        "SOKETI_PORT": str(port),
        "SOKETI_METRICS_SERVER_PORT": str(free_port()),
        "SOKETI_DEFAULT_APP_ID": APP,
        "SOKETI_DEFAULT_APP_KEY": KEY,
        "SOKETI_DEFAULT_APP_SECRET": SECRET,
        "SOKETI_DEFAULT_APP_ENABLE_CLIENT_MESSAGES": "true",
        "SOKETI_DEFAULT_APP_MAX_CONNS": "-1",
        "SOKETI_USER_AUTHENTICATION_TIMEOUT": "300000",
        "NODE_NO_WARNINGS": "1",
    }
    if tls:
        settings |= {"SOKETI_SSL_CERT": str(CERTIFICATE), "SOKETI_SSL_KEY": str(PRIVATE_KEY)}
    return ["node", str(PEERS / "node_modules/@soketi/soketi/bin/server.js"), "start"], settings


def prepare_uws(port: int, _folder: Path, _tls: bool) -> tuple[list[str], dict[str, str]]:
    return ["node", str(PEERS / "uws.js"), str(port)], {}


def prepare_echo_server(port: int, folder: Path, _tls: bool) -> tuple[list[str], dict[str, str]]:
    """With a Redis of its own, which ends with it: what it shares its members through, and nothing else here."""
    link = folder / "redis.sock"
    settings = {
        "host": "127.0.0.1",
        "port": str(port),
        "clients": [{"appId": APP, "key": KEY}],
        "database": "redis",
        "databaseConfig": {"redis": {"path": str(link)}},
        "socketio": {"perMessageDeflate": False, "httpCompression": False},
        "subscribers": {"http": True, "redis": False},
    }
    (folder / "laravel-echo-server.json").write_text(json.dumps(settings))
    redis = ["redis-server", "--port", "0", "--unixsocket", str(link), "--save", "", "--loglevel", "warning"]
    echo_server = ["node", str(PEERS / "node_modules/laravel-echo-server/bin/server.js"), "start"]
    return ["sh", "-c", f"{shlex.join(redis)} & exec {shlex.join(echo_server)}"], {"NODE_NO_WARNINGS": "1"}


def prepare_socketio(port: int, _folder: Path, _tls: bool) -> tuple[list[str], dict[str, str]]:
    return ["node", str(PEERS / "socketio.js"), str(port)], {}


SERVERS = (
    Server("ours", prepare_ours, {"pusher": pusher, "pusher_tls": pusher_tls, "echo": echo_4, "polling": polling}),
    Server("soketi", prepare_soketi, {"pusher": pusher, "pusher_tls": pusher_tls}, ("--pub-close",)),
    Server("uws", prepare_uws, {"pusher": pusher}),
    Server("echo_server", prepare_echo_server, {"echo": echo_3}),
    Server("socketio", prepare_socketio, {"echo": echo_4, "polling": polling}),
)


def install_peers() -> None:
    """npm's part, once; what is installed stays as the lock file says."""
    lock, installed = PEERS / "package-lock.json", PEERS / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    print("installing the peers from npm (once) …", flush=True)
    try:
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=PEERS, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"npm could not install the peers ({error}); --only-server ours needs none") from error


def make_certificate() -> None:
    """One for all who speak TLS, as the common authorities sign them: ECDSA on P-256."""
    if CERTIFICATE.exists() and CERTIFICATE.stat().st_mtime > time.time() - 86_400:
        return
    BUILD.mkdir(exist_ok=True)
    request = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost"
    try:
        subprocess.run(
            [*request.split(), "-keyout", str(PRIVATE_KEY), "-out", str(CERTIFICATE)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise BenchError(f"openssl made no certificate ({error}); Debian and Ubuntu: openssl") from error


def peer_version(package: str) -> str:
    manifest = PEERS / "node_modules" / package / "package.json"
    version: str = json.loads(manifest.read_text())["version"]
    return version


@contextmanager
def running(server: Server, tls: bool, pin: Sequence[str]) -> Iterator[Address]:
    """A fresh process of ``server``, which listens; killed at the end, since nothing in it is worth a goodbye."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), free_port()
        command, settings = server.prepare(port, folder, tls)
        said = folder / "output"
        with said.open("wb") as output:
            process = subprocess.Popen(
                [*pin, *command],
                cwd=folder,
                env={**os.environ, **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until_it_listens(server, process, port, said)
            yield Address(port, process.pid)
            if process.poll() is not None:
                raise BenchError(f"{server.name} died while it was measured:\n{last_words(said)}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_it_listens(server: Server, process: subprocess.Popen[bytes], port: int, said: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise BenchError(f"{server.name} does not listen:\n{last_words(said)}")


def last_words(said: Path) -> str:
    return "\n".join(said.read_text(errors="replace").splitlines()[-12:])
