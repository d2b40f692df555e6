"""Stock clients and SDKs against the shared server."""

from __future__ import annotations

from collections.abc import Iterator

import pusher
import pytest

from tests.integration.javascript import Browser, NodeSdk
from tests.processes import APP_ID, KEY, SECRET, Server

LIBRARIES = ("pusher-js-8", "pusher-js-7", "pusher-js-4")


@pytest.fixture(params=LIBRARIES)
def browser(request: pytest.FixtureRequest, node: None, server: Server) -> Iterator[Browser]:
    """A browser with each of the supported generations of pusher-js in turn."""
    with Browser(request.param, server.port) as browser:
        yield browser


@pytest.fixture
def node_sdk(node: None, server: Server) -> Iterator[NodeSdk]:
    with NodeSdk(server.port) as sdk:
        yield sdk


@pytest.fixture
def python_sdk(server: Server) -> Iterator[pusher.Pusher]:
    """A back end that uses Pusher's official Python SDK."""
    sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=False, host="127.0.0.1", port=server.port)
    yield sdk
    sdk._pusher_client.http.session.close()
