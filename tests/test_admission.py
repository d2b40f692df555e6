"""Who may open a connection: the order of the checks, and how a version is found."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.apps import Apps
from broadcaster.errors import ConnectionClosed
from broadcaster.settings import App, Server
from broadcaster.web.admission import Admission, subprotocol
from broadcaster.web.http import Request

APP = App(id="1", key="key", secrets=("secret",))


class House:
    """As much of a hub as is asked: how many are in."""

    def __init__(self, app: int = 0, others: int = 0) -> None:
        self.app = app
        self.others = others

    def count(self, app_id: str | None = None) -> int:
        return self.app if app_id else self.app + self.others


def request(path: str = "/app/key", query: str = "protocol=7", secure: bool = False, **headers: str) -> Request:
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request("GET", path, query, lines, b"", "192.0.2.7", secure)


def admission(
    app: App = APP, hub: Any = None, capacity: int = 0, server: Server | None = None, draining: bool = False
) -> Admission:
    made = Admission(Apps((app,)), hub or House(), server or Server(), capacity)
    made.draining = draining
    return made


def code(admission: Admission, request: Request) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        admission.admit(request)
    return caught.value.code


def test_who_passes_all_checks_is_in() -> None:
    admitted = admission().admit(request())
    assert (admitted.app, admitted.protocol) == (APP, 7)


def test_the_first_fault_counts() -> None:
    """Each step mends the fault that was told, so that the next one is."""
    app = App(
        id="1",
        key="key",
        secrets=("secret",),
        enabled=False,
        tls_only=True,
        origins=("https://a.test",),
        max_connections=1,
    )
    ready = App(id="1", key="key", secrets=("s",), tls_only=True, origins=("https://a.test",), max_connections=1)
    full, over = House(app=1, others=1), House(app=0, others=2)
    everything = {"hub": full, "capacity": 2, "draining": True}
    bad: dict[str, Any] = {"query": "", "origin": "https://b.test"}
    good = {**bad, "origin": "https://a.test", "secure": True, "query": "protocol=7"}
    assert [
        code(admission(app, **everything), request("/nothing", **bad)),
        code(admission(app, **everything), request("/app/other", **bad)),
        code(admission(app, **everything), request(**bad)),
        code(admission(ready, **everything), request(**bad)),
        code(admission(ready, **everything), request(**bad, secure=True)),
        code(admission(ready, **everything), request(**{**bad, "query": "protocol=x"}, secure=True)),
        code(admission(ready, **everything), request(**{**bad, "query": "protocol=4"}, secure=True)),
        code(admission(ready, **everything), request(**{**bad, "query": "protocol=7"}, secure=True)),
        code(admission(ready, **everything), request(**good)),
        code(admission(ready, hub=full, capacity=2), request(**good)),
        code(admission(ready, hub=over, capacity=2), request(**good)),
    ] == [4005, 4001, 4003, 4000, 4008, 4006, 4007, 4009, 4200, 4004, 4100]
    assert admission(ready, hub=House(), capacity=2).admit(request(**good)).app is ready


@pytest.mark.parametrize("path", ("/app/key", "/app/key/", "/app/%6b%65%79"))
def test_a_key_is_found_decoded_and_with_a_slash_behind_it(path: str) -> None:
    assert admission().admit(request(path)).app is APP


@pytest.mark.parametrize(
    "path", ("/app", "/app/", "/app//", "/app/key/more", "/", "/apps/key", "//app/key", "/app/key//")
)
def test_any_other_path_leads_nowhere(path: str) -> None:
    assert code(admission(), request(path)) == 4005


@pytest.mark.parametrize(
    ("query", "found"),
    (
        ("protocol=5", 5),
        ("protocol=6", 6),
        ("client=js&protocol=7&version=8", 7),
        ("protocol=4&protocol=7", 7),
        ("protocol=%37", 7),
        ("protocol=%2B7", 7),
        ("", 4008),
        ("Protocol=7", 4008),
        ("protocol", 4006),
        ("protocol=", 4006),
        ("protocol=7.0", 4006),
        ("protocol=seven", 4006),
        ("protocol=7%20", 4006),
        ("protocol=٧", 4006),
        ("protocol=9999999999999999999999", 4006),
        ("protocol=8", 4007),
        ("protocol=0", 4007),
        ("protocol=-7", 4007),
    ),
)
def test_the_version_in_the_query(query: str, found: int) -> None:
    if found < 4000:
        assert admission().admit(request(query=query)).protocol == found
    else:
        assert code(admission(), request(query=query)) == found


def test_the_sub_protocol_counts_where_the_query_says_nothing() -> None:
    offered = {"sec_websocket_protocol": "pusher-channels-protocol-6"}
    assert admission().admit(request(query="", **offered)).protocol == 6
    assert admission().admit(request(query="protocol=7", **offered)).protocol == 7
    assert code(admission(), request(query="protocol=8", **offered)) == 4007


@pytest.mark.parametrize(
    ("offered", "answer"),
    (
        ("pusher-channels-protocol-7", "pusher-channels-protocol-7"),
        ("chat, pusher-channels-protocol-5", "pusher-channels-protocol-5"),
        ("pusher-channels-protocol-8", None),
        ("pusher-channels-protocol-77", None),
        ("chat", None),
        ("", None),
    ),
)
def test_only_a_sub_protocol_that_is_known_is_answered(offered: str, answer: str | None) -> None:
    assert subprotocol(request(sec_websocket_protocol=offered)) == answer


def test_none_offered_none_answered() -> None:
    assert subprotocol(request()) is None


# ---- quotas ---------------------------------------------------------------------------------------------------


def test_nought_is_no_bound() -> None:
    assert admission(hub=House(app=10_000)).admit(request()).app is APP


def test_an_apps_quota_counts_its_own_connections_only() -> None:
    app = App(id="1", key="key", secrets=("s",), max_connections=2)
    assert admission(app, hub=House(app=1, others=50)).admit(request()).app is app
    assert code(admission(app, hub=House(app=2)), request()) == 4004
