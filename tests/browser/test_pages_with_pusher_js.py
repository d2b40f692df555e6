"""What people with an unchanged pusher-js in a real browser get."""

from __future__ import annotations

from contextlib import ExitStack

import pusher
import pytest

from tests.browser.chromium import Chromium, Tab
from tests.browser.website import Website, let_go, sdk
from tests.integration.javascript import NodeSdk
from tests.processes import CONFIG, Server

pytestmark = pytest.mark.real

SUBSCRIBED = "pusher:subscription_succeeded"
ATTEMPT = 40.0
"""Seconds: a pusher-js whose attempt failed waits for its 15 s timer before the next one."""

DATA = {"text": "Zoë 🚀 \u2028", "deep": [{"a": [None, True, 1.5]}]}


def test_p285_a_page_hears_what_python_and_node_publish(
    chromium: Chromium, website: Website, server: Server, back_end: pusher.Pusher
) -> None:
    with Tab(chromium, website.page(server.port, "page-public")) as tab, NodeSdk(server.port) as node_sdk:
        tab.until(f"heard('page-public', '{SUBSCRIBED}')")
        back_end.trigger("page-public", "from-python", DATA)
        node_sdk.call("trigger", "page-public", "from-node", DATA)
        assert tab.until("heard('page-public', 'from-python')")["data"] == DATA
        assert tab.until("heard('page-public', 'from-node')")["data"] == DATA
        assert tab.until("states") == ["connecting", "connected"]
        assert tab.errors() == []


def test_p285_a_page_gets_into_channels_that_its_own_website_lets_it_into(
    chromium: Chromium, website: Website, server: Server, back_end: pusher.Pusher
) -> None:
    with Tab(chromium, website.page(server.port, "private-page", "private-page-secret")) as tab:
        tab.until(f"heard('private-page', '{SUBSCRIBED}')")
        refusal = tab.until("heard('private-page-secret', 'pusher:subscription_error')")["data"]
        assert (refusal["type"], refusal["status"]) == ("AuthError", 403)
        back_end.trigger(["private-page", "private-page-secret"], "news", DATA)
        assert tab.until("heard('private-page', 'news')")["data"] == DATA
        assert tab.until("told.every((each) => each.channel !== 'private-page-secret' || each.event !== 'news')")


def test_p285_pages_see_each_other_come_and_go(chromium: Chromium, website: Website, server: Server) -> None:
    url = website.page(server.port, "presence-page")
    with Tab(chromium, url) as stays:
        assert stays.until(f"heard('presence-page', '{SUBSCRIBED}')")["data"]["count"] == 1
        with Tab(chromium, url) as goes:
            assert goes.until(f"heard('presence-page', '{SUBSCRIBED}')")["data"]["count"] == 2
            came = stays.until("heard('presence-page', 'pusher:member_added')")["data"]["id"]
            assert came == goes.until("pusher.connection.socket_id")
        assert stays.until("heard('presence-page', 'pusher:member_removed')")["data"]["id"] == came


def test_p285_a_page_whispers_to_another_one(chromium: Chromium, website: Website, server: Server) -> None:
    url = website.page(server.port, "private-page-whisper")
    with Tab(chromium, url) as speaks, Tab(chromium, url) as hears:
        for tab in (speaks, hears):
            tab.until(f"heard('private-page-whisper', '{SUBSCRIBED}')")
        assert speaks.until("pusher.channel('private-page-whisper').trigger('client-typing', { on: true })")
        assert hears.until("heard('private-page-whisper', 'client-typing')")["data"] == {"on": True}


def test_an_encrypted_channel_is_read_by_the_page(
    chromium: Chromium, website: Website, server: Server, back_end: pusher.Pusher
) -> None:
    url = website.page(server.port, "private-encrypted-page", path="/encrypted/page.html")
    with Tab(chromium, url) as tab:
        tab.until(f"heard('private-encrypted-page', '{SUBSCRIBED}')")
        back_end.trigger("private-encrypted-page", "news", DATA)
        assert tab.until("heard('private-encrypted-page', 'news')")["data"] == DATA


@pytest.mark.parametrize("compression", [False, True])
def test_a_browser_gets_compression_where_it_is_switched_on(
    chromium: Chromium, website: Website, compression: bool
) -> None:
    config = CONFIG.replace("[server]", f"[server]\ncompression = {str(compression).lower()}")
    large = "Zoë 🚀 " * 500
    with ExitStack() as stack:
        server = stack.enter_context(Server(config))
        tab = stack.enter_context(Tab(chromium, website.page(server.port, "private-page-large")))
        back_end = sdk(server.port)
        stack.callback(let_go, back_end)
        tab.until(f"heard('private-page-large', '{SUBSCRIBED}')")
        for number in range(3):
            back_end.trigger("private-page-large", f"large-{number}", {"text": large, "number": number})
        for number in range(3):
            event = tab.until(f"heard('private-page-large', 'large-{number}')")
            assert event["data"] == {"text": large, "number": number}
        assert tab.until("pusher.channel('private-page-large').trigger('client-large', { text: '🚀'.repeat(2000) })")
        url = server.websocket_url
        spoken = tab.until(
            f"new Promise((tell) => {{ const s = new WebSocket('{url}'); s.onopen = () => tell([s.extensions]) }})"
        )
        assert ("permessage-deflate" in spoken[0]) is compression
        assert tab.until("states") == ["connecting", "connected"]


def test_p285_a_page_comes_back_by_itself_after_the_server_was_killed_and_started(
    chromium: Chromium, website: Website
) -> None:
    channels = ("page-return", "private-page-return", "presence-page-return")
    with ExitStack() as stack:
        server = stack.enter_context(Server())
        tab = stack.enter_context(Tab(chromium, website.page(server.port, *channels)))
        for channel in channels:
            tab.until(f"heard('{channel}', '{SUBSCRIBED}')")
        before, socket_id = tab.until("told.length"), tab.until("pusher.connection.socket_id")
        server.kill()
        tab.until("states.at(-1) !== 'connected'")
        server.start()
        tab.until("states.at(-1) === 'connected'", ATTEMPT)
        assert tab.until("pusher.connection.socket_id") != socket_id
        for channel in channels:
            tab.until(f"heard('{channel}', '{SUBSCRIBED}', {before})")
        back_end = sdk(server.port)
        stack.callback(let_go, back_end)
        back_end.trigger(list(channels), "news", "back")
        for channel in channels:
            assert tab.until(f"heard('{channel}', 'news')")["data"] == "back"
