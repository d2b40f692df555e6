"""What a page with an unchanged pusher-js sees, in each of its generations."""

from __future__ import annotations

import re

import pytest

from tests.integration.javascript import Browser, NodeSdk
from tests.processes import Server

pytestmark = pytest.mark.real

ANN = {"user_id": "ann", "user_info": {"name": "Ann"}}
BEN = {"user_id": "ben", "user_info": {"name": "Ben"}}


def test_p285_it_connects_and_learns_its_socket_id(browser: Browser) -> None:
    tab = browser.tab("a")
    assert re.fullmatch(r"\d+\.\d+", tab.socket_id)
    assert tab.states() == ["connected"]
    assert browser.tab("b").socket_id != tab.socket_id


def test_p285_it_stops_for_good_after_4001(browser: Browser) -> None:
    tab = browser.tab("a", key="no-such-key", connected=False)
    assert tab.until_error()["error"]["code"] == 4001
    tab.until_state("disconnected")
    assert tab.states() == ["disconnected"]


def test_p285_public_events_arrive_in_order_and_unchanged(browser: Browser, node_sdk: NodeSdk) -> None:
    data = ["plain", 1, None, {"text": "Zoë 🚀 \u2028\u0000", "deep": [{"a": [True]}]}, "{", "end"]
    first, second = browser.tab("first"), browser.tab("second")
    for tab in (first, second):
        tab.join("js-public", "news", "last")
    for datum in data:
        assert node_sdk.call("trigger", "js-public", "news", datum) == (200, {})
    node_sdk.call("trigger", "js-public", "last", {})
    for tab in (first, second):
        tab.expect("js-public", "last")
        assert [datum for event, datum in tab.events("js-public") if event == "news"] == data


def test_p285_a_private_channel_opens_with_the_applications_signature_only(browser: Browser, node_sdk: NodeSdk) -> None:
    stranger, friend = browser.tab("stranger", secret="not-the-secret"), browser.tab("friend")
    stranger.subscribe("private-js", "news")
    refusal = stranger.expect("private-js", "pusher:subscription_error")["data"]
    assert (refusal["type"], refusal["status"]) == ("AuthError", 401)
    assert f"{stranger.socket_id}:private-js" in refusal["error"]
    friend.join("private-js", "news")
    node_sdk.call("trigger", "private-js", "news", "secret")
    assert friend.expect("private-js", "news")["data"] == "secret"
    stranger.join("js-open", "news")
    node_sdk.call("trigger", "js-open", "news", "open")
    assert stranger.expect("js-open", "news")["data"] == "open"
    assert "news" not in dict(stranger.events("private-js"))
    assert stranger.states() == ["connected"]


def test_p285_presence_counts_a_user_once_however_many_tabs(browser: Browser, node_sdk: NodeSdk) -> None:
    channel = "presence-js"
    ann = browser.tab("ann", presence=ANN)
    assert ann.join(channel, "now") == {"count": 1, "members": {"ann": {"name": "Ann"}}, "me": _member("ann", "Ann")}
    ben, also_ben = browser.tab("ben", presence=BEN), browser.tab("also ben", presence=BEN)
    assert ben.join(channel)["members"] == {"ann": {"name": "Ann"}, "ben": {"name": "Ben"}}
    assert also_ben.join(channel)["count"] == 2
    assert ann.expect(channel, "pusher:member_added")["data"] == _member("ben", "Ben")

    ben.close()
    also_ben.unsubscribe(channel)
    assert ann.expect(channel, "pusher:member_removed")["data"] == _member("ben", "Ben")
    node_sdk.call("trigger", channel, "now", {})
    ann.expect(channel, "now")
    assert [event for event, _ in ann.events(channel)] == [
        "pusher:subscription_succeeded",
        "pusher:member_added",
        "pusher:member_removed",
        "now",
    ]


@pytest.mark.parametrize(("channel", "user_id"), [("presence-js-whisper", "ann"), ("private-js-whisper", None)])
def test_p285_a_client_event_reaches_the_others_and_says_who_sent_it(
    browser: Browser, node_sdk: NodeSdk, channel: str, user_id: str | None
) -> None:
    ann, ben = browser.tab("ann", presence=ANN), browser.tab("ben", presence=BEN)
    for tab in (ann, ben):
        tab.join(channel, "client-typing", "now")
    ann.trigger(channel, "client-typing", {"on": True})
    heard = ben.expect(channel, "client-typing")
    assert (heard["data"], heard.get("user_id")) == ({"on": True}, user_id)
    node_sdk.call("trigger", channel, "now", {})
    ann.expect(channel, "now")
    assert "client-typing" not in dict(ann.events(channel))


def test_a_refused_client_event_is_an_error_and_the_page_stays_connected(browser: Browser, node_sdk: NodeSdk) -> None:
    tab = browser.tab("a")
    tab.join("js-no-whisper", "now")
    tab.trigger("js-no-whisper", "client-typing", {})
    assert tab.until_error()["error"]["code"] == 4301
    node_sdk.call("trigger", "js-no-whisper", "now", {})
    tab.expect("js-no-whisper", "now")
    assert tab.states() == ["connected"]


def test_after_unsubscribing_nothing_comes_until_it_subscribes_again(browser: Browser, node_sdk: NodeSdk) -> None:
    tab = browser.tab("a")
    tab.join("js-left", "news")
    tab.join("js-kept", "news")
    tab.unsubscribe("js-left")
    tab.join("js-barrier")
    assert node_sdk.call("get", {"path": "/channels/js-left"}) == (200, {"occupied": False})
    node_sdk.call("trigger", ["js-left", "js-kept"], "news", 1)
    tab.expect("js-kept", "news")
    since = len(browser.seen)
    tab.subscribe("js-left", "news")
    tab.expect("js-left", "pusher:subscription_succeeded", since)
    node_sdk.call("trigger", "js-left", "news", 2)
    assert tab.expect("js-left", "news")["data"] == 2


def test_the_excluded_page_does_not_hear_what_it_caused(browser: Browser, server: Server, node_sdk: NodeSdk) -> None:
    cause, other = browser.tab("cause"), browser.tab("other")
    for tab in (cause, other):
        tab.join("js-exclude", "news")
    node_sdk.call("trigger", "js-exclude", "news", "mine", {"socket_id": cause.socket_id})
    node_sdk.call("trigger", "js-exclude", "news", "everybody's")
    assert cause.expect("js-exclude", "news")["data"] == "everybody's"
    assert other.expect("js-exclude", "news")["data"] == "mine"


def _member(user_id: str, name: str) -> dict[str, object]:
    return {"id": user_id, "info": {"name": name}}
