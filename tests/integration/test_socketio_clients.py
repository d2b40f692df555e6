"""Stock laravel-echo on every generation of socket.io-client, over every transport, with a pusher-js page beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import pusher
import pytest
import socketio

from tests.integration.echo_application import application
from tests.integration.javascript import Browser, Line, Script
from tests.integration.relay import Relay
from tests.processes import APP_ID, CONFIG, KEY, PATIENCE, SECRET, Server, until

pytestmark = pytest.mark.real

STACKS = (("echo-1", "sio-1"), ("echo-1", "sio-2"), ("echo-1", "sio-3"), ("echo-1", "sio-4"), ("echo-2", "sio-4"))
WAYS = ("polling", "websocket", "polling,websocket")


class Pages(Script):
    """Pages with one laravel-echo and one socket.io-client in each; ``seen`` is all that they told, in order."""

    def __init__(self, stack: tuple[str, str], port: int, transports: str, ca: Path | None = None) -> None:
        super().__init__("pages.js", *stack, str(port), transports, ca=ca)
        self.stack = (*stack, transports)
        self.transports = transports

    def page(self, name: str, user: str = "") -> Page:
        """Open a page and wait until it is connected, by the transport that it will keep."""
        page = Page(self, name)
        self.write(do="open", page=name, headers={"X-User": user})
        page.until_state("connected")
        self.expect(page=name, kind="transport", transport=self.transports.rpartition(",")[2])
        return page


class Page:
    """One page: one stock Echo object."""

    def __init__(self, pages: Pages, name: str) -> None:
        self._pages = pages
        self._name = name

    @property
    def socket_id(self) -> str:
        return str(self.until_state("connected")["socket_id"])

    def subscribe(self, kind: str, channel: str, *listen: str, whispers: tuple[str, ...] = ()) -> None:
        """Subscribe to a ``public``, ``private`` or ``presence`` channel, named as Echo wants it."""
        self._do("subscribe", kind=kind, channel=channel, listen=listen, whispers=whispers)

    def whisper(self, kind: str, channel: str, event: str, data: Any, bytes: str = "") -> None:
        """Tell the others; ``bytes`` in hexadecimal are put into ``data`` as bytes."""
        self._do("whisper", kind=kind, channel=channel, event=event, data=data, bytes=bytes)

    def offset(self) -> str | None:
        """Where the client believes to be."""
        self._do("offset")
        found: str | None = self._pages.expect(page=self._name, kind="offset")["offset"]
        return found

    def leave(self, channel: str) -> None:
        self._do("leave", channel=channel)

    def close(self) -> None:
        self._do("close")

    def expect(self, channel: str, event: str, since: int = 0) -> Any:
        """The data of the first such event since then; waits for it."""
        return self._pages.expect(since, page=self._name, kind="event", channel=channel, event=event)["data"]

    def until_state(self, state: str, since: int = 0) -> Line:
        return self._pages.expect(since, page=self._name, kind="state", state=state)

    def until_refused(self) -> tuple[str, int]:
        line = self._pages.expect(page=self._name, kind="refused")
        return line["channel"], line["status"]

    def events(self, channel: str) -> list[tuple[str, Any]]:
        """Name and data of each event that this page has been seen to receive on the channel, in order."""
        return [
            (line["event"], line.get("data"))
            for line in self._pages.seen
            if line["kind"] == "event" and line["page"] == self._name and line["channel"] == channel
        ]

    def _do(self, command: str, **more: Any) -> None:
        self._pages.write(do=command, page=self._name, **more)


@pytest.fixture(scope="module")
def echo_server(node: None) -> Iterator[Server]:
    """A server whose app asks the application."""
    with application() as port, Server(f'{CONFIG}\n[apps.auth]\nhost = ["http://127.0.0.1:{port}"]\n') as server:
        yield server


@pytest.fixture(scope="module", params=[(stack, way) for stack in STACKS for way in WAYS], ids=str)
def pages(request: pytest.FixtureRequest, echo_server: Server) -> Iterator[Pages]:
    stack, transports = request.param
    with Pages(stack, echo_server.port, transports) as pages:
        yield pages


@pytest.fixture(scope="module")
def browser(echo_server: Server) -> Iterator[Browser]:
    with Browser("pusher-js-8", echo_server.port) as browser:
        yield browser


@pytest.fixture(scope="module")
def sdk(echo_server: Server) -> Iterator[pusher.Pusher]:
    sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=False, host="127.0.0.1", port=echo_server.port)
    yield sdk
    sdk._pusher_client.http.session.close()


@pytest.fixture
def channel(pages: Pages, request: pytest.FixtureRequest) -> str:
    """A channel that no other test uses."""
    return "-".join((request.function.__name__, *pages.stack)).replace(",", "-")


def until_subscribed(sdk: pusher.Pusher, channel: str, count: int) -> None:
    """Echo is told nothing when it is subscribed; the application can ask how many are."""
    until(lambda: subscriptions(sdk, channel) == count, f"{count} subscriptions of {channel}")


def subscriptions(sdk: pusher.Pusher, channel: str) -> int:
    return int(sdk.channel_info(channel, ["subscription_count"]).get("subscription_count", 0))


def test_e151_an_event_reaches_echo_and_pusher_alike(
    pages: Pages, browser: Browser, sdk: pusher.Pusher, channel: str
) -> None:
    page, tab = pages.page("public"), browser.tab(f"tab of {channel}")
    page.subscribe("public", channel, "Shipped", ".bare")
    tab.join(channel, "App\\Events\\Shipped")
    until_subscribed(sdk, channel, 2)
    data = {"id": 1, "text": "é😀"}
    sdk.trigger(channel, "App\\Events\\Shipped", data)
    sdk.trigger(channel, "bare", "text")
    assert page.expect(channel, "Shipped") == data
    assert page.expect(channel, ".bare") == "text"
    assert tab.expect(channel, "App\\Events\\Shipped")["data"] == data
    page.leave(channel)
    until_subscribed(sdk, channel, 1)
    page.close()


def test_e151_whispers_go_to_all_others_of_both_protocols(
    pages: Pages, browser: Browser, sdk: pusher.Pusher, channel: str
) -> None:
    ann, ben = pages.page("ann w", "ann"), pages.page("ben w", "ben")
    tab = browser.tab(f"tab of {channel}")
    full = f"private-{channel}"
    for page in (ann, ben):
        page.subscribe("private", channel, ".end", whispers=("typing", "said"))
    tab.join(full, "client-typing", "client-said")
    until_subscribed(sdk, full, 3)
    # Outside browsers, 1.7 posts text as if its bytes were characters.
    typing = {"on": True} if pages.stack[1:] == ("sio-1", "polling") else {"on": True, "é": "😀"}
    ann.whisper("private", channel, "typing", typing)
    assert ben.expect(channel, "client-typing") == tab.expect(full, "client-typing")["data"] == typing
    tab.trigger(full, "client-said", {"by": "pusher"})
    assert ann.expect(channel, "client-said") == ben.expect(channel, "client-said") == {"by": "pusher"}
    sdk.trigger(full, "end", 1)
    ann.expect(channel, ".end")
    assert ann.events(channel) == [("client-said", {"by": "pusher"}), (".end", 1)]
    ann.close()
    ben.close()


def test_e193_bytes_in_a_whisper_are_heard_by_the_others_that_know_bytes(
    pages: Pages, browser: Browser, sdk: pusher.Pusher, channel: str
) -> None:
    ann, ben = pages.page("ann b", "ann"), pages.page("ben b", "ben")
    tab, full = browser.tab(f"tab of {channel}"), f"private-{channel}"
    for page in (ann, ben):
        page.subscribe("private", channel, ".end", whispers=("drawn",))
    tab.join(full, "client-drawn", "end")
    until_subscribed(sdk, full, 3)
    ann.whisper("private", channel, "drawn", {"of": "ann"}, bytes="0102ff")
    assert ben.expect(channel, "client-drawn") == {"of": "ann", "bytes": "0102ff"}
    sdk.trigger(full, "end", 1)
    tab.expect(full, "end")
    assert "client-drawn" not in [event for event, _ in tab.events(full)]
    ann.close()
    ben.close()


def test_e151_e180_members_of_both_protocols_see_each_other(
    pages: Pages, browser: Browser, sdk: pusher.Pusher, channel: str
) -> None:
    full = f"presence-{channel}"
    ann, again, ben = (pages.page(f"{name} p", name[:3]) for name in ("ann", "ann again", "ben"))
    ann.subscribe("presence", channel)
    assert ann.expect(channel, "here") == [{"name": "ann"}]
    again.subscribe("presence", channel)
    assert again.expect(channel, "here") == [{"name": "ann"}]
    tab = browser.tab(f"tab of {channel}", presence={"user_id": "tab", "user_info": {"name": "tab"}})
    members = {"ann": {"name": "ann"}, "tab": {"name": "tab"}}
    assert tab.join(full, "client-wave")["members"] == members
    assert ann.expect(channel, "joining") == {"name": "tab"}
    ben.subscribe("presence", channel, whispers=("wave",))
    assert ben.expect(channel, "here") == [{"name": "ben"}, {"name": "tab"}, {"name": "ann"}]
    assert tab.expect(full, "pusher:member_added")["data"] == {"id": "ben", "info": {"name": "ben"}}
    ben.whisper("presence", channel, "wave", {"x": 1})
    assert tab.expect(full, "client-wave")["data"] == {"x": 1}
    again.close()
    ben.leave(channel)
    assert tab.expect(full, "pusher:member_removed")["data"] == {"id": "ben", "info": {"name": "ben"}}
    tab.unsubscribe(full)
    until(lambda: subscriptions(sdk, full) == 1, "the tab's leaving")
    assert ann.expect(channel, "leaving") == {"name": "ben"}
    sdk.trigger(full, "end", 1)
    told = ["here", "joining", "joining", "leaving", "leaving"]
    until(lambda: _read_on(ann, channel, len(told)), "all that ann is told")
    assert [event for event, _ in ann.events(channel)] == told
    assert ann.events(channel)[-1] == ("leaving", {"name": "tab"})
    ann.close()
    ben.close()


@pytest.mark.parametrize("way", WAYS)
def test_e151_python_socketio_hears_events_members_and_whispers(
    way: str, echo_server: Server, sdk: pusher.Pusher
) -> None:
    channel = f"presence-python-{way}".replace(",", "-")
    heard: Queue[tuple[Any, ...]] = Queue()
    ann, ben = (socketio.Client(reconnection=False) for _ in range(2))
    ann.on("*", lambda *arguments: heard.put(arguments))
    here: Queue[list[Line]] = Queue()
    ben.on("presence:subscribed", lambda channel, members: here.put(members))
    try:
        for client, user in ((ann, "ann"), (ben, "ben")):
            client.connect(echo_server.url, transports=way.split(","))
            client.emit("subscribe", {"channel": channel, "auth": {"headers": {"X-User": user}}})
            if client is ann:
                assert heard.get(timeout=PATIENCE)[:2] == ("presence:subscribed", channel)
        assert [each["user_id"] for each in here.get(timeout=PATIENCE)] == ["ben", "ann"]
        assert ann.transport() == way.rpartition(",")[2]
        event, _, member = heard.get(timeout=PATIENCE)
        assert (event, member["user_id"]) == ("presence:joining", "ben")
        sdk.trigger(channel, "news", {"text": "é😀"})
        assert heard.get(timeout=PATIENCE)[:3] == ("news", channel, {"text": "é😀"})
        ben.emit("client event", {"channel": channel, "event": "client-typing", "data": {"é": 1}})
        assert heard.get(timeout=PATIENCE)[:3] == ("client-typing", channel, {"é": 1})
        ben.disconnect()
        event, _, member = heard.get(timeout=PATIENCE)
        assert (event, member["user_id"]) == ("presence:leaving", "ben")
    finally:
        ann.disconnect()
        ben.disconnect()


def _read_on(page: Page, channel: str, count: int) -> bool:
    if len(page.events(channel)) < count:
        page._pages.seen.append(page._pages.read())
    return len(page.events(channel)) >= count


def test_e110_to_others_leaves_out_exactly_the_socket_that_is_named(
    pages: Pages, sdk: pusher.Pusher, channel: str
) -> None:
    cause, other = pages.page("cause"), pages.page("other")
    for page in (cause, other):
        page.subscribe("public", channel, ".news")
    until_subscribed(sdk, channel, 2)
    # The SDK knows only Pusher's form of socket ids.
    _publish(sdk, {"name": "news", "channels": [channel], "data": '"mine"', "socket_id": cause.socket_id})
    sdk.trigger(channel, "news", "everybody's")
    assert cause.expect(channel, ".news") == "everybody's"
    assert other.expect(channel, ".news") == "mine"
    cause.close()
    other.close()


def _publish(sdk: pusher.Pusher, event: dict[str, Any]) -> None:
    """Without the SDK's own checks."""
    client = sdk._pusher_client
    client.http.send_request(pusher.http.Request(client, "POST", f"/apps/{APP_ID}/events", event))


