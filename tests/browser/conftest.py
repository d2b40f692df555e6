"""One Chromium, one website and the servers that its pages connect to."""

from __future__ import annotations

from collections.abc import Iterator

import pusher
import pytest

from tests.browser.chromium import Chromium, executable
from tests.browser.website import Website, let_go, sdk
from tests.conftest import require
from tests.processes import Server


@pytest.fixture(scope="session")
def embedded() -> Iterator[Server]:
    """What `make run` starts: no configuration at all."""
    with Server(None) as server:
        yield server


@pytest.fixture(scope="session")
def website() -> Iterator[Website]:
    with Website() as website:
        yield website


@pytest.fixture(scope="session")
def chromium(node: None, website: Website, embedded: Server) -> Iterator[Chromium]:
    """A browser in which port 6001 of this machine is the embedded server's."""
    require(executable() is not None, "chromium is not installed (make test-deps)")
    with Chromium({6001: embedded.port}) as chromium:
        yield chromium


@pytest.fixture
def back_end(server: Server) -> Iterator[pusher.Pusher]:
    """The application's back end, which publishes to the shared server."""
    back_end = sdk(server.port)
    yield back_end
    let_go(back_end)
