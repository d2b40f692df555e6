"""Questions to the HTTP API about channels and users (P240–P248), and what other paths and methods get."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import fail
from zope.interface import implementer

from broadcaster.errors import DriverError
from broadcaster.interfaces import IMembership
from tests.conformance.conftest import Serve
from tests.conformance.expected import auth
from tests.drivers import ScriptedDriver
from tests.inprocess import APP, NOW, Answer, InProcess, app_with, signed


def ask(server: InProcess, path: str, query: str = "") -> Answer:
    answer = server.call("GET", path, query=query)
    if answer.status == 200:
        assert answer.headers["content-type"] == "application/json"
    return answer


def member(server: InProcess, channel: str, user_id: Any) -> None:
    server.joined().subscribe(channel, {"user_id": user_id})


# ---- all channels ---------------------------------------------------------------------------------------------


def test_p240_no_channels_are_an_empty_object(server: InProcess) -> None:
    assert ask(server, "/channels").body == b'{"channels":{}}'


def test_p241_occupied_channels_are_listed(server: InProcess) -> None:
    server.joined("a", "b")
    server.joined("a")
    assert ask(server, "/channels").json == {"channels": {"a": {}, "b": {}}}


@pytest.mark.parametrize(
    ("prefix", "found"),
    (("a", {"a", "ab"}), ("ab", {"ab"}), ("c", set()), ("", {"a", "ab", "b"}), ("presence-", set())),
)
def test_p241_a_prefix_filters_them(server: InProcess, prefix: str, found: set[str]) -> None:
    server.joined("a", "ab", "b")
    assert ask(server, "/channels", f"filter_by_prefix={prefix}").json["channels"].keys() == found


def test_p241_a_channel_that_everybody_left_is_not_listed(server: InProcess) -> None:
    leaving, dropping = server.joined("a", "b"), server.joined("b", "c")
    leaving.say("pusher:unsubscribe", {"channel": "a"})
    assert ask(server, "/channels").json["channels"].keys() == {"b", "c"}
    dropping.drop()
    assert ask(server, "/channels").json["channels"].keys() == {"b"}


def test_p241_channels_of_another_app_are_not_listed(serve: Serve) -> None:
    other = app_with(id="4", key="other-key", secrets=("other-secret",))
    server = serve(app_with(), other)
    server.joined("a", key="other-key")
    assert ask(server, "/channels").json == {"channels": {}}
    assert ask(server, "/channels/a").json == {"occupied": False}
    assert server.call("GET", "/channels", app=other).json == {"channels": {"a": {}}}


def test_p242_users_are_counted_once_each(server: InProcess) -> None:
    for channel, user_id in (("presence-a", 1), ("presence-a", "1"), ("presence-a", "2"), ("presence-b", "1")):
        member(server, channel, user_id)
    server.joined("c")
    counted = ask(server, "/channels", "filter_by_prefix=presence-&info=user_count")
    assert counted.json == {"channels": {"presence-a": {"user_count": 2}, "presence-b": {"user_count": 1}}}
    narrower = ask(server, "/channels", "filter_by_prefix=presence-b&info=user_count,subscription_count")
    assert narrower.json == {"channels": {"presence-b": {"user_count": 1, "subscription_count": 1}}}


@pytest.mark.parametrize(
    "query", ("info=user_count", "info=user_count&filter_by_prefix=", "filter_by_prefix=p&info=user_count")
)
def test_p242_users_are_counted_only_where_every_channel_has_some(server: InProcess, query: str) -> None:
    answer = ask(server, "/channels", query)
    assert (answer.status, answer.text) == (400, "user_count may only be requested for presence channels\n")


def test_p242_subscriptions_are_counted_on_any_channel(server: InProcess) -> None:
    server.joined("a")
    server.joined("a")
    assert ask(server, "/channels", "info=subscription_count").json == {"channels": {"a": {"subscription_count": 2}}}


def test_p242_an_unknown_attribute_is_refused(server: InProcess) -> None:
    answer = ask(server, "/channels", "info=foo")
    assert (answer.status, answer.text) == (400, "Unknown info attribute: foo\n")


# ---- one channel ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", ("a", "private-a", "presence-a", "cache-a"))
def test_p243_a_channel_is_occupied_or_not(server: InProcess, channel: str) -> None:
    assert ask(server, f"/channels/{channel}").body == b'{"occupied":false}'
    server.joined().subscribe(channel, {"user_id": "1"} if channel == "presence-a" else None)
    assert ask(server, f"/channels/{channel}").body == b'{"occupied":true}'


def test_p244_users_are_counted_on_presence_channels_only(server: InProcess) -> None:
    answer = ask(server, "/channels/a", "info=user_count")
    assert (answer.status, answer.text) == (400, "user_count may only be requested for presence channels\n")
    for user_id in (1, "1", "2"):
        member(server, "presence-a", user_id)
    counted = ask(server, "/channels/presence-a", "info=user_count,subscription_count")
    assert counted.json == {"occupied": True, "user_count": 2, "subscription_count": 3}


def test_p244_subscriptions_are_counted_everywhere(server: InProcess) -> None:
    server.joined("a")
    server.joined("a")
    counted = ask(server, "/channels/a", "info=subscription_count")
    assert counted.json == {"occupied": True, "subscription_count": 2}


def test_p244_an_empty_channel_counts_nought(server: InProcess) -> None:
    counted = ask(server, "/channels/presence-none", "info=user_count,subscription_count")
    assert counted.json == {"occupied": False, "user_count": 0, "subscription_count": 0}


def test_p244_an_unknown_attribute_is_refused(server: InProcess) -> None:
    answer = ask(server, "/channels/a", "info=foo")
    assert (answer.status, answer.text) == (400, "Unknown info attribute: foo\n")


@pytest.mark.parametrize("path", ("/channels/a:b", "/channels/a%20b", "/channels/%C3%A9", "/channels/presence-:/users"))
def test_p244_what_can_be_no_channel_is_refused(server: InProcess, path: str) -> None:
    answer = ask(server, path)
    assert answer.status == 400
    assert answer.text.startswith("Invalid channel name: ")


def test_p244_a_name_may_be_percent_encoded(server: InProcess) -> None:
    server.joined("a@b,c")
    assert ask(server, "/channels/a%40b%2Cc").json == {"occupied": True}


@pytest.mark.parametrize("channel", ("cache-a", "private-cache-a", "private-encrypted-cache-a", "presence-cache-a"))
def test_p245_the_cached_event_is_told_with_its_time(server: InProcess, channel: str) -> None:
    assert ask(server, f"/channels/{channel}", "info=cache").json == {"occupied": False, "cache": None}
    server.publish(channel, data='{"a": 1}')
    told = ask(server, f"/channels/{channel}", "info=cache")
    assert told.json == {"occupied": False, "cache": {"data": '{"a": 1}', "ttl": 1_800}}
    server.advance(1_799, step=100)
    assert ask(server, f"/channels/{channel}", "info=cache").json["cache"]["ttl"] == 1
    server.advance(1)
    assert ask(server, f"/channels/{channel}", "info=cache").json["cache"] is None


@pytest.mark.parametrize("channel", ("a", "private-a", "presence-a", "private-encrypted-a"))
def test_p245_other_channels_have_no_cache_to_tell(server: InProcess, channel: str) -> None:
    answer = ask(server, f"/channels/{channel}", "info=cache")
    assert (answer.status, answer.text) == (400, "cache may only be requested for cache channels\n")


# ---- users ----------------------------------------------------------------------------------------------------


def test_p246_each_user_is_listed_once_by_a_string(server: InProcess) -> None:
    for user_id in (10, "10", "ann", 1.5):
        member(server, "presence-a", user_id)
    assert ask(server, "/channels/presence-a/users").json == {"users": [{"id": "10"}, {"id": "ann"}, {"id": "1.5"}]}


def test_p246_an_empty_presence_channel_has_no_users(server: InProcess) -> None:
    answer = ask(server, "/channels/presence-a/users")
    assert (answer.status, answer.body) == (200, b'{"users":[]}')


@pytest.mark.parametrize("channel", ("a", "private-a", "cache-a", "presence"))
def test_p246_other_channels_have_none_to_list(server: InProcess, channel: str) -> None:
    answer = ask(server, f"/channels/{channel}/users")
    assert (answer.status, answer.text) == (400, "Users can only be retrieved for presence channels\n")


def test_p247_the_channels_of_users_are_never_listed(server: InProcess) -> None:
    client = server.joined("a")
    user = '{"id":"12345"}'
    client.say("pusher:signin", {"auth": auth(f"{client.name()}::user::{user}"), "user_data": user})
    server.publish("#server-to-user-12345")
    assert [event["event"] for event in client.events()] == ["pusher:signin_success", "e"]
    assert ask(server, "/channels").json == {"channels": {"a": {}}}
    filtered = signed(APP, "GET", "/apps/3/channels", b"", "filter_by_prefix=#server-to-user-", NOW)
    assert server.http("GET", filtered.replace("#", "%23")).json == {"channels": {}}


# ---- paths and methods ----------------------------------------------------------------------------------------

METHODS = {
    "/events": "POST",
    "/batch_events": "POST",
    "/channels": "GET",
    "/channels/a": "GET",
    "/channels/presence-a/users": "GET",
    "/channels/a/events": "POST",
    "/users/1/terminate_connections": "POST",
}


@pytest.mark.parametrize("method", ("DELETE", "PUT", "PATCH", "HEAD", "GET", "POST"))
@pytest.mark.parametrize("path", METHODS)
def test_p248_another_method_is_405_and_told_the_right_one(server: InProcess, path: str, method: str) -> None:
    if method == METHODS[path]:
        return
    for answer in (server.call(method, path), server.http(method, f"/apps/3{path}")):
        assert (answer.status, answer.headers["allow"]) == (405, METHODS[path])
        assert int(answer.headers["content-length"]) > 0
        assert answer.body == (b"" if method == "HEAD" else b"Method not allowed\n")


@pytest.mark.parametrize(
    "path",
    ("", "/", "/event", "/events/", "/events/1", "/channels/a/stats", "/channels/a/users/1", "/users", "/users/1"),
)
@pytest.mark.parametrize("method", ("GET", "POST", "DELETE"))
def test_p248_an_unknown_path_is_404(server: InProcess, method: str, path: str) -> None:
    for answer in (server.call(method, path), server.http(method, f"/apps/3{path}")):
        assert (answer.status, answer.text) == (404, "Not found\n")


@pytest.mark.parametrize("method", ("GET", "POST", "DELETE"))
@pytest.mark.parametrize("path", ("/apps", "/nothing", "/nothing/here", "/app", "/channels", "/favicon.ico"))
def test_p248_so_is_one_outside_of_the_api(server: InProcess, method: str, path: str) -> None:
    answer = server.http(method, path)
    assert (answer.status, answer.text) == (404, "Not found\n")


@pytest.mark.parametrize("path", ("/", "/up", "/ready", "/metrics"))
def test_p248_pages_are_only_read(server: InProcess, path: str) -> None:
    answer = server.http("POST", path)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
    read, head = server.http("GET", path), server.http("HEAD", path)
    assert (head.status, head.body) == (read.status, b"")
    assert head.headers["content-type"] == read.headers["content-type"]


# ---- the membership cannot be known ---------------------------------------------------------------------------


@implementer(IMembership)
class UnknowingDriver(ScriptedDriver):
    """A driver that shares membership, but has lost sight of the others."""

    members = subscriptions = channels = lambda self, *asked: fail(DriverError("deaf"))
    join = leave = members


@pytest.mark.parametrize("path", ("/channels", "/channels/a", "/channels/presence-a/users"))
def test_a_question_that_the_driver_cannot_answer_is_503(serve: Serve, path: str) -> None:
    server = serve(through=UnknowingDriver())
    answer = ask(server, path)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