def test_e123_a_refused_subscription_is_told_with_the_applications_status(pages: Pages, channel: str) -> None:
    page = pages.page("refused", "ann")
    page.subscribe("private", f"deny-{channel}")
    assert page.until_refused() == (f"private-deny-{channel}", 403)
    page.close()


def test_e117_data_that_is_text_is_not_taken_for_an_offset(echo_server: Server, sdk: pusher.Pusher) -> None:
    with Pages(("echo-2", "sio-4"), echo_server.port, "websocket") as pages:
        page = pages.page("offset")
        page.subscribe("public", "e117", ".news")
        until_subscribed(sdk, "e117", 1)
        sdk.trigger("e117", "news", "text")
        assert page.expect("e117", ".news") == "text"
        assert page.offset() not in (None, "text")


@pytest.mark.parametrize("way", WAYS)
def test_e194_client_3_with_old_laravel_echo_loses_its_channels_at_a_cut_and_nothing_else(
    way: str, echo_server: Server, sdk: pusher.Pusher
) -> None:
    channel = f"e194-{way}".replace(",", "-")
    with Relay(echo_server.port) as relay, Pages(("echo-1", "sio-3"), relay.port, way) as pages:
        page = pages.page("cut", "ann")
        page.subscribe("public", channel, ".news")
        until_subscribed(sdk, channel, 1)
        since = len(pages.seen)
        relay.cut()
        page.until_state("disconnected", since)
        page.until_state("connected", since)
        until_subscribed(sdk, channel, 0)
        again = pages.page("again", "ann")
        again.subscribe("public", channel, ".news")
        until_subscribed(sdk, channel, 1)
        sdk.trigger(channel, "news", 1)
        assert again.expect(channel, ".news") == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stack", [stack for stack in STACKS if stack[1] != "sio-3"], ids=str)
