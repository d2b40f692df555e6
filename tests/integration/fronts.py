"""Debian's nginx and HAProxy in front of a server, each run as this user with exactly what ``broadcaster`` prints."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.processes import Server, clean_environment, free_port, until

BROADCASTER = str(Path(sys.executable).with_name("broadcaster"))
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


class Proxy:
    """A proxy that runs while the ``with`` block does; ``printed`` is its configuration, which listens on `port`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._folder = tempfile.TemporaryDirectory(prefix="broadcaster-proxy-")
        self.directory = Path(self._folder.name)

    def __enter__(self) -> Self:
        with (self.directory / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                self._command(), cwd=self.directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            until(self._listens, "the proxy's start")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._folder.cleanup()

    def _command(self) -> list[str]:
        raise NotImplementedError

    def said(self) -> str:
        return (self.directory / "output.txt").read_text()

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"the proxy ended with {self._process.returncode}:\n{self.said()}"
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except OSError:
            return False
        return True


class Nginx(Proxy):
    """nginx with the printed file where a distribution's nginx.conf would include it."""

    def __init__(self, printed: str, port: int) -> None:
        super().__init__(port)
        (self.directory / "broadcaster.conf").write_text(printed)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"    {kind}_temp_path {self.directory}/{kind};\n" for kind in kinds)
        stream = "\nstream {" in printed
        sections = "include broadcaster.conf;" if stream else f"http {{\n{paths}    include broadcaster.conf;\n}}"
        (self.directory / "nginx.conf").write_text(
            f"{f'load_module {STREAM};' if stream else ''}\n"
            # Workers of root's become nobody, who may not look into a folder of ours.
            f"{'user root;' if os.geteuid() == 0 else ''}\n"
            f"daemon off;\nworker_processes 2;\npid {self.directory}/nginx.pid;\n"
            f"error_log stderr;\nevents {{ worker_connections 1024; }}\n{sections}\n"
        )

    def _command(self) -> list[str]:
        return ["nginx", "-p", str(self.directory), "-e", "stderr", "-c", str(self.directory / "nginx.conf")]

    def reload(self) -> None:
        """As ``nginx -s reload`` does it."""
        subprocess.run([*self._command(), "-s", "reload"], check=True, timeout=10, capture_output=True)

    def workers(self) -> set[str]:
        """The process ids of its workers that take new links."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        titles = {child: Path(f"/proc/{child}/cmdline").read_text() for child in children}
        return {child for child, title in titles.items() if "worker process" in title and "shutting down" not in title}


class HAProxy(Proxy):
    """HAProxy with the printed file and nothing else."""

    def __init__(self, printed: str, port: int) -> None:
        super().__init__(port)
        (self.directory / "haproxy.cfg").write_text(printed)

    def _command(self) -> list[str]:
        return ["haproxy", "-db", "-f", str(self.directory / "haproxy.cfg")]


def in_front_of(
    server: Server, kind: str, listen: Sequence[str], ca: Path, tls: bool = True, keepalive: int = 64, **changes: str
) -> Proxy:
    """The proxy that is printed for the configuration of a server which is reached at ``listen``, and has its
    certificate by ``ca``; ``changes`` are made to the printed text."""
    port = free_port()
    options = ["--server-name", "localhost", "--listen", f"127.0.0.1:{port}", "--ca", str(ca)]
    for one in listen:
        options += ["--upstream", one]
    if kind == "nginx":
        options += ["--keepalive", str(keepalive), "--access-log", str(server.directory / "access.log")]
    if not tls:
        options.append("--no-tls")
    command = [BROADCASTER, kind, "--dir", str(server.directory), *options]
    printed = subprocess.check_output(command, text=True, env=clean_environment(), cwd=server.directory, timeout=20)
    for old, new in changes.items():
        assert old in printed
        printed = printed.replace(old, new)
    return Nginx(printed, port) if kind == "nginx" else HAProxy(printed, port)


@cache
def certificate() -> bytes:
    """A certificate for this machine by name and address that only those believe who were told to, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def trusting(ca: Path) -> ssl.SSLContext:
    """A client that believes ``ca``."""
    return ssl.create_default_context(cafile=str(ca))
