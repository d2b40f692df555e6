"""Ending connections from our side (P280, P281, P283, P284), and what follows a close frame: nothing.

P282, an app removed at reload, needs a reload, which the server has not yet.
"""

from __future__ import annotations

import pytest

from broadcaster.settings import Server, SlowClient
from tests.conformance.conftest import Serve
from tests.conformance.expected import PONG, error, published, removed, succeeded
from tests.inprocess import Client, InProcess, client_frame

GOODBYE = "Server is shutting down"


# ---- draining -------------------------------------------------------------------------------------------------


def test_p280_draining_closes_everybody_within_its_time(serve: Serve) -> None:
    server = serve(server=Server(drain_seconds=10))
    clients = [server.joined("my-channel") for _ in range(100)]
    done: list[object] = []
    server.service.drain().addCallback(done.append)
    closed = []
    for _ in range(10):
        server.advance(1, step=0.05)
        for client in clients:
            if client.close_code is None and not client.events() and client.close_code is not None:
                assert (client.close_code, client.close_reason) == (4200, GOODBYE)
                client.leave(4200)
                assert client.closed
        closed.append(sum(client.close_code is not None for client in clients))
        assert not done or closed[-1] == 100
    assert all(abs(count - 10 * second) <= 2 for second, count in enumerate(closed, 1)), closed
    server.advance(0.1)
    assert done == [None]


def test_p280_who_came_first_is_closed_neither_first_nor_last(serve: Serve) -> None:
    server = serve(server=Server(drain_seconds=10))
    clients = [server.joined() for _ in range(60)]
    server.service.drain()
    server.advance(5)
    for client in clients:
        client.events()
    closed = [client.close_code is not None for client in clients]
    assert closed not in (sorted(closed), sorted(closed, reverse=True))


def test_p280_events_are_delivered_until_the_close(serve: Serve) -> None:
    server = serve(server=Server(drain_seconds=10))
    client = server.joined("private-x")
    other = server.joined("private-x")
    server.service.drain()
    while client.close_code is None and other.close_code is None:
        client.say("client-t", "1", channel="private-x")
        assert other.events() == [published("private-x", "1", "client-t")]
        server.advance(1)
        assert client.events() == other.events() == []


def test_p280_who_does_not_answer_is_cut_and_waited_for_no_longer(server: InProcess) -> None:
    client = server.joined()
    done: list[object] = []
    server.service.drain().addCallback(done.append)
    while client.close_code is None:
        server.advance(1)
        assert client.events() == []
    assert not done
    server.advance(6)
    assert done == [None]
    assert client.closed


def test_p280_without_clients_there_is_nothing_to_wait_for(server: InProcess) -> None:
    done: list[object] = []
    server.service.drain().addCallback(done.append)
    assert done == [None]


@pytest.mark.parametrize("protocol", [5, 6, 7])
def test_p281_only_protocol_5_gets_an_error_before_the_close(server: InProcess, protocol: int) -> None:
    client = server.joined(query=f"protocol={protocol}")
    server.service.drain()
    server.advance(31)
    assert client.events() == ([error(GOODBYE, 4200)] if protocol == 5 else [])
    assert (client.close_code, client.close_reason) == (4200, GOODBYE)


# ---- slow clients ---------------------------------------------------------------------------------------------


def stop_reading(client: Client) -> None:
    client.link.producer.pauseProducing()


def read_on(client: Client) -> None:
    client.link.producer.resumeProducing()


@pytest.mark.parametrize("protocol", [5, 7])
def test_p283_a_slow_reader_is_closed_and_nobody_else_notices(serve: Serve, protocol: int) -> None:
    server = serve(slow_client=SlowClient(buffer_bytes=50_000))
    slow, other = server.joined("my-channel", query=f"protocol={protocol}"), server.joined("my-channel")
    stop_reading(slow)
    for number in range(100):
        assert server.publish("my-channel", data=str(number).ljust(1_000)).status == 200
        assert other.events() == [published("my-channel", str(number).ljust(1_000))]
    read_on(slow)
    assert slow.events() == ([error("Over capacity", 4100)] if protocol == 5 else [])
    assert (slow.close_code, slow.close_reason) == (4100, "Over capacity")


def test_p283_a_slow_reader_that_never_reads_is_cut(serve: Serve) -> None:
    server = serve(slow_client=SlowClient(buffer_bytes=10_000))
    slow = server.joined("my-channel")
    stop_reading(slow)
    for _ in range(20):
        server.publish("my-channel", data="x" * 1_000)
    assert server.service.hub.channels("3") == {}
    server.advance(6)
    assert slow.link not in server.links
    assert server.service.hub.count() == 0


def test_p283_below_the_bound_a_pause_costs_nothing(serve: Serve) -> None:
    server = serve(slow_client=SlowClient(buffer_bytes=50_000))
    client = server.joined("my-channel")
    stop_reading(client)
    for number in range(40):
        server.publish("my-channel", data=str(number).ljust(1_000))
    client.say("pusher:ping", {})
    assert client.events() == []
    read_on(client)
    sent = [published("my-channel", str(number).ljust(1_000)) for number in range(40)]
    assert client.events() == [*sent, PONG]


