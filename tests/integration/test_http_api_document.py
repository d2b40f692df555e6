"""The examples of docs/http-api.md, run as they stand there against a real server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from tests.conftest import require
from tests.processes import APP_ID, KEY, PATIENCE, SECRET, Server

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "http-api.md").read_text("utf-8")

Expect = Callable[[], dict[str, Any]]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def at(server: Server, text: str) -> str:
    """An example that speaks to ``server``; the app is the one of the examples already."""
    assert "6001" in text
    assert APP_ID in text and KEY in text and SECRET in text
    return text.replace("6001", str(server.port))


@pytest.fixture
def news(server: Server) -> Iterator[Expect]:
    """The next event that somebody on the channel of the examples hears."""
    with connect(server.websocket_url, open_timeout=PATIENCE) as socket:

        def expect(event: str) -> dict[str, Any]:
            while True:
                frame = json.loads(socket.recv(PATIENCE))
                if frame["event"] == event:
                    return dict(frame)

        expect("pusher:connection_established")
        socket.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "news"}}))
        expect("pusher_internal:subscription_succeeded")
        yield lambda: expect("greeting")


@pytest.mark.parametrize("shell", ("sh", "bash"))
def test_the_shell_examples(server: Server, shell: str) -> None:
    for program in (shell, "curl", "openssl"):
        require(shutil.which(program) is not None, f"{program} is not installed (make test-deps)")
    function, *calls = (block for block in blocks("sh") if "BROADCAST_CONNECTION" not in block)
    script = at(server, function) + "".join(f"{line}\necho\n" for block in calls for line in block.splitlines())
    done = subprocess.run([shell, "-e"], input=script, capture_output=True, text=True, timeout=PATIENCE)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "{}",
        "{}",
        "{}",
        '{"channels":{"news":{"subscription_count":0}}}',
        '{"channels":{}}',
        '{"channels":{}}',
        '{"occupied":false,"subscription_count":0}',
        '{"users":[]}',
        "{}",
        "{}",
    ]


def test_what_the_shell_publishes_is_heard(server: Server, news: Expect) -> None:
    function, publish = (block for block in blocks("sh")[:3] if "BROADCAST_CONNECTION" not in block)
    subprocess.run(["sh", "-e"], input=at(server, function) + publish, text=True, timeout=PATIENCE, check=True)
    assert news() == {"event": "greeting", "channel": "news", "data": '{"text":"hello"}'}


def test_the_python_example(server: Server, news: Expect) -> None:
    (example,) = blocks("python")
    names: dict[str, Any] = {}
    exec(at(server, example), names)
    names["client"]._pusher_client.http.session.close()
    assert json.loads(news()["data"]) == {"text": "hello"}


def test_the_node_example(node: None, server: Server, news: Expect) -> None:
    (example,) = blocks("js")
    modules = {**os.environ, "NODE_PATH": str(ROOT / "tests" / "node" / "node_modules")}
    subprocess.run(["node", "-e", at(server, example)], env=modules, timeout=PATIENCE, check=True)
    assert json.loads(news()["data"]) == {"text": "hello"}
