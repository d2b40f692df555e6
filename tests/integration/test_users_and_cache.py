"""Signed-in users, encrypted channels, cache channels and counts with unchanged clients and SDKs at both ends."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pusher
import pytest

from tests.integration.javascript import Browser, NodeSdk
from tests.processes import APP_ID, CONFIG, KEY, SECRET, Server

pytestmark = pytest.mark.real

MASTER_KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.b64encode(bytes(range(32, 64))).decode()

ENCRYPTED = "pusher-js-8/with-encryption"


@pytest.fixture(scope="module")
def switched_on() -> Iterator[Server]:
    """A server whose app has everything on that is off by default."""
    with Server(CONFIG + "subscription_count = true\nwatchlists = true\n") as server:
        yield server


@pytest.fixture(params=["pusher-js-8", "pusher-js-7"])
def browser(request: pytest.FixtureRequest, node: None, switched_on: Server) -> Iterator[Browser]:
    """A browser with each of the generations that can sign in."""
    with Browser(request.param, switched_on.port) as browser:
        yield browser


@pytest.fixture(params=["pusher-js-8", "pusher-js-7", ENCRYPTED])
def decrypting(request: pytest.FixtureRequest, node: None, switched_on: Server) -> Iterator[Browser]:
    """A browser with each of the builds that decrypt."""
    with Browser(request.param, switched_on.port) as browser:
        yield browser


@pytest.fixture
def node_sdk(node: None, switched_on: Server) -> Iterator[NodeSdk]:
    with NodeSdk(switched_on.port, MASTER_KEY) as sdk:
        yield sdk


@pytest.fixture
def python_sdk(switched_on: Server) -> Iterator[pusher.Pusher]:
    sdk = pusher.Pusher(
        APP_ID,
        KEY,
        SECRET,
        ssl=False,
        host="127.0.0.1",
        port=switched_on.port,
        encryption_master_key_base64=MASTER_KEY,
    )
    yield sdk
    sdk._pusher_client.http.session.close()


def person(user_id: str, *watchlist: str) -> dict[str, Any]:
    return {"id": user_id, "user_info": {"name": user_id.title()}, "watchlist": list(watchlist)}


# ---- users ----------------------------------------------------------------------------------------------------


def test_p170_p175_a_page_signs_in_and_is_sent_to_in_all_its_tabs(browser: Browser, node_sdk: NodeSdk) -> None:
    ann = person("ann")
    first, second = browser.tab("first", user=ann), browser.tab("second", user=ann)
    other = browser.tab("other", user=person("ben"))
    assert [tab.signed_in("news") for tab in (first, second, other)] == [ann, ann, person("ben")]
    assert node_sdk.call("sendToUser", "ann", "news", {"text": "Zoë"}) == (200, {})
    assert first.expect_as_user("news") == {"text": "Zoë"}
    assert second.expect_as_user("news") == {"text": "Zoë"}
    node_sdk.call("sendToUser", "ben", "news", "for ben")
    assert other.expect_as_user("news") == "for ben"
    _, listed = node_sdk.call("get", {"path": "/channels"})
    assert not [channel for channel in listed["channels"] if channel.startswith("#")]


def test_p171_a_page_whose_signature_is_wrong_is_told_and_stays(browser: Browser, node_sdk: NodeSdk) -> None:
    tab = browser.tab("a", user=person("ann"), secret="not-the-secret")
    tab.sign_in("news")
    error = tab.until_error()["error"]
    assert error["code"] == 4009
    assert f"{tab.socket_id}::user::" in error["message"]
    node_sdk.call("sendToUser", "ann", "news", "secret")
    tab.join("js-signin-open", "news")
    node_sdk.call("trigger", "js-signin-open", "news", "open")
    assert tab.expect("js-signin-open", "news")["data"] == "open"
    assert tab.states() == ["connected"]
    assert not [line for line in browser.seen if line["kind"] in ("user", "signin")]


def test_p125_a_signed_in_page_needs_no_channel_data(browser: Browser) -> None:
    ann, ben = browser.tab("ann", user=person("ann")), browser.tab("ben", presence={"user_id": "ben"})
    ben.join("presence-signed-in")
    ann.signed_in()
    ann.subscribe("presence-signed-in")
    ann.expect("presence-signed-in", "pusher:subscription_succeeded")
    assert ben.expect("presence-signed-in", "pusher:member_added")["data"] == {"id": "ann", "info": {"name": "Ann"}}


def test_p177_a_page_sees_whom_it_watches_come_and_go(browser: Browser) -> None:
    ben = browser.tab("ben", user=person("ben"))
    ben.signed_in()
    ann = browser.tab("ann", user=person("ann", "ben", "cem"))
    ann.sign_in()
    assert ann.expect_watched("online") == ["ben"]
    assert ann.expect_watched("offline") == ["cem"]
    since = len(browser.seen)
    cem, also_cem = browser.tab("cem", user=person("cem")), browser.tab("also cem", user=person("cem"))
    cem.signed_in()
    also_cem.signed_in()
    assert ann.expect_watched("online", since) == ["cem"]
    cem.close()
    ben.close()
    assert ann.expect_watched("offline", since) == ["ben"]
    also_cem.close()
    since = len(browser.seen)
    assert ann.expect_watched("offline", since) == ["cem"]


def test_p178_a_page_that_watches_too_many_is_told_and_signed_in(browser: Browser) -> None:
    everybody = [f"w{number}" for number in range(101)]
    tab = browser.tab("a", user=person("ann", *everybody))
    tab.signed_in()
    assert tab.until_error()["error"]["code"] == 4302
    assert tab.expect_watched("offline") == everybody[:100]
    assert tab.states() == ["connected"]


@pytest.mark.parametrize("sdk", ["node_sdk", "python_sdk"])
def test_p180_p204_a_user_whose_connections_are_ended_stays_away(
    browser: Browser, node_sdk: NodeSdk, sdk: str, request: pytest.FixtureRequest
) -> None:
    first, second = browser.tab("first", user=person("ann")), browser.tab("second", user=person("ann"))
    other = browser.tab("other", presence={"user_id": "ann"}, user=person("ben"))
    for tab in (first, second, other):
        tab.signed_in("news")
    other.join("presence-ended", "now")
    application = request.getfixturevalue(sdk)
    if sdk == "node_sdk":
        assert application.call("terminateUserConnections", "ann") == (200, {})
    else:
        assert application.terminate_user_connections("ann") == {}
    for tab in (first, second):
        tab.until_state("disconnected")
        assert tab.until_error()["error"] == {"code": 4009, "message": "Terminated by the application"}
    node_sdk.call("trigger", "presence-ended", "now", {})
    other.expect("presence-ended", "now")
    assert other.states() == ["connected"]
    assert first.states() == second.states() == ["connected", "disconnected"]


# ---- encrypted channels ---------------------------------------------------------------------------------------

PLAIN = ["text", {"name": "Zoë 🚀", "deep": [{"a": [True, None]}]}, 7]


def test_p097_what_node_encrypts_a_page_decrypts(decrypting: Browser, node_sdk: NodeSdk) -> None:
    channel = "private-encrypted-js"
    tab = decrypting.tab("a", master_key=MASTER_KEY)
    tab.join(channel, "news")
    for data in PLAIN:
        assert node_sdk.call("trigger", channel, "news", data) == (200, {})
    node_sdk.call("triggerBatch", [{"channel": channel, "name": "news", "data": "last"}])
    decrypting.expect(tab="a", kind="event", channel=channel, event="news", data="last")
    assert [data for event, data in tab.events(channel) if event == "news"] == [*PLAIN, "last"]


def test_p097_what_python_encrypts_a_page_decrypts(decrypting: Browser, python_sdk: pusher.Pusher) -> None:
    channel = "private-encrypted-py"
    tab = decrypting.tab("a", master_key=MASTER_KEY)
    tab.join(channel, "news")
    for data in [*PLAIN, "last"]:
        assert python_sdk.trigger(channel, "news", data) == {}
    decrypting.expect(tab="a", kind="event", channel=channel, event="news", data="last")
    assert [data for event, data in tab.events(channel) if event == "news"] == [*PLAIN, "last"]


def test_p097_the_wire_and_the_wrong_key_show_nothing(decrypting: Browser, node_sdk: NodeSdk) -> None:
    channel = "private-encrypted-secret"
    friend, stranger = decrypting.tab("friend", master_key=MASTER_KEY), decrypting.tab("stranger", master_key=OTHER_KEY)
    for tab in (friend, stranger):
        tab.join(channel, "news")
        tab.join("js-beside", "now")
    node_sdk.call("trigger", channel, "news", "secret")
    node_sdk.call("trigger", "js-beside", "now", {})
    assert friend.expect(channel, "news")["data"] == "secret"
    stranger.expect("js-beside", "now")
    assert "news" not in dict(stranger.events(channel))


# ---- cache channels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["cache-", "private-cache-", "private-encrypted-cache-"])
def test_p160_p161_a_page_is_told_the_last_event_or_that_there_is_none(
    decrypting: Browser, node_sdk: NodeSdk, prefix: str
) -> None:
    channel = f"{prefix}{decrypting.library.replace('/', '-')}"
    early = decrypting.tab("early", master_key=MASTER_KEY)
    early.subscribe(channel, "pusher:cache_miss", "price")
    early.expect(channel, "pusher:cache_miss")
    for price in (1, 2):
        node_sdk.call("trigger", channel, "price", {"price": price})
    late = decrypting.tab("late", master_key=MASTER_KEY)
    late.subscribe(channel, "pusher:cache_miss", "price")
    assert late.expect(channel, "price")["data"] == {"price": 2}
    node_sdk.call("trigger", channel, "price", {"price": 3})
    decrypting.expect(tab="late", kind="event", channel=channel, event="price", data={"price": 3})
    assert [event for event, _ in late.events(channel)] == ["pusher:subscription_succeeded", "price", "price"]
    assert [event for event, _ in early.events(channel)][:2] == ["pusher:subscription_succeeded", "pusher:cache_miss"]


def test_p245_python_is_told_what_a_newcomer_would_be(switched_on: Server, python_sdk: pusher.Pusher) -> None:
    assert python_sdk.channel_info("cache-py", ["cache"]) == {"occupied": False, "cache": None}
    python_sdk.trigger("cache-py", "price", {"price": 2})
    cache = python_sdk.channel_info("cache-py", ["cache"])["cache"]
    assert cache["data"] == '{"price": 2}'
    assert 1_700 < cache["ttl"] <= 1_800


# ---- counts ---------------------------------------------------------------------------------------------------


def test_p185_every_page_is_told_how_many_hear_the_channel(browser: Browser) -> None:
    channel = f"counted-{browser.library}"
    first, second = browser.tab("first"), browser.tab("second")
    first.subscribe(channel, "pusher:subscription_count")
    assert first.expect(channel, "pusher:subscription_count")["data"] == {"subscription_count": 1}
    second.subscribe(channel, "pusher:subscription_count")
    assert second.expect(channel, "pusher:subscription_count")["data"] == {"subscription_count": 2}
    browser.expect(tab="first", channel=channel, event="pusher:subscription_count", data={"subscription_count": 2})
    since = len(browser.seen)
    second.close()
    assert first.expect(channel, "pusher:subscription_count", since)["data"] == {"subscription_count": 1}
