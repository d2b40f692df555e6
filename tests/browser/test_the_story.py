"""A day in the life of the operator, whole: init, start, nginx in front, a renewed certificate, a deployment.

Two pages in Chromium are open all the while, one with laravel-echo and one with pusher-js, and hear what there is.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from broadcaster.cli.certificate import certify
from tests.browser.chromium import Chromium, Tab, executable
from tests.browser.website import Website
from tests.conftest import require
from tests.integration.fronts import Nginx, certificate
from tests.processes import BROADCASTER, PATIENCE, broadcaster, clean_environment, free_port, until

pytestmark = pytest.mark.real

CHANNEL = "board"


class Operator:
    """Somebody with a shell in the server's directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def types(self, *arguments: str) -> str:
        """What a command prints that has nothing to complain of."""
        done = broadcaster(arguments, self.directory)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    def runs_script(self, text: str) -> None:
        command = ["sh", "-e", "-c", text.replace("broadcaster ", f"{BROADCASTER} ")]
        subprocess.run(command, cwd=self.directory, env=clean_environment(), timeout=PATIENCE, check=True)

    def pid(self) -> int | None:
        """The process that serves."""
        told = json.loads(broadcaster(["status", "--json"], self.directory).stdout)
        return int(told["pid"]) if told["running"] and told["ready"] else None

    def hearers(self) -> str:
        return self.types("channels")


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(tmp_path)
    yield operator
    while (pid := operator.pid()) is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def test_from_init_to_deployment_with_pages_that_stay(operator: Operator, node: None, website: Website) -> None:
    require(executable() is not None, "chromium is not installed (make test-deps)")
    require(shutil.which("nginx") is not None, "nginx is not installed (make test-deps)")
    directory, port, front = operator.directory, free_port(), free_port()
    made = ("init", "--no-input", "--self-signed", "--name", "localhost", "--host", "127.0.0.1", "--port", str(port))
    app = json.loads(operator.types(*made, "--app-key", "page-key", "--json"))
    (directory / "front.pem").write_bytes(certificate())
    operator.runs_script("broadcaster start > /dev/null 2>&1 &")
    until(lambda: operator.pid() is not None, "the start")

    files = ("--certificate", str(directory / "front.pem"), "--key", str(directory / "front.pem"))
    trust = ("--ca", app["certificate"], "--access-log", "off", "--server-name", "localhost")
    printed = operator.types("nginx", "--listen", f"127.0.0.1:{front}", *files, *trust)
    options = json.dumps({"wsHost": "localhost", "wssPort": front, "forceTLS": True})
    pusher_page = {"key": app["key"], "port": str(front), "subscribe": CHANNEL, "options": options}
    echo_page = {"host": f"https://localhost:{front}", "subscribe": CHANNEL}
    with (
        Nginx(printed, front) as nginx,
        Chromium({}, f"--ignore-certificate-errors-spki-list={_fingerprint(certificate())}") as chromium,
        Tab(chromium, f"{website.url}/echo.html?{urlencode(echo_page)}") as echo,
        Tab(chromium, f"{website.url}/page.html?{urlencode(pusher_page)}") as pusher,
    ):
        pages = (echo, pusher)

        def both_hear(number: int) -> None:
            until(lambda: operator.hearers() == f"{CHANNEL}\t2\t\n", "both pages on the channel")
            operator.types("publish", CHANNEL, "news", json.dumps({"number": number}))
            for page in pages:
                page.until(f"told.some(({{ event, data }}) => event === 'news' && data.number === {number})")

        both_hear(1)

        before = _served(port)
        certify(app["certificate"], str(directory / "key.pem"), ["localhost"], lambda _: True)
        until(lambda: _served(port) != before, "the renewal")
        nginx.reload()
        both_hear(2)

        pid = operator.pid()
        operator.runs_script("broadcaster stop > /dev/null 2>&1 &\nbroadcaster start > /dev/null 2>&1 &")
        until(lambda: operator.pid() not in (None, pid), "the deployment")
        until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the old server", 60)
        for number in range(3, 8):
            both_hear(number)
        for page in pages:
            heard = page.until("told.filter(({ event }) => event === 'news').map(({ data }) => data.number)")
            assert heard == list(range(1, 8))


def _served(port: int) -> str:
    """The certificate that the server itself shows."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=PATIENCE)


def _fingerprint(pem: bytes) -> str:
    """What Chromium calls a certificate that it is told to believe."""
    key = x509.load_pem_x509_certificate(pem).public_key()
    return b64encode(sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
