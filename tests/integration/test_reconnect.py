"""A page with an unchanged pusher-js comes back by itself when its server has gone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.integration.conftest import LIBRARIES
from tests.integration.javascript import Browser, NodeSdk, Tab
from tests.integration.relay import Relay
from tests.processes import Server

pytestmark = pytest.mark.real

CHANNEL = "presence-return"
ATTEMPT = 40.0
"""Seconds: a pusher-js whose attempt failed waits for its 15 s timer before the next one."""


@pytest.fixture
def stack(node: None) -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_p285_each_generation_comes_back_after_the_server_was_killed_and_started(stack: ExitStack) -> None:
    server = stack.enter_context(Server())
    browsers = [stack.enter_context(Browser(library, server.port)) for library in LIBRARIES]
    tabs = joined(browsers)
    before = [len(browser.seen) for browser in browsers]
    server.kill()
    server.start()
    all_are_back(tabs, before, stack.enter_context(NodeSdk(server.port)))


def test_p285_each_generation_goes_to_the_successor_after_4200(stack: ExitStack) -> None:
    """With nobody to go to, pusher-js before 8.2 gives up in Node (not in browsers): there it takes every close for an
    unclean one, since its WebSocket says nothing of ``wasClean``, and two of those within 240 s are its last.
    """
    server, successor = stack.enter_context(Server()), stack.enter_context(Server())
    relay = stack.enter_context(Relay(server.port))
    browsers = [stack.enter_context(Browser(library, relay.port)) for library in LIBRARIES]
    tabs = joined(browsers)
    before = [len(browser.seen) for browser in browsers]
    relay.target = successor.port
    server.send(signal.SIGTERM)
    all_are_back(tabs, before, stack.enter_context(NodeSdk(successor.port)))
    assert server.wait() == 0
    for browser, since in zip(browsers, before, strict=True):
        errors = [line["error"]["code"] for line in browser.seen[since:] if line["kind"] == "error"]
        assert set(errors) == {4200}


def joined(browsers: list[Browser]) -> list[Tab]:
    """A tab in each browser, a member of the channel."""
    tabs = [browser.tab("a", presence={"user_id": browser.library}) for browser in browsers]
    for tab in tabs:
        tab.join(CHANNEL, "news")
    return tabs


def all_are_back(tabs: list[Tab], before: list[int], sdk: NodeSdk) -> None:
    """Each is connected anew, is a member once again, and hears events."""
    old = {tab.socket_id for tab in tabs}
    new = {tab.until_state("connected", since, ATTEMPT)["socket_id"] for tab, since in zip(tabs, before, strict=True)}
    assert len(new) == len(tabs)
    assert not new & old
    for tab, since in zip(tabs, before, strict=True):
        tab.expect(CHANNEL, "pusher:subscription_succeeded", since)
    sdk.call("trigger", CHANNEL, "news", "back")
    for tab, since in zip(tabs, before, strict=True):
        assert tab.expect(CHANNEL, "news", since)["data"] == "back"
    status, body = sdk.call("get", {"path": f"/channels/{CHANNEL}/users"})
    assert (status, sorted(user["id"] for user in body["users"])) == (200, sorted(LIBRARIES))
