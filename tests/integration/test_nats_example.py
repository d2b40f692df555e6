"""The example of a driver of one's own, as its users have it: built, installed beside ours, found by its name, run."""

from __future__ import annotations

import hmac
import json
import shutil
import subprocess
import venv
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pusher
import pytest
from websockets.sync.client import connect

from tests import processes
from tests.conftest import require
from tests.processes import APP_ID, CONFIG, KEY, PATIENCE, SECRET, Server, clean_environment, free_port

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "broadcaster-nats"
NATS = shutil.which("nats-server")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean environment with our wheel and the example's; beside it the example's sources."""
    require(NATS is not None, "nats-server is not installed (make test-deps)")
    folder = tmp_path_factory.mktemp("nats")
    shutil.copytree(EXAMPLE, folder / "example", ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
    environment = folder / "environment"
    venv.create(environment, with_pip=True)
    pip = (environment / "bin" / "pip", "-q", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, folder / "example", cwd=folder)
    ours = next((ROOT / ".venv" / "wheel").glob("*.whl"))
    run(*pip, "install", ours, next(folder.glob("*.whl")), "pytest>=8", cwd=folder)
    return folder


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[int]:
    """A nats-server with JetStream; its port."""
    assert NATS is not None
    port = free_port()
    command = [NATS, "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(tmp_path / "store")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


class Browser:
    """A client of Pusher's protocol."""

    def __init__(self, server: Server, stack: ExitStack) -> None:
        self._socket = stack.enter_context(connect(server.websocket_url))
        self.socket_id = json.loads(self.next("pusher:connection_established"))["socket_id"]

    def close(self) -> None:
        self._socket.close()

    def subscribe(self, channel: str, user: str | None = None) -> Any:
        text, asked = f"{self.socket_id}:{channel}", {"channel": channel}
        if user is not None:
            asked["channel_data"] = json.dumps({"user_id": user})
            text += f":{asked['channel_data']}"
        asked["auth"] = f"{KEY}:{hmac.new(SECRET.encode(), text.encode(), 'sha256').hexdigest()}"
        self.say("pusher:subscribe", asked)
        return json.loads(self.next("pusher_internal:subscription_succeeded"))

    def say(self, event: str, data: Any, **more: str) -> None:
        self._socket.send(json.dumps({"event": event, "data": data, **more}))

    def next(self, name: str) -> Any:
        """The data of the next event, which must be that one."""
        event = json.loads(self._socket.recv(PATIENCE))
        assert event["event"] == name, event
        return event["data"]


def test_its_own_tests_pass_where_it_is_installed(installed: Path) -> None:
    tests = installed / "example" / "tests"
    assert " passed" in run(installed / "environment" / "bin" / "pytest", "-q", ".", cwd=tests)


def test_two_processes_on_nats_are_one_server(installed: Path, nats: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TWISTD", str(installed / "environment" / "bin" / "twistd"))
    config = f"""{CONFIG}client_events = true

[driver]
name = "nats"

[driver.nats]
url = "nats://127.0.0.1:{nats}"
lease_seconds = 1
"""
    with Server(config) as first, Server(config) as second, ExitStack() as stack:
        ann, ben = Browser(first, stack), Browser(second, stack)
        assert ann.subscribe("presence-a.b", "ann")["presence"]["ids"] == ["ann"]
        assert ben.subscribe("presence-a.b", "ben")["presence"]["ids"] == ["ann", "ben"]
        assert json.loads(ann.next("pusher_internal:member_added"))["user_id"] == "ben"
        for server in (first, second):
            sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=False, host="127.0.0.1", port=server.port)
            sdk.trigger("presence-a.b", "e", "x")
            assert [ann.next("e"), ben.next("e")] == ["x", "x"]
            assert sdk.channels_info("presence-", ["user_count"])["channels"] == {"presence-a.b": {"user_count": 2}}
            sdk._pusher_client.http.session.close()
        ben.say("client-typing", "1", channel="presence-a.b")
        assert ann.next("client-typing") == "1"
        eve = Browser(second, stack)
        eve.subscribe("presence-a.b", "eve")
        for client in (ann, ben):
            assert json.loads(client.next("pusher_internal:member_added"))["user_id"] == "eve"
        eve.close()
        for client in (ann, ben):
            assert json.loads(client.next("pusher_internal:member_removed"))["user_id"] == "eve"
        second.kill()
        assert json.loads(ann.next("pusher_internal:member_removed"))["user_id"] == "ben"