def test_a_slow_reader_may_lose_old_events_instead_of_its_connection(serve: Serve) -> None:
    server = serve(slow_client=SlowClient(buffer_bytes=20_000, policy="drop_oldest"))
    client = server.open()
    client.subscribe("presence-x", {"user_id": "1"})
    other = server.open()
    other.subscribe("presence-x", {"user_id": "2"})
    client.events()
    stop_reading(client)
    other.drop()
    for number in range(100):
        server.publish("presence-x", data=str(number).ljust(1_000))
    read_on(client)
    gone, *events = client.events()
    assert gone == removed("presence-x", "2")
    assert events == [published("presence-x", str(number).ljust(1_000)) for number in range(100 - len(events), 100)]
    assert 10 < len(events) < 20
    assert client.close_code is None


# ---- what follows a close -------------------------------------------------------------------------------------


def closing(server: InProcess, *channels: str) -> Client:
    """A client whom the server has told goodbye, and who has not answered."""
    client = server.joined(*channels)
    for _ in range(101):
        client.text("x")
    client.events()
    assert client.close_code == 4100
    return client


def test_while_closing_nothing_is_heard(server: InProcess) -> None:
    client = closing(server, "private-x")
    other = server.joined("private-x")
    client.say("pusher:ping", {})
    client.raw(client_frame(0x9, b"?"))
    client.raw(client_frame(0x2, b""))
    client.say("client-t", {}, channel="private-x")
    client.subscribe("private-y")
    client.text("x")
    assert client.events() == []
    assert client.pongs == []
    assert other.events() == []
    assert "private-y" not in server.service.hub.channels("3")


def test_promise_1_no_event_follows_our_close(server: InProcess) -> None:
    client = closing(server, "my-channel")
    server.publish("my-channel")
    assert client.events() == []


@pytest.mark.parametrize("frame", [client_frame(0x8, b"\x03\xe8"), client_frame(0x8, b""), client_frame(0x3, b"")])
def test_promise_1_no_event_follows_when_the_client_began(server: InProcess, frame: bytes) -> None:
    """The close comes between a publish and its delivery, in one turn of the reactor."""
    client, sender = server.joined("private-x"), server.joined("private-x")
    text = b'{"event":"client-t","channel":"private-x","data":1}'
    sender.link.protocol.dataReceived(client_frame(0x1, text))
    client.link.protocol.dataReceived(frame)
    assert client.events() == []
    assert client.close_code is not None


def test_a_client_that_closes_gets_its_close_back(server: InProcess) -> None:
    client = server.joined()
    client.leave(1000)
    assert client.events() == []
    assert client.close_code == 1000
    assert client.closed


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4001, 4999])
def test_p284_what_a_client_closes_with_is_said_back(server: InProcess, code: int) -> None:
    """The one way to a code of 4300 or more, and not ours: the answer to a close repeats its code (RFC 6455 §5.5.1)."""
    client = server.joined()
    client.leave(code)
    assert client.events() == []
    assert client.close_code == code
    server.clients.remove(client)


GOODBYES = {
    4100: client_frame(0x1, b"x") * 101,
    1009: client_frame(0x1, b" " * 90_000),
    1007: client_frame(0x1, b"\xff"),
    1002: client_frame(0x3, b""),
}


@pytest.mark.parametrize("code", GOODBYES)
def test_whoever_is_told_goodbye_has_left_already(server: InProcess, code: int) -> None:
    """Members are gone for the others at the close, not when the link ends, up to five seconds later."""
    watcher, leaver = server.open(), server.open()
    for client, user_id in (watcher, "1"), (leaver, "2"):
        client.subscribe("presence-x", {"user_id": user_id})
        client.events()
    watcher.events()
    leaver.raw(GOODBYES[code])
    assert watcher.events() == [removed("presence-x", "2")]
    leaver.events()
    assert leaver.close_code == code
    assert leaver.link in server.links
    leaver.leave(code)
    assert leaver.link not in server.links


@pytest.mark.parametrize("code", GOODBYES)
def test_a_link_that_was_told_goodbye_is_cut_after_five_seconds(server: InProcess, code: int) -> None:
    client = server.joined()
    client.raw(GOODBYES[code])
    server.advance(4)
    assert client.link in server.links
    server.advance(2)
    assert client.link not in server.links


def test_p284_no_refusal_ever_closes(server: InProcess) -> None:
    """Beside this, every test of these cases checks at its end that no close code is 4300 or more."""
    client = server.joined("private-x")
    for _ in range(12):
        client.say("client-t", {}, channel="private-x")
    client.say("client-" + "x" * 200, {}, channel="private-x")
    client.say("client-t", "x" * 10_241, channel="private-x")
    client.say("client-t", {}, channel="x")
    client.say("pusher:subscribe", {"channel": "private-y", "auth": "a:b"})
    codes = [frame["data"]["code"] for frame in client.events() if frame["event"] == "pusher:error"]
    assert codes == [4301] * 5 + [None]
    assert client.close_code is None
    client.subscribe("private-y")
    assert client.events() == [succeeded("private-y")]
