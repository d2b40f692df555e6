"""docs/http-api.md tells the API as it is: its calls exist, its limits are those of the structs, its examples work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from broadcaster.settings import Limits
from broadcaster.web.publishing import read_batch, read_publish
from tests.inprocess import InProcess, app_with

DOCUMENT = (Path(__file__).parents[1] / "docs" / "http-api.md").read_text("utf-8")

CALLS = re.findall(r"^\| `(GET|POST) (/\S+)` \|", DOCUMENT, re.MULTILINE)
SENT = re.findall(r"^call (\w+) (\S+)(?: '([^']*)')?(?: '([^']*)')?$", DOCUMENT, re.MULTILINE)
LIMITS = re.findall(r"^\| `limits\.(\w+)` \| ([^|]+) \| (\d+)", DOCUMENT, re.MULTILINE)
STATUSES = re.findall(r"^\| (\d{3}) \|", DOCUMENT, re.MULTILINE)


@pytest.fixture
def server() -> Iterator[InProcess]:
    server = InProcess(app_with(id="1001"))
    yield server
    server.stop()


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_call_is_there_and_no_other_method_of_it(server: InProcess, method: str, path: str) -> None:
    for placeholder, value in (("<id>", "1001"), ("<name>", "presence-a"), ("<user>", "10")):
        path = path.replace(placeholder, value)
    target = f"{path}?auth_key={server.settings.apps[0].key}"
    assert server.http(method, target).status == 401
    answer = server.http("DELETE", target)
    assert (answer.status, answer.headers["allow"]) == (405, method)


def test_the_document_has_all_calls() -> None:
    assert len(CALLS) == 8


@pytest.mark.parametrize(("method", "path", "body", "query"), SENT)
def test_every_call_that_is_shown_works(server: InProcess, method: str, path: str, body: str, query: str) -> None:
    answer = server.call(method, path, body.encode() or None, query)
    assert answer.status == 200, answer.text
    shown = DOCUMENT[DOCUMENT.index(f"call {method} {path}") :]
    claimed = re.match(r"[^\n]*\n```\n\nanswers `(\{[^`…]*\})`[,.]", shown)
    if claimed:
        assert answer.json == json.loads(claimed[1]) or path.endswith("/users")


@pytest.mark.parametrize(("name", "default", "status"), LIMITS)
def test_limits_are_told_with_their_defaults(name: str, default: str, status: str) -> None:
    if name == "body_bytes":
        assert Limits().body_bytes is None
    else:
        assert getattr(Limits(), name) == int(default)
    assert status in (*STATUSES, "431")


def test_a_default_body_has_room_for_a_full_batch() -> None:
    limits = Limits()
    event = {"name": "e" * 200, "channel": "c" * 200, "data": '"' * limits.event_bytes}
    raw = json.dumps({"batch": [event] * limits.events_per_batch}).encode()
    assert len(raw) <= limits.largest_body()
    assert len(read_batch(raw, limits)) == limits.events_per_batch


def test_the_fields_of_an_event_are_those_that_are_read() -> None:
    fields = re.findall(r"^\| `(\w+)` \| (?:string|array of strings) \|", DOCUMENT, re.MULTILINE)
    assert fields == ["name", "data", "channels", "channel", "socket_id", "info"]
    known = {"name": "e", "data": "1", "channels": ["a"], "channel": "b", "socket_id": "1.2", "info": "user_count"}
    publish = read_publish(json.dumps(known).encode(), Limits())
    assert (publish.event.channels, publish.event.exclude, publish.wanted) == (("a",), "1.2", ("user_count",))
