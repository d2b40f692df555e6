"""Fixtures that more than one kind of test needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import broadcaster
from tests.processes import Server


def pytest_report_header() -> str:
    return f"broadcaster: {broadcaster.__file__}"


def require(present: bool, missing: str) -> None:
    """Skip the test when what it needs is missing; in CI, where nothing may be missing, fail it."""
    if present:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    """The one server of all tests that leave it as they found it."""
    with Server() as server:
        yield server


@pytest.fixture
def server(shared_server: Server, request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server with Pusher's limits. It is shared: use channel names of your own."""
    before = len(shared_server.log())
    yield shared_server
    said = shared_server.log()[before:]
    request.node.add_report_section("teardown", "server", said)
    assert "Traceback" not in said and "Unhandled" not in said, said


@pytest.fixture(scope="session")
def node() -> None:
    """Node and the packages of tests/node are there."""
    require(shutil.which("node") is not None, "node is not installed (make test-deps)")
    require(
        (Path(__file__).parent / "node" / "node_modules").exists(), "the npm packages are not installed (make test)"
    )
