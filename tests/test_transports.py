"""The private parts of Twisted that `transports` stands on: that they exist, and behave as it relies on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from twisted.internet import tcp, unix
from twisted.internet.interfaces import IPullProducer
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from broadcaster.web.transports import hand_over, is_clear, is_secure, plain_socket
from tests.sockets import KINDS, Catcher, Caught, Peer, listening, run_until, turn

PLAIN = ("tcp", "unix")
MUCH = b"x" * 8_000_000
"""More than the kernel takes of a client that does not read."""


class Ends:
    """A link: the client's end, and the server's transport and protocol."""

    def __init__(self, connect: Callable[..., Peer], catcher: Catcher) -> None:
        self.peer = connect()
        run_until(lambda: catcher.caught, "the connection")
        self.protocol: Caught = catcher.caught[-1]
        self.transport: Any = self.protocol.transport


@pytest.fixture
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    """A link of the kind that the test asks for."""
    catcher = Catcher()
    with listening(request.param, catcher) as connect:
        yield Ends(connect, catcher)


on = pytest.mark.parametrize


@implementer(IPullProducer)
class Pulled:
    """A producer that has so many pieces to give."""

    def __init__(self, transport: Any, pieces: int) -> None:
        self.transport = transport
        self.pieces = pieces
        self.asked = 0
        self.stopped = False

    def resumeProducing(self) -> None:
        self.asked += 1
        if not is_clear(self.transport, closing=True):
            return
        if self.pieces:
            self.pieces -= 1
            self.transport.write(b"piece")
        else:
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        self.stopped = True


# ---- which transports may be written to directly --------------------------------------------------------------


@on("ends", PLAIN, indirect=True)
def test_a_plain_transports_own_socket_is_given(ends: Ends) -> None:
    assert type(ends.transport) in (tcp.Server, unix.Server)
    found = plain_socket(ends.transport)
    assert found is ends.transport.socket
    assert found is not None
    assert found.fileno() == ends.transport.fileno()
    assert found.getblocking() is False
    found.send(b"directly")
    assert ends.peer.read_until(lambda data: len(data) == 8) == b"directly"


@on("ends", ["tls", "wrapped"], indirect=True)
def test_a_transport_that_only_forwards_the_socket_is_never_written_to_directly(ends: Ends) -> None:
    assert isinstance(ends.transport, ProtocolWrapper)
    assert ends.transport.socket is not None, "it does forward it, which is the trap"
    assert plain_socket(ends.transport) is None


def test_neither_is_a_subclass_which_may_write_in_its_own_way() -> None:
    class Counting(tcp.Server):
        pass

    assert plain_socket(Counting.__new__(Counting)) is None
    assert plain_socket(StringTransport()) is None
    assert plain_socket(tcp.Client.__new__(tcp.Client)) is None


@on("ends", ["tls"], indirect=True)
def test_tls_is_known(ends: Ends) -> None:
    assert is_secure(ends.transport)


@on("ends", [*PLAIN, "wrapped"], indirect=True)
def test_what_is_not_tls_is_known(ends: Ends) -> None:
    assert not is_secure(ends.transport)


# ---- what Twisted holds back ----------------------------------------------------------------------------------


@on("ends", PLAIN, indirect=True)
def test_a_fresh_transport_is_clear(ends: Ends) -> None:
    assert is_clear(ends.transport)


@on("ends", PLAIN, indirect=True)
def test_what_was_written_this_turn_is_held_back_until_the_next(ends: Ends) -> None:
    ends.transport.write(b"later")
    assert not is_clear(ends.transport)
    assert not is_clear(ends.transport, closing=True)
    ends.peer.read_until(lambda data: data == b"later")
    assert is_clear(ends.transport)


@on("ends", PLAIN, indirect=True)
def test_what_the_socket_did_not_take_is_held_back_until_it_does(ends: Ends) -> None:
    ends.transport.write(MUCH)
    turn(20)
    assert not ends.transport._tempDataBuffer
    assert ends.transport.offset < len(ends.transport.dataBuffer), "the socket took all of it"
    assert not is_clear(ends.transport)
    assert ends.peer.read_until(lambda data: len(data) == len(MUCH)) == MUCH
    turn()
    assert is_clear(ends.transport)


@on("ends", PLAIN, indirect=True)
def test_a_transport_that_was_told_to_go_is_clear_only_for_who_finishes_it(ends: Ends) -> None:
    ends.transport.loseConnection()
    assert ends.transport.disconnecting
    assert not is_clear(ends.transport)
    assert is_clear(ends.transport, closing=True)
    ends.peer.read_to_end()


@on("ends", PLAIN, indirect=True)
def test_a_lost_transport_is_not_clear(ends: Ends) -> None:
    ends.transport.abortConnection()
    run_until(lambda: ends.protocol.lost, "the end")
    assert not is_clear(ends.transport)
    assert not is_clear(ends.transport, closing=True)
    ends.transport.write(b"nobody")
    ends.transport.loseConnection()


# ---- producers ------------------------------------------------------------------------------------------------


@on("ends", PLAIN, indirect=True)
def test_a_pull_producer_is_asked_at_once_and_whenever_all_is_out(ends: Ends) -> None:
    ends.transport.write(b"first")
    producer = Pulled(ends.transport, 3)
    ends.transport.registerProducer(producer, False)
    assert producer.asked == 1
    ends.peer.read_until(lambda data: data == b"first" + b"piece" * 3)
    turn()
    assert producer.asked == 5
    assert ends.transport.producer is None


@on("ends", PLAIN, indirect=True)
def test_a_transport_that_is_told_to_go_waits_for_its_producer(ends: Ends) -> None:
    ends.transport.write(MUCH)
    producer = Pulled(ends.transport, 3)
    ends.transport.registerProducer(producer, False)
    ends.transport.loseConnection()
    assert ends.peer.read_to_end() == MUCH + b"piece" * 3
    run_until(lambda: ends.protocol.lost, "the end")


@on("ends", PLAIN, indirect=True)
def test_a_producer_is_stopped_when_the_link_is_lost_or_was(ends: Ends) -> None:
    ends.transport.write(MUCH)
    producer = Pulled(ends.transport, 3)
    ends.transport.registerProducer(producer, False)
    ends.peer.socket.close()
    run_until(lambda: ends.protocol.lost, "the end")
    assert producer.stopped
    late = Pulled(ends.transport, 1)
    ends.transport.registerProducer(late, False)
    assert late.stopped
    assert late.asked == 0


# ---- half a link ----------------------------------------------------------------------------------------------


@on("ends", [*PLAIN, "wrapped"], indirect=True)
def test_half_a_link_is_closed_once_all_is_out_and_still_heard(ends: Ends) -> None:
    ends.transport.write(MUCH)
    ends.transport.loseWriteConnection()
    assert ends.peer.read_to_end() == MUCH
    ends.peer.send(b"still here")
    run_until(lambda: ends.protocol.received == b"still here", "hearing the peer")
    ends.transport.loseConnection()
    run_until(lambda: ends.protocol.lost, "the end")


# ---- handing over ---------------------------------------------------------------------------------------------


@on("ends", KINDS, indirect=True)
def test_after_a_hand_over_only_the_new_protocol_is_told(ends: Ends) -> None:
    ends.peer.send(b"to the old one")
    run_until(lambda: ends.protocol.received, "the first bytes")
    successor = Caught()
    hand_over(ends.transport, successor)
    assert successor.transport is ends.transport
    assert successor.connected
    ends.peer.send(b"to the new one")
    run_until(lambda: successor.received, "the second bytes")
    assert ends.protocol.received == b"to the old one"
    assert successor.received == b"to the new one"
    ends.peer.socket.close()
    run_until(lambda: successor.lost, "the end")
    assert ends.protocol.lost is None
