"""Servers in memory, with Pusher's limits, for the conformance cases; each test's server ends with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import globalLogPublisher

from broadcaster.interfaces import IDriver
from broadcaster.settings import App, Auth, Webhook, Webhooks
from tests.conformance.application import Application
from tests.conformance.receiver import URL, Backend
from tests.inprocess import InProcess, app_with

Serve = Callable[..., InProcess]
SocketIds = Callable[..., None]


@pytest.fixture
def logged() -> Iterator[list[dict[str, Any]]]:
    """Failures that were logged. A test that provokes some clears the list; any that are left fail the test."""
    failures: list[dict[str, Any]] = []

    def observe(event: dict[str, Any]) -> None:
        if event.get("log_failure") is not None:
            failures.append(event)

    globalLogPublisher.addObserver(observe)
    yield failures
    globalLogPublisher.removeObserver(observe)
    assert not failures, [failure["log_failure"].getTraceback() for failure in failures]


@pytest.fixture
def serve(logged: list[dict[str, Any]]) -> Iterator[Serve]:
    """Starts a server with the given apps and settings; ``through`` is the driver, instead of memory."""
    servers: list[InProcess] = []

    def start(*apps: App, through: IDriver | None = None, **settings: Any) -> InProcess:
        server = InProcess(*apps, using=through, **settings)
        servers.append(server)
        return server

    yield start
    for server in servers:
        for client in server.clients:
            client.events()
            # P284: pusher-js never comes back after such a code.
            assert client.close_code is None or client.close_code < 4300
        server.stop()
        server.reactor.advance(1)
        assert not server.reactor.getDelayedCalls()


@pytest.fixture
def server(serve: Serve) -> InProcess:
    """A server with one app, which has client events on."""
    return serve()


@pytest.fixture
def socket_ids(monkeypatch: pytest.MonkeyPatch) -> SocketIds:
    """Decides which socket ids the next clients get."""

    def are(*ids: str) -> None:
        upcoming = iter(ids)
        monkeypatch.setattr("broadcaster.web.site.new_socket_id", lambda: next(upcoming))

    return are


@pytest.fixture
def application(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Application:
    """An application with a ``server`` that asks it about private channels."""
    application = Application()
    monkeypatch.setattr(
        "broadcaster.auth.endpoint.AuthEndpoint._answer",
        lambda endpoint, address, cookie, subscribe: application.answer(address, cookie, subscribe),
    )
    application.server = serve(app_with(auth=Auth(host=("http://application.test",))))
    return application


@pytest.fixture
def backend(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Backend]:
    """Starts a ``server`` that tells a back end what happens; ``webhook`` and ``app`` are fields of those tables."""

    def start(webhook: dict[str, Any] | None = None, webhooks: dict[str, Any] | None = None, **app: Any) -> Backend:
        backend = Backend()
        monkeypatch.setattr("broadcaster.posting.Poster.post", lambda poster, *asked: backend.post(*asked))
        hooks = (Webhook(url=URL, **webhook or {}),)
        kept = Webhooks(file=str(tmp_path / "webhooks.sqlite"), **webhooks or {})
        backend.server = serve(app_with(webhooks=hooks, **app), webhooks=kept)
        return backend

    return start
