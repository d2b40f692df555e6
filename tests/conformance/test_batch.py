"""``POST /apps/<id>/batch_events`` (P230–P234): several events in one call, all of them or none."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.errors import DriverError
from tests.conformance.conftest import Serve
from tests.conformance.expected import published
from tests.drivers import ScriptedDriver, raising
from tests.inprocess import Answer, InProcess


def event(channel: str = "a", data: Any = "1", **more: Any) -> dict[str, Any]:
    return {"name": "e", "channel": channel, "data": data, **more}


def batch(server: InProcess, *events: Any) -> Answer:
    return server.call("POST", "/batch_events", {"batch": events})


def test_p230_events_are_delivered_in_their_order(server: InProcess) -> None:
    client = server.joined("a", "b")
    answer = batch(server, event("a", "1"), event("a", "2"), event("b", "3"))
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", b"{}")
    assert client.events() == [published("a", "1"), published("a", "2"), published("b", "3")]


def test_p230_channels_with_one_name_is_as_good_as_channel(server: InProcess) -> None:
    client = server.joined("a")
    assert batch(server, {"name": "e", "channels": ["a"], "data": "1"}).status == 200
    assert client.events() == [published("a", "1")]


def test_p231_counts_come_in_the_order_of_the_events_that_asked(server: InProcess) -> None:
    server.joined("a")
    for user_id in ("1", "1"):
        server.joined().subscribe("presence-a", {"user_id": user_id})
    asking = [
        event("a"),
        event("presence-a", info="user_count"),
        event("a", info="user_count,subscription_count"),
        event("presence-a", info="subscription_count"),
    ]
    assert batch(server, *asking).json == {
        "batch": [{}, {"user_count": 1}, {"subscription_count": 1}, {"subscription_count": 2}]
    }


def test_p232_ten_events_are_the_most(server: InProcess) -> None:
    client = server.joined("a")
    assert batch(server, *[event()] * 10).status == 200
    assert len(client.events()) == 10
    answer = batch(server, *[event()] * 11)
    assert (answer.status, answer.text) == (400, "Batch too large (limits.events_per_batch = 10)\n")
    assert client.events() == []


@pytest.mark.parametrize(
    ("body", "text"),
    (
        ({}, "Missing parameter: batch"),
        ({"batch": []}, "Invalid parameter: batch"),
        ({"batch": None}, "Invalid parameter: batch"),
        ({"batch": {}}, "Invalid parameter: batch"),
        ({"batch": "[]"}, "Invalid parameter: batch"),
        ([], "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b'{"batch":[', "Invalid JSON"),
        (b'{"batch":' + b"[" * 50_000, "Invalid JSON"),
    ),
)
def test_p232_a_batch_is_a_list_with_something_in_it(server: InProcess, body: Any, text: str) -> None:
    answer = server.call("POST", "/batch_events", body)
    assert (answer.status, answer.text) == (400, text + "\n")


@pytest.mark.parametrize(
    ("bad", "status", "text"),
    (
        ({"channel": "a", "data": "1"}, 400, "Missing parameter: name"),
        (event(name="pusher:x"), 400, "Event name may not start with pusher:"),
        ({"name": "e", "channel": "a"}, 400, "Missing parameter: data"),
        ({"name": "e", "data": "1"}, 400, "Missing parameter: channels"),
        ({"name": "e", "data": "1", "channels": ["a", "b"]}, 400, "Invalid parameter: channels"),
        (event("a b"), 400, "Invalid channel name: a b"),
        (event(socket_id="abc"), 400, "Invalid socket id: abc"),
        (event(info="foo"), 400, "Unknown info attribute: foo"),
        ("x", 400, ""),
        (None, 400, ""),
        (
            event(data="x" * 10_241),
            413,
            "The data content of this event exceeds the allowed maximum (10240 bytes) (limits.event_bytes = 10240)",
        ),
    ),
)
def test_p233_the_event_at_fault_is_named_and_none_is_published(
    server: InProcess, bad: Any, status: int, text: str
) -> None:
    client = server.joined("a")
    answer = batch(server, event(), bad, event())
    assert answer.status == status
    assert answer.text.startswith(f"batch[1]: {text}")
    assert client.events() == []


def test_p234_each_event_leaves_out_whom_it_names(server: InProcess) -> None:
    first, second = server.joined("a"), server.joined("a")
    batch(server, event(data="1", socket_id=first.name()), event(data="2", socket_id=second.name()), event(data="3"))
    assert [told["data"] for told in first.events()] == ["2", "3"]
    assert [told["data"] for told in second.events()] == ["1", "3"]


def test_a_batch_of_the_largest_events_fits_into_a_body(server: InProcess) -> None:
    client = server.joined("a")
    # What takes most room for its size: a control character is six bytes of JSON.
    assert batch(server, *[event(data="\\" * 10_240)] * 10).status == 200
    assert len(client.events()) == 10


def test_a_driver_that_fails_one_event_of_a_batch_is_503(serve: Serve) -> None:
    driver = ScriptedDriver(publish=raising(DriverError("no route")))
    server = serve(through=driver)
    client = server.joined("a")
    answer = batch(server, event(), event())
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert len(driver.taken) == 2
    assert client.events() == []
