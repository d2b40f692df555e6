"""How a running server ends: SIGTERM sends everybody elsewhere first, SIGINT and a second SIGTERM do not wait."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.processes import CONFIG, PATIENCE, Server, get, until

pytestmark = pytest.mark.real

PATIENT = CONFIG.replace("drain_seconds = 1", "drain_seconds = 600")


@pytest.fixture
def clients(own_server: Server) -> Iterator[list[ClientConnection]]:
    """Ten of them, greeted."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(own_server.websocket_url, open_timeout=PATIENCE)) for _ in range(10)]
        for client in clients:
            client.recv(PATIENCE)
        yield clients


@pytest.fixture
def own_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(getattr(request, "param", CONFIG)) as server:
        yield server


def closed_with(client: ClientConnection) -> int | None:
    """The close code, once the server has closed."""
    with suppress(ConnectionClosed):
        while True:
            client.recv(PATIENCE)
    return client.close_code


def test_p280_sigterm_spreads_closes_with_4200_over_the_drain_and_exits_0(
    own_server: Server, clients: list[ClientConnection]
) -> None:
    started = time.monotonic()
    own_server.send(signal.SIGTERM)
    assert [closed_with(client) for client in clients] == [4200] * len(clients)
    assert time.monotonic() - started > 0.1
    assert own_server.wait() == 0


@pytest.mark.parametrize("own_server", [PATIENT], indirect=True)
def test_p026_while_draining_newcomers_are_sent_elsewhere_at_once(
    own_server: Server, clients: list[ClientConnection]
) -> None:
    assert get(f"{own_server.url}/ready")[0] == 200
    own_server.send(signal.SIGTERM)
    until(lambda: get(f"{own_server.url}/ready")[0] == 503, "the drain")
    assert get(f"{own_server.url}/up")[0] == 200
    with connect(own_server.websocket_url) as newcomer:
        assert closed_with(newcomer) == 4200


@pytest.mark.parametrize("own_server", [PATIENT], indirect=True)
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(own_server: Server, clients: list[ClientConnection], second: int) -> None:
    own_server.send(signal.SIGTERM)
    until(lambda: get(f"{own_server.url}/ready")[0] == 503, "the drain")
    own_server.send(second)
    assert own_server.wait() == 0


@pytest.mark.parametrize("own_server", [PATIENT], indirect=True)
def test_sigint_ends_at_once_with_0(own_server: Server, clients: list[ClientConnection]) -> None:
    own_server.send(signal.SIGINT)
    assert own_server.wait() == 0


@pytest.mark.parametrize("own_server", [PATIENT], indirect=True)
def test_sigterm_without_clients_ends_at_once_with_0(own_server: Server) -> None:
    own_server.send(signal.SIGTERM)
    assert own_server.wait() == 0


def test_sigint_is_heard_though_a_script_started_the_server_in_the_background() -> None:
    """A shell's ``&`` makes its child ignore SIGINT, and Twisted leaves that as it found it."""
    ours = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Server() as server:
            server.send(signal.SIGINT)
            assert server.wait() == 0
    finally:
        signal.signal(signal.SIGINT, ours)
