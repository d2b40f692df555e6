"""What a process of our own does to its reactor; signals and exit statuses are tried on real processes elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.python import log

from broadcaster.process import poll_directly


class Pipe:
    """Something to read from, told when it can be and when it is over."""

    disconnected = False

    def __init__(self, fault: Exception | None = None) -> None:
        self.ear, self.mouth = os.pipe()
        self.fault = fault
        self.heard = b""
        self.lost: list[object] = []

    def fileno(self) -> int:
        return -1 if self.lost else self.ear

    def logPrefix(self) -> str:
        raise AssertionError("nobody asks for a prefix")

    def doRead(self) -> None:
        if self.fault is not None:
            raise self.fault
        self.heard += os.read(self.ear, 100)

    def connectionLost(self, reason: object) -> None:
        self.lost.append(reason)

    def readConnectionLost(self, reason: object) -> None:
        self.connectionLost(reason)

    def close(self) -> None:
        os.close(self.ear)
        os.close(self.mouth)


@pytest.fixture
def pipe() -> Iterator[Any]:
    pipes: list[Pipe] = []

    def make(fault: Exception | None = None) -> Pipe:
        pipes.append(Pipe(fault))
        return pipes[-1]

    yield make
    for each in pipes:
        each.close()


@pytest.fixture
def reactor(pipe: Any) -> Iterator[Any]:
    """A reactor of the test's own, which nobody else knows."""
    made = EPollReactor()
    poll_directly(made)
    yield made
    made.removeAll()
    for internal in made._internalReaders:
        internal.connectionLost(None)
    made._poller.close()


def test_what_can_be_read_is_read(reactor: Any, pipe: Any) -> None:
    one, other = pipe(), pipe()
    for each in (one, other):
        reactor.addReader(each)
    os.write(one.mouth, b"hello")
    reactor.doIteration(1)
    assert (one.heard, other.heard) == (b"hello", b"")
    reactor.doIteration(0)
    assert one.heard == b"hello"


def test_who_is_gone_meanwhile_is_left_alone(reactor: Any, pipe: Any) -> None:
    """Of two that are ready the first may take the second away."""
    pipes = [pipe(), pipe()]
    for each in pipes:
        reactor.addReader(each)
        os.write(each.mouth, b"x")

    def all_go() -> None:
        for each in pipes:
            reactor.removeReader(each)

    for each in pipes:
        each.doRead = all_go
    reactor.doIteration(1)
    assert [each.lost for each in pipes] == [[], []]


def test_what_a_transport_raises_is_logged_and_ends_it_alone(reactor: Any, pipe: Any) -> None:
    faulty, sound = pipe(ZeroDivisionError()), pipe()
    for each in (faulty, sound):
        reactor.addReader(each)
        os.write(each.mouth, b"x")
    logged: list[dict[str, Any]] = []
    log.addObserver(logged.append)
    reactor.doIteration(1)
    log.removeObserver(logged.append)
    assert len(faulty.lost) == 1
    assert sound.heard == b"x"
    assert [type(event["failure"].value) for event in logged if event["isError"]] == [ZeroDivisionError]


def test_any_other_reactor_stays_as_it_is() -> None:
    reactor = MemoryReactorClock()
    before = dict(vars(reactor))
    poll_directly(reactor)
    assert vars(reactor) == before
