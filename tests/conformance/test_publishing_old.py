"""``POST /apps/<id>/channels/<name>/events``, the API of 2012: the body is the data, the rest is in the query."""

from __future__ import annotations

import pytest

from tests.conformance.expected import published
from tests.inprocess import Answer, InProcess


def old(server: InProcess, query: str, body: bytes = b"raw text", channel: str = "a") -> Answer:
    return server.call("POST", f"/channels/{channel}/events", body, query)


def test_the_old_api_takes_the_body_as_data_and_answers_202_without_a_body(server: InProcess) -> None:
    cause, other = server.joined("a"), server.joined("a")
    answer = old(server, f"name=e&socket_id={cause.name()}")
    assert (answer.status, answer.body) == (202, b"")
    assert cause.events() == []
    assert other.events() == [published("a", "raw text")]


@pytest.mark.parametrize("body", (b"", b'{"a": 1}', b'"quoted"', "é😀".encode()))
def test_the_old_api_tells_the_body_as_it_is(server: InProcess, body: bytes) -> None:
    client = server.joined("a")
    assert old(server, "name=e", body).status == 202
    assert client.events() == [published("a", body.decode())]


@pytest.mark.parametrize(
    ("query", "body", "status", "text"),
    (
        ("", b"1", 400, "Missing parameter: name"),
        ("name=", b"1", 400, "Missing parameter: name"),
        ("name=pusher:x", b"1", 400, "Event name may not start with pusher:"),
        ("name=e&socket_id=abc", b"1", 400, "Invalid socket id: abc"),
        ("name=e", b"\xff", 400, "Invalid parameter: data"),
        (
            "name=e",
            b"x" * 10_241,
            413,
            "The data content of this event exceeds the allowed maximum (10240 bytes) (limits.event_bytes = 10240)",
        ),
    ),
)
def test_the_old_api_keeps_the_rules_of_the_new_one(
    server: InProcess, query: str, body: bytes, status: int, text: str
) -> None:
    client = server.joined("a")
    answer = old(server, query, body)
    assert (answer.status, answer.text) == (status, text + "\n")
    assert client.events() == []


def test_the_old_api_knows_the_grammar_of_channels(server: InProcess) -> None:
    assert old(server, "name=e", channel="a:b").text == "Invalid channel name: a:b\n"