def test_e152_e153_after_a_cut_the_page_is_on_its_channels_again(
    stack: tuple[str, str], way: str, echo_server: Server, sdk: pusher.Pusher
) -> None:
    channel = "-".join(("cut", *stack, way)).replace(",", "-")
    with Relay(echo_server.port) as relay, Pages(stack, relay.port, way) as pages:
        page = pages.page("cut", "ann")
        page.subscribe("public", channel, ".news")
        page.subscribe("private", channel, ".news")
        page.subscribe("presence", channel, ".news")
        for name in (channel, f"private-{channel}", f"presence-{channel}"):
            until_subscribed(sdk, name, 1)
        since = len(pages.seen)
        relay.cut()
        page.until_state("disconnected", since)
        page.until_state("connected", since)
        assert page.expect(channel, "here", since) == [{"name": "ann"}]
        for name in (channel, f"private-{channel}", f"presence-{channel}"):
            until_subscribed(sdk, name, 1)
        since = len(pages.seen)
        for name in (channel, f"private-{channel}", f"presence-{channel}"):
            sdk.trigger(name, "news", name)
        until(lambda: _read_on(page, channel, 5), "events after the cut")
        news = sorted(data for event, data in page.events(channel) if event == ".news")
        assert news == sorted((channel, f"private-{channel}", f"presence-{channel}"))
