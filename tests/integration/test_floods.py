"""Too much of everything: each flood costs the server a bounded amount of memory, and nobody else notices it."""

from __future__ import annotations

import json
import resource
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count

import pytest

from tests.inprocess import client_frame
from tests.integration.vitals import MIB, descriptors, metric, resident
from tests.integration.wire import CLOSE, HANDSHAKE, PING, TEXT, Peer, command, frame, request
from tests.processes import APP_ID, CONFIG, PATIENCE, Server, get, until

pytestmark = pytest.mark.real

BUFFER = 262_144
"""What may wait for one client that does not read, in these tests."""

SLACK = 12 * MIB
"""What an allocator may keep of what it was given back."""

UNREAD = 4_096
"""A receive window of a client that does not read: what the kernel takes in for it is no test of ours."""


@pytest.fixture
def flooded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, with small buffers and the policy that the test asks for."""
    policy = getattr(request, "param", "disconnect")
    slow_client = f'[slow_client]\nbuffer_bytes = {BUFFER}\npolicy = "{policy}"\n'
    with Server(slow_client + CONFIG.replace("[limits]", "[limits]\nhandshake_seconds = 1")) as server:
        yield server


def growth(server: Server, flood: Callable[[], object]) -> int:
    """Bytes by which the second of two equal floods left the server larger than the first."""
    flood()
    before = resident(server)
    flood()
    return resident(server) - before


# ---- subscribers that do not read -----------------------------------------------------------------------------

SLOW, EVENTS, EVENT_BYTES = 20, 3_000, 10_000


@pytest.mark.parametrize("flooded", ["disconnect", "drop_oldest"], indirect=True)
def test_never_reading_subscribers_cost_a_bounded_buffer_and_the_others_get_everything(
    flooded: Server, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(Peer(flooded, UNREAD)).open() for _ in range(SLOW)]
        healthy = [stack.enter_context(Peer(flooded)).open() for _ in range(3)]
        for peer in slow + healthy:
            peer.subscribe("flood")
        publisher = stack.enter_context(Peer(flooded))
        before = peak = resident(flooded)
        for first in range(0, EVENTS, 10):
            publish(publisher, range(first, first + 10))
            for peer in healthy:
                assert [number_of(peer) for _ in range(10)] == list(range(first, first + 10))
            peak = max(peak, resident(flooded))
        assert peak - before < SLOW * BUFFER + SLACK < SLOW * EVENTS * EVENT_BYTES / 10
        if request.node.callspec.params["flooded"] == "disconnect":
            until(lambda: metric(flooded, "broadcaster_connections") == len(healthy), "the slow ones' end")
            assert metric(flooded, "broadcaster_slow_clients_total") == SLOW
        else:
            assert metric(flooded, "broadcaster_slow_clients_total") == 0
            assert metric(flooded, "broadcaster_dropped_writes_total") > SLOW
            for peer in slow:
                assert_only_a_gap_is_missing(peer)


def publish(publisher: Peer, numbers: range) -> None:
    filling = "x" * (EVENT_BYTES - 100)
    batch = [
        {"channel": "flood", "name": "news", "data": json.dumps({"number": number, "filling": filling})}
        for number in numbers
    ]
    publisher.send(request("POST", "/batch_events", json.dumps({"batch": batch}).encode()))
    assert publisher.head().startswith(b"HTTP/1.1 200 ")
    assert publisher.read(2) == b"{}"


def number_of(peer: Peer) -> int:
    event = peer.event()
    assert event["event"] == "news"
    return int(json.loads(event["data"])["number"])


def assert_only_a_gap_is_missing(peer: Peer) -> None:
    """It hears the first events and the last ones in order, and is answered again."""
    heard = [number_of(peer)]
    while heard[-1] < EVENTS - 1:
        heard.append(number_of(peer))
    assert heard == sorted(set(heard))
    assert heard[0] == 0
    assert len(heard) < EVENTS
    peer.send(command("pusher:ping"))
    assert peer.event()["event"] == "pusher:pong"


# ---- clients that ask and do not listen -----------------------------------------------------------------------


@pytest.mark.parametrize("flooded", ["drop_oldest"], indirect=True)
def test_clients_that_ask_and_never_listen_are_let_go(flooded: Server) -> None:
    """Under the kinder policy, too: answers cannot be dropped."""
    asking = (frame(b"x" * 125, PING), command("pusher:ping"), frame(b"{}"), command("pusher:subscribe", channel="a"))
    assert_let_go(flooded, [(HANDSHAKE, asked * 500) for asked in asking])
    assert metric(flooded, "broadcaster_connections") == 0


def test_those_who_ask_for_pages_and_never_read_them_are_let_go(flooded: Server) -> None:
    asking = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n\r\n" for path in ("/", "/metrics", "/up")
    )
    assert_let_go(flooded, [(b"", asked.encode() * 500) for asked in asking])


def assert_let_go(server: Server, asking: list[tuple[bytes, bytes]]) -> None:
    """The server ends each link whose peer asks on and on, and reads nothing, before much memory is taken."""
    before = peak = resident(server)
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        peers = {stack.enter_context(Peer(server, UNREAD)): asked for _, asked in asking}
        for peer, (start, _) in zip(peers, asking, strict=True):
            peer.send(start)
        while peers:
            assert time.monotonic() < deadline, f"{len(peers)} are still let ask"
            for peer, asked in list(peers.items()):
                try:
                    peer.send(asked)
                except ConnectionError:
                    del peers[peer]
            peak = max(peak, resident(server))
    assert peak - before < len(asking) * BUFFER + SLACK
    assert get(f"{server.url}/up")[0] == 200


def test_bodies_in_crumbs_cost_no_more_than_whole_ones(flooded: Server) -> None:
    crumbs = b"2\r\n[[\r\n" * 100_000
    head = f"POST /apps/{APP_ID}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    before = peak = resident(flooded)
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(flooded)) for _ in range(10)]
        for peer in peers:
            peer.send(head + crumbs)
        for _ in range(50):
            # Each of these needs turns of the reactor, in which it reads on of the others.
            get(f"{flooded.url}/up")
            peak = max(peak, resident(flooded))
        for peer in peers:
            peer.send(b"0\r\n\r\n")
            assert peer.head().startswith(b"HTTP/1.1 401 ")
    assert peak - before < len(peers) * 200_000 + SLACK


def test_a_message_that_inflates_without_end_is_refused_before_it_is_held() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(b"\0" * 80_000_000) + deflater.flush(zlib.Z_SYNC_FLUSH)
    version = b"Sec-WebSocket-Version"
    handshake = HANDSHAKE.replace(version, b"Sec-WebSocket-Extensions: permessage-deflate\r\n" + version)
    with Server(CONFIG.replace("[server]", "[server]\ncompression = true")) as server:
        before = peak = resident(server)
        for _ in range(10):
            with Peer(server) as peer:
                peer.send(handshake)
                assert b"permessage-deflate" in peer.head()
                peer.frame()
                peer.send(client_frame(TEXT, bomb, rsv=4))
                opcode, payload = peer.frame()
                assert (opcode, payload[:2]) == (CLOSE, (1009).to_bytes(2, "big"))
                peak = max(peak, resident(server))
        assert peak - before < SLACK


# ---- many names -----------------------------------------------------------------------------------------------


def test_a_hundred_thousand_subscriptions_and_unsubscriptions_leave_nothing(flooded: Server) -> None:
    with Peer(flooded).open() as peer:
        numbers = count()

        def flood() -> None:
            for _ in range(50):
                names = [f"channel-{next(numbers)}" for _ in range(500)]
                both = ("pusher:subscribe", "pusher:unsubscribe")
                peer.send(b"".join(command(event, channel=name) for name in names for event in both))
                for name in names:
                    assert peer.event() == succeeded(name)

        assert growth(flooded, flood) < SLACK
        assert metric(flooded, "broadcaster_channels") == 0


def test_fifty_thousand_channels_of_one_client_go_with_it(flooded: Server) -> None:
    def flood() -> None:
        with Peer(flooded).open() as peer:
            for first in range(0, 50_000, 500):
                names = [f"channel-{number}" for number in range(first, first + 500)]
                peer.send(b"".join(command("pusher:subscribe", channel=name) for name in names))
                for name in names:
                    assert peer.event() == succeeded(name)
            assert metric(flooded, "broadcaster_channels") == 50_000
        until(lambda: metric(flooded, "broadcaster_channels") == 0, "their end")

    assert growth(flooded, flood) < SLACK


def succeeded(channel: str) -> dict[str, str]:
    return {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": "{}"}


def test_channels_that_nobody_listens_to_leave_nothing(flooded: Server) -> None:
    with Peer(flooded) as peer:
        numbers = count()

        def flood() -> None:
            for _ in range(100):
                channels = [f"private-{next(numbers)}-{'x' * 180}" for _ in range(100)]
                body = json.dumps({"name": "news", "channels": channels, "data": "1"}).encode()
                peer.send(request("POST", "/events", body))
                assert peer.head().startswith(b"HTTP/1.1 200 ")
                assert peer.read(2) == b"{}"

        assert growth(flooded, flood) < SLACK


# ---- many links -----------------------------------------------------------------------------------------------


def test_ten_thousand_clients_that_vanish_leave_nothing(flooded: Server) -> None:
    """A third of them before the handshake is done, a third without waiting for its answer, a third subscribed."""
    before = descriptors(flooded)

    def flood() -> None:
        for _ in range(20):
            peers = [Peer(flooded) for _ in range(250)]
            for number, peer in enumerate(peers):
                said = HANDSHAKE + command("pusher:subscribe", channel=f"channel-{number % 7}")
                peer.send((said[:40], HANDSHAKE, said)[number % 3])
            for number, peer in enumerate(peers):
                if number % 3 == 2:
                    assert peer.head().startswith(b"HTTP/1.1 101 ")
                peer.vanish()

    assert growth(flooded, flood) < SLACK
    until(lambda: descriptors(flooded) <= before, "the return of the descriptors")
    assert metric(flooded, "broadcaster_connections") == metric(flooded, "broadcaster_channels") == 0


def test_whoever_dawdles_over_a_handshake_is_sent_away(flooded: Server) -> None:
    """However busy it seems: a byte now and then is no handshake."""
    before = descriptors(flooded)
    with ExitStack() as stack:
        peers = [stack.enter_context(Peer(flooded)) for _ in range(200)]
        sent = 0

        def all_are_gone() -> bool:
            nonlocal sent
            sent += 1
            for peer in peers:
                with suppress(ConnectionError):
                    peer.send(HANDSHAKE[sent : sent + 1])
            time.sleep(0.1)
            return descriptors(flooded) <= before

        until(all_are_gone, "their end")


def test_when_descriptors_run_out_newcomers_are_refused_and_the_others_served(flooded: Server) -> None:
    with Peer(flooded).open() as settled:
        settled.subscribe("channel")
        before = descriptors(flooded)
        resource.prlimit(flooded.pid, resource.RLIMIT_NOFILE, (before + 20, before + 20))
        with ExitStack() as stack:
            peers = [stack.enter_context(Peer(flooded)) for _ in range(200)]
            for peer in peers:
                with suppress(ConnectionError):
                    peer.send(HANDSHAKE)
            assert not any(peer.rest() for peer in peers[40:])
            settled.send(command("pusher:ping"))
            assert settled.event()["event"] == "pusher:pong"
            for peer in peers:
                peer.vanish()
        until(lambda: descriptors(flooded) <= before, "the return of the descriptors")
        with Peer(flooded) as newcomer:
            newcomer.open().subscribe("channel")
