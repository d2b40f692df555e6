"""Browsers: what pusher-js's other transports are told (P290, P291), and CORS (P292)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Serve
from tests.inprocess import APP, NOW, Answer, InProcess, app_with, server_with, signed

TEXT = 'SockJS and XHR fallbacks are not served here; use enabledTransports: ["ws","wss"]\n'
PAGE = "https://app.test"


def call(server: InProcess, origin: str | None, path: str = "/channels", method: str = "GET") -> Answer:
    """A call from a page of ``origin``, signed."""
    target = signed(APP, method, f"/apps/3{path}", b"", "", NOW)
    return server.http(method, target, b"", {} if origin is None else {"Origin": origin})


# ---- other transports -----------------------------------------------------------------------------------------

FALLBACKS = (
    ("POST", "/pusher/app/K/1/abcdefgh/xhr_streaming?protocol=7&client=js&version=8.4.0&t=1&n=1"),
    ("POST", "/pusher/app/K/999/abcdefgh/xhr?protocol=7"),
    ("POST", "/pusher/app/K/0/abcdefgh/xhr_send?t=1&n=2"),
    ("GET", "/pusher/info"),
    ("GET", "/pusher/123/abcdefgh/jsonp"),
    ("GET", "/timeline/v2/jsonp/1?session=1"),
    ("GET", "/timeline/v2/xhr/2"),
)


@pytest.mark.parametrize(("method", "target"), FALLBACKS)
def test_p290_p291_a_fallback_is_told_at_once_that_it_leads_nowhere(
    server: InProcess, method: str, target: str
) -> None:
    answer = server.http(method, target, headers={"Origin": PAGE})
    assert (answer.status, answer.text) == (404, TEXT)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("method", "target"), FALLBACKS)
def test_p291_a_browser_that_asks_first_is_let_ask(server: InProcess, method: str, target: str) -> None:
    answer = server.http("OPTIONS", target, headers={"Origin": PAGE, "Access-Control-Request-Method": method})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"


@pytest.mark.parametrize("path", ("/pusher/auth", "/pusher/user-auth", "/broadcasting/auth", "/broadcasting/user-auth"))
@pytest.mark.parametrize("method", ("GET", "POST"))
def test_the_applications_own_endpoints_are_named_as_such(server: InProcess, method: str, path: str) -> None:
    answer = server.http(method, path)
    assert answer.status == 404
    assert answer.text == f"{path} belongs to your application: point the client's auth endpoint there\n"


# ---- CORS -----------------------------------------------------------------------------------------------------


def test_p292_a_page_may_ask_before_it_calls(server: InProcess) -> None:
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type, x-pusher-library",
    }
    answer = server.http("OPTIONS", "/apps/3/events", headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "content-type, x-pusher-library"
    assert "access-control-allow-credentials" not in answer.headers
    assert "content-length" not in answer.headers


def test_p292_everybodys_pages_may_read_what_they_are_answered(server: InProcess) -> None:
    assert call(server, PAGE).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in call(server, None).headers


@pytest.mark.parametrize(
    ("path", "method", "status"),
    (
        ("/apps/3/channels", "GET", 401),
        ("/apps/3/channels", "DELETE", 405),
        ("/apps/3/nothing", "GET", 404),
        ("/apps/99/channels", "GET", 404),
        ("/users/1/terminate_connections", "POST", 401),
    ),
)
def test_p292_an_error_can_be_read_too(server: InProcess, path: str, method: str, status: int) -> None:
    answer = server.http(method, path, headers={"Origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "*")


def test_p292_so_can_an_answer_that_takes_its_time(serve: Serve) -> None:
    server = serve(app_with(origins=(PAGE,)))
    server.joined("a")
    answer = call(server, PAGE, "/channels/a")
    assert (answer.json, answer.headers["access-control-allow-origin"]) == ({"occupied": True}, PAGE)


def test_p292_so_can_the_refusal_of_a_server_that_stops(server: InProcess) -> None:
    server.service.drain()
    answer = call(server, PAGE)
    assert (answer.status, answer.text) == (503, "Server is shutting down\n")
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["access-control-allow-origin"] == "*"


ORIGINS = (
    ("https://app.test", True),
    ("https://x.sub.test", True),
    ("https://sub.test", False),
    ("http://app.test", False),
    ("https://app.test:8443", False),
    ("https://app.test.evil.test", False),
    ("null", False),
)


@pytest.mark.parametrize("where", ("app", "server"))
@pytest.mark.parametrize(("origin", "allowed"), ORIGINS)
def test_p292_only_pages_of_allowed_origins_may_read(serve: Serve, where: str, origin: str, allowed: bool) -> None:
    origins = ("https://app.test", "https://*.sub.test")
    server = serve(app_with(origins=origins)) if where == "app" else serve(server=server_with(origins=origins))
    for answer in (
        call(server, origin),
        server.http("GET", "/apps/3/channels", headers={"Origin": origin}),
        server.http("OPTIONS", "/apps/3/events", headers={"Origin": origin}),
    ):
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)
        assert ("access-control-allow-methods" in answer.headers) is (allowed and answer.status == 204)
    read = call(server, origin)
    assert read.status == 200
    # A cache must not give one page what another one was answered.
    assert (read.headers.get("vary") == "Origin") is allowed


def test_p292_an_apps_origins_replace_the_servers(serve: Serve) -> None:
    server = serve(app_with(origins=(PAGE,)), server=server_with(origins=("https://other.test",)))
    assert call(server, PAGE).headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-origin" not in call(server, "https://other.test").headers
