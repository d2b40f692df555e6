"""Two servers that are one for a while: what is published at either is heard at both, once, and in order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import MsgspecError
from twisted.internet.testing import StringTransport

from broadcaster.drivers.memory import MemoryDriver
from broadcaster.messages import Event, Publication, Terminated
from broadcaster.relay import WAITING, Carrier, Relay, read, written
from broadcaster.testing import RecordingSink

texts = st.text(st.characters(codec=None), max_size=20)
plain = st.text(max_size=20)
events = st.builds(
    Event,
    plain,
    st.lists(plain, max_size=3).map(tuple),
    texts,
    st.none() | plain,
    st.none() | plain,
    st.booleans(),
    st.lists(st.binary(max_size=9), max_size=2).map(tuple),
)


@given(plain, events | st.builds(Terminated, plain))
def test_what_is_written_is_read_again(app_id: str, publication: Publication) -> None:
    line = written(app_id, publication)
    assert b"\n" not in line
    assert read(json.loads(line)) == (app_id, publication)


@given(st.binary(max_size=100))
def test_whatever_else_is_said_is_left_alone(junk: bytes) -> None:
    near, _, far = joined()
    near.dataReceived(junk + b"\n" + b'{"do": "carry", "app": 1}\n{"ok": true}\n')
    assert far.events == []
    assert not near.transport.disconnecting


class End:
    """A driver, and what it delivers."""

    def __init__(self) -> None:
        self.driver = MemoryDriver()
        self.sink = RecordingSink()
        self.driver.start(self.sink)

    @property
    def events(self) -> list[Any]:
        return [delivery.data for _, delivery in self.sink.delivered]


def joined() -> tuple[Any, StringTransport, End]:
    end, transport = End(), StringTransport()
    relay: Any = Relay(end.driver)
    relay.makeConnection(transport)
    return relay, transport, end


def event(data: str) -> Event:
    return Event("e", ("a",), data)


def test_what_is_published_here_is_told_there_and_not_back() -> None:
    relay, transport, end = joined()
    end.driver.publish("1", event("ours"))
    line = transport.value()
    assert line == written("1", event("ours")) + b"\n"
    transport.clear()
    relay.dataReceived(written("1", event("theirs")) + b"\n")
    assert end.events == ["ours", "theirs"]
    assert transport.value() == b""


def test_between_two_neighbours_it_is_passed_on() -> None:
    relay, _, end = joined()
    further = StringTransport()
    Relay(end.driver).makeConnection(further)
    relay.dataReceived(written("1", event("x")) + b"\n")
    assert further.value() == written("1", event("x")) + b"\n"


def test_who_is_gone_is_told_nothing() -> None:
    relay, transport, end = joined()
    relay.connectionLost()
    end.driver.publish("1", event("x"))
    assert transport.value() == b""


def test_who_does_not_read_is_waited_for_and_then_given_up() -> None:
    _, transport, end = joined()
    carrier: Carrier = transport.producer
    carrier.pauseProducing()
    for number in range(3):
        end.driver.publish("1", event(str(number)))
    assert transport.value() == b""
    carrier.resumeProducing()
    assert transport.value() == b"".join(written("1", event(str(number))) + b"\n" for number in range(3))
    carrier.pauseProducing()
    for _ in range(WAITING + 1):
        end.driver.publish("1", event("x"))
    assert transport.disconnecting
    assert end.driver._neighbours == []
    assert len(end.events) == WAITING + 4


def test_a_line_that_is_no_event_is_none() -> None:
    for said in ({}, {"do": "carry"}, {"do": "carry", "app": "1", "event": {"name": 1}}, {"do": "other", "app": "1"}):
        try:
            read(said)
        except MsgspecError:
            continue
        raise AssertionError(said)
