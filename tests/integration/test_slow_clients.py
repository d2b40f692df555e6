"""Clients that do not read, on real sockets: they are held to their bounds, and nobody else notices them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broadcaster.settings import SlowClient
from broadcaster.web.websocket import WebSocket
from tests.failures import no_failures
from tests.serving import Browser, Serving
from tests.sockets import run_until, turn

pytestmark = pytest.mark.real

BOUND = 100_000
EVENT = 9_000
MANY = 1_200
"""Events that are more than the kernel and our bound take together of a client that does not read."""

KINDS = ("tcp", "unix", "tls")


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[str]]:
    with no_failures() as failures:
        yield failures


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def event(number: int) -> str:
    return str(number).ljust(EVENT, ".")


def flood(server: Serving, reader: Browser, count: int, first: int = 0) -> None:
    """Publish so many events; who reads gets each of them in its turn."""
    for number in range(first, first + count):
        server.publish("a", event(number))
        assert reader.data() == event(number)


def numbers(events: list[dict[str, str]]) -> list[int]:
    assert all(each["event"] == "e" for each in events)
    assert all(len(each["data"]) == EVENT for each in events)
    return [int(each["data"].rstrip(".")) for each in events]


def held(server: Serving) -> int:
    """Bytes that wait for clients in this process."""
    total = 0
    for connection in server.service.hub.connections():
        outbox = connection._transport._outbox  # type: ignore[attr-defined]
        raw = outbox._transport
        while hasattr(raw, "wrappedProtocol"):
            raw = raw.transport
        total += sum(len(data) for data, _ in outbox._backlog or ()) + len(raw.dataBuffer) - raw.offset
        total += raw._tempDataLen
    return total


def test_who_does_not_read_is_closed_with_4100_and_hears_whole_events_until_then(kind: str) -> None:
    with Serving(kind, slow_client=SlowClient(buffer_bytes=BOUND)) as server:
        slow, reader = server.open(receive_buffer=32_768), server.open()
        slow.subscribe("a")
        reader.subscribe("a")
        sent = 0
        while len(server.service.hub.connections()) == 2 and slow_is_open(server):
            flood(server, reader, 20, sent)
            sent += 20
            assert sent < MANY
            assert held(server) < 2 * BOUND + 200_000
        flood(server, reader, 20, sent)
        heard = numbers(slow.rest())
        assert heard == list(range(len(heard))), "none is missing in between, and none is cut"
        assert len(heard) < sent
        assert slow.close == (4100, "Over capacity")


def slow_is_open(server: Serving) -> bool:
    return all(connection._transport.state == WebSocket.STATE_OPEN for connection in server.service.hub.connections())  # type: ignore[attr-defined]


def test_who_does_not_even_read_the_close_is_cut_after_five_seconds(kind: str) -> None:
    with Serving(kind, slow_client=SlowClient(buffer_bytes=BOUND)) as server:
        slow, reader = server.open(receive_buffer=32_768), server.open()
        slow.subscribe("a")
        reader.subscribe("a")
        sent = 0
        while slow_is_open(server):
            flood(server, reader, 20, sent)
            sent += 20
            assert sent < MANY
        server.pass_seconds(3)
        assert server.service.hub.count() == 2
        server.pass_seconds(3)
        run_until(lambda: server.service.hub.count() == 1, "the end of the slow one")
        flood(server, reader, 5, sent)
        slow.peer.read_to_end()


def test_a_client_that_may_miss_old_events_hears_the_newest_and_every_member(kind: str) -> None:
    with Serving(kind, slow_client=SlowClient(buffer_bytes=BOUND, policy="drop_oldest")) as server:
        slow, reader = server.open(receive_buffer=32_768), server.open()
        slow.subscribe("a")
        reader.subscribe("a")
        for first in range(0, MANY, 20):
            flood(server, reader, 20, first)
            assert held(server) < 2 * BOUND + 200_000
        # Answers are no events: they may not be missed.
        slow.say("pusher:ping")
        turn()
        events = []
        while not events or events[-1]["event"] != "pusher:pong":
            found = slow.next()
            assert found is not None
            events.append(found)
        heard = numbers(events[:-1])
        assert heard == sorted(set(heard))
        assert heard[0] == 0
        assert heard[-1] == MANY - 1
        assert len(heard) < MANY
        flood(server, reader, 1, MANY)
        assert slow.data() == event(MANY)


def test_who_reads_again_in_time_misses_nothing(kind: str) -> None:
    with Serving(kind, slow_client=SlowClient(buffer_bytes=0)) as server:
        slow, reader = server.open(receive_buffer=32_768), server.open()
        slow.subscribe("a")
        reader.subscribe("a")
        flood(server, reader, MANY)
        assert [slow.data() for _ in range(MANY)] == [event(number) for number in range(MANY)]
        flood(server, reader, 3, MANY)
        assert [slow.data() for _ in range(3)] == [event(MANY + number) for number in range(3)]


def test_a_slow_client_that_says_goodbye_gets_its_answer_after_all_that_waits(kind: str) -> None:
    with Serving(kind, slow_client=SlowClient(buffer_bytes=0)) as server:
        slow, reader = server.open(receive_buffer=32_768), server.open()
        slow.subscribe("a")
        reader.subscribe("a")
        flood(server, reader, MANY // 2)
        slow.peer.send(b"\x88\x82mask" + bytes(byte ^ mask for byte, mask in zip(b"\x03\xe8", b"mask", strict=False)))
        run_until(lambda: server.service.hub.count() == 1, "its leaving")
        flood(server, reader, 5, MANY // 2)
        assert numbers(slow.rest()) == list(range(MANY // 2)), "nothing from after its goodbye"
        assert slow.close == (1000, "")
        assert slow.next() is None
        assert not slow.peer.reset
