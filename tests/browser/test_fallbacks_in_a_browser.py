"""What a browser sees of the transports that are not served: a clear 404 that its page may read."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Chromium, Tab
from tests.browser.website import Website
from tests.integration.javascript import Line
from tests.processes import Server

pytestmark = pytest.mark.real

TEXT = 'SockJS and XHR fallbacks are not served here; use enabledTransports: ["ws","wss"]\n'

FALLBACKS = (
    ("GET", "/pusher/info"),
    ("POST", "/pusher/app/app-key/1/abcdefgh/xhr_streaming?protocol=7&client=js&version=8.4.0"),
    ("GET", "/timeline/v2/xhr/2?session=1"),
)


@pytest.mark.parametrize(("method", "path"), FALLBACKS)
def test_p290_p291_a_page_of_another_origin_can_read_the_refusal(
    chromium: Chromium, website: Website, server: Server, method: str, path: str
) -> None:
    asked = f"fetch('{server.url}{path}', {{ method: '{method}', headers: {{ 'X-Asks-First': '1' }} }})"
    with Tab(chromium, website.page(server.port)) as tab:
        assert tab.until(f"{asked}.then(async (answer) => [answer.status, await answer.text()])") == [404, TEXT]


def test_p290_pusher_js_that_may_only_stream_is_refused_at_once(
    chromium: Chromium, website: Website, server: Server
) -> None:
    url = website.page(server.port, enabledTransports=["xhr_streaming"], **here(server))
    with Tab(chromium, url) as tab:
        tab.until("performance.getEntriesByType('resource').some(({ name }) => name.includes('/xhr_streaming'))")
        assert statuses(tab, f"{server.url}/pusher/app/") == {404}
        assert tab.until("pusher.connection.state") == "connecting"
        assert not [error for error in tab.errors() if "CORS" in error]


def test_p291_pusher_js_with_statistics_and_all_its_transports_just_works(
    chromium: Chromium, website: Website, server: Server
) -> None:
    """`enabledTransports: null` is pusher-js's own default: every one that it knows."""
    statistics = {"enableStats": True, "statsHost": f"127.0.0.1:{server.port}"}
    url = website.page(server.port, "page-statistics", enabledTransports=None, **here(server), **statistics)
    with Tab(chromium, url) as tab:
        tab.until("heard('page-statistics', 'pusher:subscription_succeeded')")
        tab.until("performance.getEntriesByType('resource').some(({ name }) => name.includes('/timeline/'))")
        assert statuses(tab, f"{server.url}/timeline/") == {404}
        assert tab.until("states") == ["connecting", "connected"]


def here(server: Server) -> Line:
    """pusher-js's options that let its fall-backs ask this server."""
    return {"httpHost": "127.0.0.1", "httpPort": server.port, "httpPath": "/pusher"}


def statuses(tab: Tab, prefix: str) -> set[int]:
    return {answer["status"] for answer in tab.answers() if answer["url"].startswith(prefix)}
