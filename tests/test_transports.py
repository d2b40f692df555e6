"""The private parts of Twisted that `transports` stands on: that they exist, and behave as it relies on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from socket import SHUT_RDWR, SO_SNDBUF, SOL_SOCKET
from typing import Any

import pytest
from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper
from zope.interface import implementer

from broadcaster.web.transports import (
    RECORD,
    hand_over,
    is_clear,
    is_sealing,
    is_secure,
    leave,
    plain_socket,
    slim,
    write_sealed,
)
from tests.sockets import KINDS, Catcher, Caught, Peer, listening, reactor, run_until, turn

PLAIN = ("tcp", "unix")
SEALED = ("tls", "sealed")
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


@on("ends", [*SEALED, "wrapped"], indirect=True)
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


@on("ends", [*SEALED, "sealed and wrapped"], indirect=True)
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


# ---- TLS ------------------------------------------------------------------------------------------------------


@on("ends", SEALED, indirect=True)
def test_tls_on_a_plain_socket_is_sealed_by_us(ends: Ends) -> None:
    assert is_sealing(ends.transport)


@on("ends", [*PLAIN, "wrapped", "sealed and wrapped"], indirect=True)
def test_nothing_else_is(ends: Ends) -> None:
    assert not is_sealing(ends.transport)


@on("ends", SEALED, indirect=True)
def test_what_is_sealed_is_in_the_socket_at_once(ends: Ends) -> None:
    write_sealed(ends.transport, b"now")
    ends.peer.socket.setblocking(True)
    assert ends.peer.socket.recv(100) == b"now"


@on("ends", SEALED, indirect=True)
@on("size", [1, RECORD - 1, RECORD, RECORD + 1, 5 * RECORD, 1_000_001])
def test_any_size_arrives_whole_and_in_order(ends: Ends, size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    write_sealed(ends.transport, data[:size])
    write_sealed(ends.transport, b"behind")
    assert ends.peer.read_until(lambda got: len(got) == size + 6) == data[:size] + b"behind"


@on("ends", SEALED, indirect=True)
def test_nothing_sealed_overtakes_what_twisted_holds_back(ends: Ends) -> None:
    ends.transport.transport.socket.setsockopt(SOL_SOCKET, SO_SNDBUF, 65_536)
    ends.transport.write(b"first")
    write_sealed(ends.transport, b"second")
    ends.transport.write(MUCH[:2_000_000])
    write_sealed(ends.transport, b"third")
    turn()
    write_sealed(ends.transport, b"fourth")
    expected = b"firstsecond" + MUCH[:2_000_000] + b"thirdfourth"
    assert ends.peer.read_until(lambda data: len(data) == len(expected)) == expected
    turn()
    assert is_clear(ends.transport.transport)


@on("kind", SEALED)
def test_what_is_written_before_the_handshake_waits_for_it(kind: str) -> None:
    class Hasty(Caught):
        def connectionMade(self) -> None:
            write_sealed(self.transport, b"early ")
            slim(self.transport)

    catcher = Catcher(Hasty)
    with listening(kind, catcher) as connect:
        peer = connect()
        write_sealed(catcher.caught[0].transport, b"late")
        assert peer.read_until(lambda data: len(data) == 10) == b"early late"


@on("ends", SEALED, indirect=True)
def test_a_link_that_was_told_to_go_says_goodbye_after_the_last_word(ends: Ends) -> None:
    ends.transport.transport.socket.setsockopt(SOL_SOCKET, SO_SNDBUF, 65_536)
    write_sealed(ends.transport, MUCH[:2_000_000])
    write_sealed(ends.transport, b"last")
    ends.transport.loseConnection()
    write_sealed(ends.transport, b"too late")
    assert ends.peer.read_to_end() == MUCH[:2_000_000] + b"last"
    assert not ends.peer.reset


@on("ends", SEALED, indirect=True)
def test_a_lost_link_takes_nothing_and_raises_nothing(ends: Ends) -> None:
    ends.peer.socket.close()
    run_until(lambda: ends.protocol.lost, "the end")
    write_sealed(ends.transport, b"nobody")
    slim(ends.transport)


@on("ends", SEALED, indirect=True)
def test_a_socket_that_breaks_between_two_writes_is_left_to_twisted(ends: Ends) -> None:
    ends.transport.transport.socket.shutdown(SHUT_RDWR)
    write_sealed(ends.transport, b"nobody")
    run_until(lambda: ends.protocol.lost, "the end")


@on("kind", SEALED)
def test_a_peer_may_ask_for_new_keys_at_any_time(kind: str) -> None:
    catcher = Catcher()
    with listening(kind, catcher) as connect:
        port = connect().socket.getpeername()[1]
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with client:
            assert client.stdin is not None
            assert client.stdout is not None
            os.set_blocking(client.stdout.fileno(), False)
            told = b""

            def tells(what: bytes) -> bool:
                nonlocal told
                assert client.stdout is not None
                told += client.stdout.read() or b""
                return what in told

            run_until(lambda: tells(b"Verify return code"), "the handshake")
            protocol = catcher.caught[-1]
            for index in range(3):
                client.stdin.write(b"K\n")
                client.stdin.flush()
                run_until(lambda index=index: tells(b"KEYUPDATE") and told.count(b"KEYUPDATE") > index, "the request")
                client.stdin.write(b"hello %d\n" % index)
                client.stdin.flush()
                run_until(lambda index=index: b"hello %d\n" % index in protocol.received, "hearing the peer")
                write_sealed(protocol.transport, b"answer %d\n" % index)
                run_until(lambda index=index: tells(b"answer %d\n" % index), "the answer")
            client.kill()


@on("ends", SEALED, indirect=True)
def test_what_the_handshake_left_behind_is_let_go_of_and_nothing_else(ends: Ends) -> None:
    before = ends.transport._tlsConnection._from_ssl
    ends.peer.send(b"one")
    run_until(lambda: ends.protocol.received == b"one", "hearing the peer")
    write_sealed(ends.transport, b"two")
    slim(ends.transport)
    assert ends.transport._tlsConnection._from_ssl is not before
    write_sealed(ends.transport, b"three")
    ends.transport.write(b"four")
    ends.peer.send(b"five")
    run_until(lambda: ends.protocol.received == b"onefive", "hearing the peer")
    assert ends.peer.read_until(lambda data: len(data) == 12) == b"twothreefour"
    ends.transport.loseConnection()
    ends.peer.read_to_end()


@on("ends", SEALED, indirect=True)
def test_what_was_not_read_yet_is_not_let_go_of(ends: Ends) -> None:
    connection = ends.transport._tlsConnection
    before = connection._into_ssl
    connection.bio_write(b"half a rec")
    slim(ends.transport)
    assert connection._into_ssl is before


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


# ---- leaving --------------------------------------------------------------------------------------------------


@on("ends", PLAIN, indirect=True)
def test_a_clear_transport_is_left_at_once_and_completely(ends: Ends) -> None:
    leave(ends.transport)
    assert ends.protocol.lost is not None
    assert ends.protocol.lost.check(ConnectionDone)
    assert not ends.transport.connected
    assert ends.transport not in [*reactor.getReaders(), *reactor.getWriters()]
    leave(ends.transport)
    assert ends.peer.read_to_end() == b""
    assert not ends.peer.reset


@on("ends", PLAIN, indirect=True)
def test_what_is_held_back_goes_out_before_a_transport_is_left(ends: Ends) -> None:
    ends.transport.write(MUCH)
    leave(ends.transport)
    leave(ends.transport)
    assert ends.protocol.lost is None
    assert ends.peer.read_to_end() == MUCH
    ends.peer.socket.close()
    run_until(lambda: ends.protocol.lost, "the end")


@on("ends", PLAIN, indirect=True)
def test_half_a_link_can_be_left_too(ends: Ends) -> None:
    ends.transport.loseWriteConnection()
    turn()
    leave(ends.transport)
    assert ends.protocol.lost is not None
    assert ends.peer.read_to_end() == b""


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
