"""What a back end with an unchanged server SDK of Pusher's gets done, and what a page then sees."""

from __future__ import annotations

from collections.abc import Iterator

import pusher
import pytest
from pusher.errors import PusherBadAuth, PusherBadRequest, PusherBadStatus

from tests.integration.javascript import Browser, NodeSdk
from tests.processes import APP_ID, KEY, Server

pytestmark = pytest.mark.real

USERS = [{"user_id": name, "user_info": {"name": name}} for name in ("ann", "ben")]


@pytest.fixture
def page(node: None, server: Server) -> Iterator[Browser]:
    with Browser("pusher-js-8", server.port) as browser:
        yield browser


def test_python_triggers_on_several_channels_but_not_for_the_excluded(page: Browser, python_sdk: pusher.Pusher) -> None:
    cause, other = page.tab("cause"), page.tab("other")
    for tab in (cause, other):
        tab.join("py-one", "news")
        tab.join("py-two", "news")
    assert python_sdk.trigger(["py-one", "py-two"], "news", {"text": "Zoë"}, cause.socket_id) == {}
    assert python_sdk.trigger(["py-one", "py-two"], "news", "for all") == {}
    for channel in ("py-one", "py-two"):
        assert other.expect(channel, "news")["data"] == {"text": "Zoë"}
        assert cause.expect(channel, "news")["data"] == "for all"


def test_python_triggers_a_batch_in_order(page: Browser, python_sdk: pusher.Pusher) -> None:
    tab = page.tab("a")
    tab.join("py-batch", "one", "two")
    batch = [{"channel": "py-batch", "name": name, "data": {"is": name}} for name in ("one", "two")]
    assert python_sdk.trigger_batch(batch) == {}
    tab.expect("py-batch", "two")
    assert tab.events("py-batch")[1:] == [("one", {"is": "one"}), ("two", {"is": "two"})]


def test_node_triggers_a_batch_and_learns_the_counts(page: Browser, node_sdk: NodeSdk) -> None:
    tab = page.tab("ann", presence=USERS[0])
    tab.join("presence-js-batch", "one", "two")
    batch = [
        {"channel": "presence-js-batch", "name": "one", "data": "1", "info": "user_count,subscription_count"},
        {"channel": "presence-js-batch", "name": "two", "data": "2"},
    ]
    assert node_sdk.call("triggerBatch", batch) == (200, {"batch": [{"user_count": 1, "subscription_count": 1}, {}]})
    tab.expect("presence-js-batch", "two")
    assert tab.events("presence-js-batch")[1:] == [("one", 1), ("two", 2)]


def test_node_triggers_and_learns_the_counts(page: Browser, node_sdk: NodeSdk) -> None:
    page.tab("ann", presence=USERS[0]).join("presence-js-info")
    answer = node_sdk.call("trigger", ["presence-js-info", "js-info"], "news", {}, {"info": "user_count"})
    assert answer == (200, {"channels": {"presence-js-info": {"user_count": 1}, "js-info": {}}})


def test_python_asks_for_channels_and_users(page: Browser, python_sdk: pusher.Pusher) -> None:
    for number, user in enumerate([*USERS, USERS[0]]):
        page.tab(str(number), presence=user).join("presence-py-query")
    listed = python_sdk.channels_info("presence-py-q", ["user_count"])
    assert listed == {"channels": {"presence-py-query": {"user_count": 2}}}
    asked = python_sdk.channel_info("presence-py-query", ["user_count", "subscription_count"])
    assert asked == {"occupied": True, "user_count": 2, "subscription_count": 3}
    assert python_sdk.channel_info("py-empty") == {"occupied": False}
    users = python_sdk.users_info("presence-py-query")["users"]
    assert sorted(user["id"] for user in users) == ["ann", "ben"]


def test_node_asks_for_channels_and_users(page: Browser, node_sdk: NodeSdk) -> None:
    for number, user in enumerate([*USERS, USERS[0]]):
        page.tab(str(number), presence=user).join("presence-js-query")
    query = {"filter_by_prefix": "presence-js-q", "info": "user_count"}
    listed = node_sdk.call("get", {"path": "/channels", "params": query})
    assert listed == (200, {"channels": {"presence-js-query": {"user_count": 2}}})
    asked = node_sdk.call("get", {"path": "/channels/presence-js-query", "params": {"info": "user_count"}})
    assert asked == (200, {"occupied": True, "user_count": 2})
    status, body = node_sdk.call("get", {"path": "/channels/presence-js-query/users"})
    assert (status, sorted(user["id"] for user in body["users"])) == (200, ["ann", "ben"])


def test_python_is_told_what_is_wrong(server: Server, python_sdk: pusher.Pusher) -> None:
    with pytest.raises(PusherBadRequest, match="Users can only be retrieved for presence channels"):
        python_sdk.users_info("py-public")
    with pytest.raises(PusherBadStatus, match=r"413: .*limits\.event_bytes = 10240"):
        python_sdk.trigger("py-public", "news", "x" * 10_241)
    intruder = pusher.Pusher(APP_ID, KEY, "not-the-secret", ssl=False, host="127.0.0.1", port=server.port)
    try:
        with pytest.raises(PusherBadAuth, match="Invalid signature"):
            intruder.trigger("py-public", "news", "x")
    finally:
        intruder._pusher_client.http.session.close()


def test_node_is_told_what_is_wrong(node_sdk: NodeSdk) -> None:
    status, body = node_sdk.call("get", {"path": "/channels/js-public/users"})
    assert (status, body) == (400, "Users can only be retrieved for presence channels\n")
    status, body = node_sdk.call("trigger", "js-public", "pusher:fake", {})
    assert status == 400
    assert "pusher:" in body
