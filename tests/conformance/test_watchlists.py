"""Watchlists: who of the watched users is there, comes and goes (P177–P179; 4302 of §10)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcaster.settings import Limits
from tests.conformance.conftest import Serve
from tests.conformance.expected import auth, error, signed_in, watched
from tests.inprocess import APP, Client, InProcess, app_with

EXCEEDED = "Watchlist limit exceeded. Only the first {0} user IDs are accepted. (limits.watchlist = {0})"


@pytest.fixture
def server(serve: Serve) -> InProcess:
    """A server whose only app has watchlists on."""
    return serve(app_with(watchlists=True))


def data(user_id: str, *watchlist: str) -> str:
    return json.dumps({"id": user_id, "watchlist": watchlist})


def user(server: InProcess, user_id: str, *watchlist: str, **options: Any) -> Client:
    """A client that is signed in and has read all about it."""
    client = server.joined(**options)
    client.sign_in(data(user_id, *watchlist))
    client.events()
    return client


def sign_in(client: Client, user_id: str, *watchlist: str) -> list[dict[str, Any]]:
    """What follows the success."""
    client.sign_in(data(user_id, *watchlist))
    success, *following = client.events()
    assert success == signed_in(data(user_id, *watchlist))
    return following


# ---- snapshot -------------------------------------------------------------------------------------------------


def test_p177_who_signs_in_is_told_who_is_there_and_who_is_not(server: InProcess) -> None:
    user(server, "u2")
    client = server.joined()
    assert sign_in(client, "u1", "u2", "u3") == [watched(online=["u2"], offline=["u3"])]


def test_p177_an_empty_half_is_left_out(server: InProcess) -> None:
    user(server, "u2")
    assert sign_in(server.joined(), "u1", "u2") == [watched(online=["u2"])]
    assert sign_in(server.joined(), "u1", "u3") == [watched(offline=["u3"])]


@pytest.mark.parametrize("user_data", ['{"id":"u1"}', '{"id":"u1","watchlist":[]}'])
def test_p177_who_watches_nobody_is_told_nothing(server: InProcess, user_data: str) -> None:
    client = server.joined()
    client.sign_in(user_data)
    assert client.events() == [signed_in(user_data)]
    user(server, "u2")
    assert client.events() == []


def test_p177_no_frame_of_it_names_a_channel(server: InProcess) -> None:
    client = server.joined()
    (frame,) = sign_in(client, "u1", "u2")
    user(server, "u2")
    assert [set(each) for each in (frame, *client.events())] == [{"event", "data"}] * 2


def test_p177_who_watches_itself_is_there(server: InProcess) -> None:
    assert sign_in(server.joined(), "u1", "u1") == [watched(online=["u1"])]


def test_p177_a_user_that_is_named_twice_is_told_once(server: InProcess) -> None:
    assert sign_in(server.joined(), "u1", "u2", "u3", "u2") == [watched(offline=["u2", "u3"])]


# ---- coming and going -----------------------------------------------------------------------------------------


def test_p177_only_the_first_socket_comes_and_only_the_last_goes(server: InProcess) -> None:
    watcher = user(server, "u1", "u2")
    first = user(server, "u2")
    assert watcher.events() == [watched(online=["u2"])]
    second = user(server, "u2")
    first.drop()
    assert watcher.events() == []
    second.drop()
    assert watcher.events() == [watched(offline=["u2"])]
    user(server, "u2")
    assert watcher.events() == [watched(online=["u2"])]


@pytest.mark.parametrize("go", [Client.drop, Client.leave])
def test_p177_every_way_of_going_is_one(server: InProcess, go: Any) -> None:
    watcher, goes = user(server, "u1", "u2"), user(server, "u2")
    watcher.events()
    go(goes)
    assert watcher.events() == [watched(offline=["u2"])]


def test_p177_all_sockets_of_the_watcher_are_told(server: InProcess) -> None:
    watchers = [user(server, "u1", "u2"), user(server, "u1", "u2"), user(server, "u9", "u2")]
    user(server, "u2")
    assert [watcher.events() for watcher in watchers] == [[watched(online=["u2"])]] * 3


def test_p177_each_socket_is_told_of_those_that_it_has_named(server: InProcess) -> None:
    first, second = user(server, "u1", "u2"), user(server, "u1", "u3")
    user(server, "u2")
    assert first.events() == [watched(online=["u2"])]
    assert second.events() == []


def test_p177_subscribing_and_leaving_channels_is_neither(server: InProcess) -> None:
    watcher, other = user(server, "u1", "u2"), user(server, "u2")
    watcher.events()
    other.subscribe("presence-x")
    for channel in ("presence-x", "#server-to-user-u2"):
        other.say("pusher:unsubscribe", {"channel": channel})
    assert watcher.events() == []


def test_p177_a_presence_member_of_that_id_is_not_the_user(server: InProcess) -> None:
    watcher = user(server, "u1", "u2")
    server.joined().subscribe("presence-x", {"user_id": "u2"})
    assert watcher.events() == []


def test_p177_a_refused_signin_is_no_coming(server: InProcess) -> None:
    watcher = user(server, "u1", "u2")
    server.joined().say("pusher:signin", {"auth": f"{APP.key}:abc", "user_data": data("u2")})
    assert watcher.events() == []


def test_p177_signing_in_again_is_no_coming(server: InProcess) -> None:
    watcher, other = user(server, "u1", "u2"), user(server, "u2")
    watcher.events()
    other.sign_in(data("u2"))
    assert watcher.events() == []


def test_p177_the_users_of_another_app_are_others(serve: Serve) -> None:
    other = app_with(id="4", key="other-key", secrets=("other-secret",), watchlists=True)
    server = serve(app_with(watchlists=True), other)
    watcher = user(server, "u1", "u2")
    stranger = server.joined(key="other-key")
    signature = auth(f"{stranger.name()}::user::{data('u2')}", other)
    stranger.say("pusher:signin", {"auth": signature, "user_data": data("u2")})
    assert [frame["event"] for frame in stranger.events()] == ["pusher:signin_success"]
    assert watcher.events() == []


def test_p177_who_has_gone_is_told_nothing_and_tells_its_watchers(server: InProcess) -> None:
    first, second = user(server, "u1", "u2"), user(server, "u2", "u1")
    first.events()
    first.drop()
    assert second.events() == [watched(offline=["u1"])]
    assert sign_in(server.joined(), "u1", "u2") == [watched(online=["u2"])]


def test_p173_signing_in_again_replaces_the_watchlist(server: InProcess) -> None:
    client = user(server, "u1", "u2", "u3")
    assert sign_in(client, "u1", "u3", "u4") == [watched(offline=["u3", "u4"])]
    for user_id in ("u2", "u3", "u4"):
        user(server, user_id)
    assert client.events() == [watched(online=["u3"]), watched(online=["u4"])]
    assert sign_in(client, "u1") == []
    user(server, "u3").drop()
    assert client.events() == []


def test_p173_a_refused_attempt_leaves_the_watchlist(server: InProcess) -> None:
    client = user(server, "u1", "u2")
    client.sign_in(data("u9", "u3"))
    assert client.events() == [error("Already signed in as another user", 4009)]
    user(server, "u2")
    user(server, "u3")
    assert client.events() == [watched(online=["u2"])]


# ---- limit and switch -----------------------------------------------------------------------------------------


def test_p178_only_the_first_hundred_count(server: InProcess) -> None:
    everybody = [f"w{number}" for number in range(101)]
    client = server.joined()
    assert sign_in(client, "u1", *everybody) == [error(EXCEEDED.format(100), 4302), watched(offline=everybody[:100])]
    user(server, "w100")
    assert client.events() == []
    user(server, "w99")
    assert client.events() == [watched(online=["w99"])]
    client.subscribe("x")
    assert len(client.events()) == 1


def test_p178_a_hundred_are_no_error(server: InProcess) -> None:
    everybody = [f"w{number}" for number in range(100)]
    assert sign_in(server.joined(), "u1", *everybody, "w0") == [watched(offline=everybody)]


def test_p178_the_limit_is_a_setting(serve: Serve) -> None:
    server = serve(app_with(watchlists=True), limits=Limits(watchlist=2))
    assert sign_in(server.joined(), "u1", "a", "b", "c") == [
        error(EXCEEDED.format(2), 4302),
        watched(offline=["a", "b"]),
    ]
    server = serve(app_with(watchlists=True), limits=Limits(watchlist=0))
    everybody = [f"w{number}" for number in range(1_000)]
    assert sign_in(server.joined(), "u1", *everybody) == [watched(offline=everybody)]


def test_p179_without_the_switch_there_are_no_watchlists(serve: Serve) -> None:
    server = serve()
    client = server.joined()
    assert sign_in(client, "u1", *[f"w{number}" for number in range(101)]) == []
    user(server, "w1").drop()
    assert client.events() == []


def test_promise_7_success_then_the_error_then_the_snapshot(serve: Serve) -> None:
    server = serve(app_with(watchlists=True), limits=Limits(watchlist=1))
    user(server, "u2")
    client = server.joined()
    client.sign_in(data("u1", "u2", "u3"))
    server.publish("#server-to-user-u1")
    assert client.events() == [
        signed_in(data("u1", "u2", "u3")),
        error(EXCEEDED.format(1), 4302),
        watched(online=["u2"]),
        {"event": "e", "channel": "#server-to-user-u1", "data": "1"},
    ]


def test_who_is_closed_for_its_errors_watches_nobody_any_more(serve: Serve) -> None:
    """The error that a long watchlist is can be the one too many."""
    server = serve(app_with(watchlists=True), limits=Limits(watchlist=1))
    client = server.joined()
    for _ in range(101):
        client.sign_in(data("u1", "u2", "u3"))
    client.events()
    assert client.close_code == 4100
    assert server.service.hub._users._watchers == {}
