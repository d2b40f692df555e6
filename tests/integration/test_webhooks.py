"""Webhooks of real processes, to a real receiver: checked by the official SDKs, and not lost with a process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pusher
import pytest
from websockets.sync.client import connect

from tests.processes import APP_ID, CONFIG, KEY, SECRET, Server, broadcaster, until
from tests.redis import Redis

pytestmark = pytest.mark.real

NODE = Path(__file__).parents[1] / "node"

VALIDATE = """
const Pusher = require("pusher")
const pusher = new Pusher({appId: "1", key: process.argv[1], secret: process.argv[2], cluster: "x"})
for (const {headers, body} of JSON.parse(require("fs").readFileSync(0))) {
  const hook = pusher.webhook({headers, rawBody: body})
  console.log(JSON.stringify({valid: hook.isValid(), events: hook.isValid() ? hook.getEvents() : []}))
}
"""


class Receiver:
    """A back end; ``answer`` is called with the number of the request, before it is answered with that status."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[int], int] = lambda number: 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), body))
                self.send_response(receiver.answer(len(receiver.requests)))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def events(self) -> list[dict[str, str]]:
        """Each event once, in the order of first coming."""
        found = [event for _, body in self.requests for event in json.loads(body)["events"]]
        return list({event["id"]: event for event in found}.values())

    def told(self, name: str) -> list[str]:
        return [event["channel"] for event in self.events if event["name"] == name]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def config(receiver: Receiver, more: str = "") -> str:
    return f'{CONFIG}\n[[apps.webhooks]]\nurl = "{receiver.url}"\n{more}'


@contextmanager
def subscribed(server: Server, *channels: str) -> Iterator[Any]:
    """A client that hears these."""
    with connect(server.websocket_url) as client:
        client.recv(10)
        for channel in channels:
            client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}))
            client.recv(10)
        yield client


def test_p269_the_sdks_of_node_and_python_take_what_comes(receiver: Receiver) -> None:
    with Server(config(receiver)) as server, subscribed(server, "a", "cache-b"):
        until(lambda: len(receiver.events) == 3, "the webhooks")
        sdk = pusher.Pusher(app_id=APP_ID, key=KEY, secret=SECRET)
        for headers, body in receiver.requests:
            assert sdk.validate_webhook(headers["X-Pusher-Key"], headers["X-Pusher-Signature"], body.decode())
        asked = [
            {"headers": {name.lower(): value for name, value in headers.items()}, "body": body.decode()}
            for headers, body in receiver.requests
        ]
        command = ["node", "-e", VALIDATE, KEY, SECRET]
        told = subprocess.run(
            command, cwd=NODE, input=json.dumps(asked), capture_output=True, text=True, timeout=20, check=True
        )
        answers = [json.loads(line) for line in told.stdout.splitlines()]
        assert [answer["valid"] for answer in answers] == [True] * len(receiver.requests)
        assert [event["name"] for answer in answers for event in answer["events"]] == [
            "channel_occupied",
            "channel_occupied",
            "cache_miss",
        ]


def test_what_a_receiver_has_not_taken_when_the_server_is_killed_comes_from_the_next(receiver: Receiver) -> None:
    receiver.answer = lambda number: 503
    with Server(config(receiver)) as server, subscribed(server, "a"):
        until(lambda: len(receiver.requests) > 0, "the first try")
        (first,) = receiver.events
        server.kill()
        listed = broadcaster(["webhooks", "--json"], server.directory)
        assert [letter["id"] for letter in json.loads(listed.stdout)["letters"]] == [first["id"]]
        receiver.answer = lambda number: 200
        tried = len(receiver.requests)
        server.start()
        until(lambda: len(receiver.requests) > tried, "the next try")
        assert receiver.told("channel_occupied") == ["a"]
        until(lambda: receiver.told("channel_vacated") == ["a"], "the end of the absence")


def test_an_answer_that_a_killed_server_did_not_hear_means_a_repeat_with_the_same_id(receiver: Receiver) -> None:
    with Server(config(receiver)) as server:

        def kill(number: int) -> int:
            if number == 1:
                server.kill()
            return 200

        receiver.answer = kill
        with connect(server.websocket_url) as client:
            client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "a"}}))
            until(lambda: len(receiver.requests) == 1, "the first try")
        server.wait()
        server.start()
        until(lambda: len(receiver.requests) == 2, "the repeat")
        assert len(receiver.events) == 1


def test_of_three_processes_on_one_redis_one_tells_and_what_a_killed_one_had_is_told_once(receiver: Receiver) -> None:
    with Redis() as redis:
        driver = f'[driver]\nname = "redis"\n[driver.redis]\nurl = "{redis.url}"\nlease_seconds = 2\n'
        configuration = config(receiver, driver)
        with ExitStack() as opened:
            servers = [opened.enter_context(Server(configuration)) for _ in range(3)]
            clients = [
                opened.enter_context(subscribed(each, "all", f"own-{number}")) for number, each in enumerate(servers)
            ]
            until(lambda: len(receiver.told("channel_occupied")) == 4, "the occupied channels")
            servers[0].kill()
            until(lambda: receiver.told("channel_vacated") == ["own-0"], "what the dead one had")
            clients[1].close()
            until(lambda: receiver.told("channel_vacated") == ["own-0", "own-1"], "what the second had")
            clients[2].close()
            until(lambda: len(receiver.told("channel_vacated")) == 4, "the rest")
            assert sorted(receiver.told("channel_occupied")) == ["all", "own-0", "own-1", "own-2"]
            assert sorted(receiver.told("channel_vacated")) == ["all", "own-0", "own-1", "own-2"]


def test_every_fact_comes_in_order_through_a_receiver_that_fails_one_in_three(tmp_path: Path) -> None:
    measured = Path(__file__).parents[2] / "benchmarks" / "webhooks.py"
    command = [sys.executable, str(measured), "--facts", "5000"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "missing 0, out of order 0" in told.stdout
