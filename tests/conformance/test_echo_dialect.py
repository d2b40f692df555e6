"""laravel-echo-server's events: subscribing, being refused, members and whispers, beside clients of Pusher's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from tests.conformance.application import Application, Said, member
from tests.conformance.conftest import Serve
from tests.conformance.polling import Poller, Socket, event, joined
from tests.inprocess import APP, InProcess, app_with

REVISIONS = pytest.mark.parametrize("revision", [3, 4])


def say(client: Socket, name: str, argument: Any) -> None:
    client.text("42" + json.dumps([name, argument]))


def subscribe(client: Socket, *channels: str, auth: Any = None) -> None:
    for channel in channels:
        say(client, "subscribe", {"channel": channel, "auth": auth or {"headers": {}}})


def told(client: Socket) -> list[Any]:
    """The events since the last call, without revision 4's offset."""
    return [event(text)[:3] for text in client.texts()]


def on(application: Application, revision: int, *channels: str) -> Socket:
    client = joined(application.server, revision)
    subscribe(client, *channels)
    client.texts()
    return client


# ---- subscribing ----------------------------------------------------------------------------------------------


@REVISIONS
def test_e121_a_public_channel_has_no_answer_but_events(server: InProcess, revision: int) -> None:
    client = joined(server, revision)
    subscribe(client, "orders")
    assert told(client) == []
    server.publish("orders", "App\\Events\\Shipped", '{"id":1}')
    assert told(client) == [["App\\Events\\Shipped", "orders", {"id": 1}]]


def test_e058_a_browser_with_client_1_7_posts_binary_payloads_of_text(serve: Serve) -> None:
    server = serve(app_with(bearer=True))
    client = Poller(server, 3)
    packet = '42["subscribe",{"channel":"bücher"}]'.encode()
    body = b"\0" + bytes(int(digit) for digit in str(len(packet))) + b"\xff" + packet
    assert client.post(body, "application/octet-stream").text == "ok"
    poll = client.get()
    event = '{"channel":"bücher","name":"e","data":1}'.encode()
    server.http("POST", "/apps/3/events", event, {"Authorization": f"Bearer {APP.key}"})
    assert poll.text == '23:42["e","b\\u00fccher",1]'


@REVISIONS
def test_e122_a_private_channel_is_asked_about_once(application: Application, revision: int) -> None:
    client = joined(application.server, revision)
    subscribe(client, "private-a", auth={"headers": {"X-User": "1", "n": 7}})
    assert told(client) == []
    ((address, _, asked),) = application.asked
    assert address == "http://application.test/broadcasting/auth"
    assert (asked.channel, asked.headers) == ("private-a", (("X-User", "1"), ("n", "7")))
    application.server.publish("private-a", "e", "1")
    assert told(client) == [["e", "private-a", 1]]


@REVISIONS
@pytest.mark.parametrize(
    ("said", "status"), [((403, ""), 403), ((201, ""), 201), ((302, ""), 302), (None, 0), ((200, "false"), 403)]
)
def test_e123_a_refusal_is_told_with_its_status(
    application: Application, revision: int, said: Said, status: int
) -> None:
    application.says("private-deny", said)
    client = joined(application.server, revision)
    subscribe(client, "private-deny")
    assert client.texts() == [f'42["subscription_error","private-deny",{status}]']
    application.server.publish("private-deny", "e", "1")
    assert told(client) == []


def test_e124_the_cookie_is_that_of_the_handshake(application: Application) -> None:
    client = Socket(application.server, 3, headers={"Cookie": "laravel_session=abc"})
    subscribe(client, "private-a")
    assert application.asked[0][1] == "laravel_session=abc"


@REVISIONS
def test_e127_unsubscribing_while_the_application_thinks(application: Application, revision: int) -> None:
    thinking: Deferred[Said] = Deferred()
    application.says("private-a", thinking)
    client = joined(application.server, revision)
    subscribe(client, "private-a")
    say(client, "unsubscribe", {"channel": "private-a"})
    if not thinking.called:
        thinking.callback((200, "true"))
    application.server.publish("private-a", "e", "1")
    assert told(client) == []


@REVISIONS
def test_e141_names_that_contain_private_are_asked_about(application: Application, revision: int) -> None:
    names = ("my-private-x", "laravel_database_private-x", "x-presence-y")
    for name in names:
        application.says(name, (403, ""))
    client = joined(application.server, revision)
    subscribe(client, *names)
    assert told(client) == [["subscription_error", name, 403] for name in names]
    assert [asked.channel for _, _, asked in application.asked] == list(names)
    application.members("x-presence-y", 1)
    subscribe(client, "x-presence-y")
    assert told(client) == []


def test_e148_subscribing_twice_delivers_once(server: InProcess) -> None:
    client = joined(server, 3)
    subscribe(client, "orders", "orders")
    server.publish("orders")
    assert len(told(client)) == 1


# ---- presence -------------------------------------------------------------------------------------------------

ROOM = "presence-room"


def with_id(user_id: Any, client: Socket) -> dict[str, Any]:
    return {**member(user_id), "socketId": client.socket_id}


@REVISIONS
def test_e128_e129_e136_members_are_told_of_each_other(application: Application, revision: int) -> None:
    application.members(ROOM, 1, 2)
    first, second = joined(application.server, revision), joined(application.server, revision)
    subscribe(first, ROOM)
    assert told(first) == [["presence:subscribed", ROOM, [with_id(1, first)]]]
    subscribe(second, ROOM)
    assert told(second) == [["presence:subscribed", ROOM, [with_id(2, second), with_id(1, first)]]]
    assert told(first) == [["presence:joining", ROOM, with_id(2, second)]]
    say(second, "unsubscribe", {"channel": ROOM})
    assert told(first) == [["presence:leaving", ROOM, member(2)]]


@REVISIONS
def test_e130_e131_a_user_is_one_member_however_many_sockets(application: Application, revision: int) -> None:
    application.members(ROOM, 1, 2, 2)
    watching, first = (on(application, revision, ROOM) for _ in range(2))
    watching.texts()
    second = joined(application.server, revision)
    subscribe(second, ROOM)
    assert told(second) == [["presence:subscribed", ROOM, [with_id(2, second), with_id(1, watching)]]]
    first.drop()
    assert told(watching) == []
    second.drop()
    assert told(watching) == [["presence:leaving", ROOM, member(2)]]


def test_e133_e134_members_in_a_string_and_ids_as_numbers_or_text(application: Application) -> None:
    inside = {"auth": "x", "channel_data": json.dumps(member("1"))}
    application.says(ROOM, (200, json.dumps({"channel_data": member(1)})), (200, json.dumps(inside)))
    first, second = joined(application.server, 3), joined(application.server, 3)
    subscribe(first, ROOM)
    first.texts()
    subscribe(second, ROOM)
    assert told(second) == [["presence:subscribed", ROOM, [with_id("1", second)]]]
    assert told(first) == []


def test_e135_presence_without_a_member_is_refused(application: Application) -> None:
    application.says(ROOM, (200, "true"))
    client = joined(application.server, 3)
    subscribe(client, ROOM)
    assert told(client) == [["subscription_error", ROOM, 403]]
    say(client, "unsubscribe", {"channel": ROOM})
    assert told(client) == [] and not client.ended


def test_subscribing_to_a_presence_channel_again_is_answered_afresh(application: Application) -> None:
    application.members(ROOM, 1, 2, 2)
    other, client = on(application, 3, ROOM), on(application, 3, ROOM)
    other.texts()
    subscribe(client, ROOM)
    assert told(client) == [["presence:subscribed", ROOM, [with_id(2, client), with_id(1, other)]]]
    assert told(other) == []


def test_e180_members_of_both_protocols(application: Application) -> None:
    application.members(ROOM, 1)
    pusher = application.server.joined()
    pusher.subscribe(ROOM, {"user_id": "p", "user_info": {"name": "P"}})
    pusher.events()
    echo = joined(application.server, 4)
    subscribe(echo, ROOM)
    (subscribed,) = told(echo)
    assert [each["user_id"] for each in subscribed[2]] == [1, "p"]
    (added,) = pusher.events()
    assert added["event"] == "pusher_internal:member_added"
    assert json.loads(added["data"]) == {"user_id": "1", "user_info": {"name": "U1"}}
    pusher.say("pusher:unsubscribe", {"channel": ROOM})
    assert told(echo) == [["presence:leaving", ROOM, {"user_id": "p", "user_info": {"name": "P"}}]]


# ---- events and whispers --------------------------------------------------------------------------------------


def test_e179_an_event_reaches_every_dialect_once(application: Application) -> None:
    old, new = (on(application, revision, "orders") for revision in (3, 4))
    pusher = application.server.joined("orders")
    application.server.publish("orders", "e", '{"a":1}')
    assert old.texts() == ['42["e","orders",{"a":1}]']
    assert told(new) == [["e", "orders", {"a": 1}]]
    assert pusher.events() == [{"event": "e", "channel": "orders", "data": '{"a":1}'}]


@REVISIONS
def test_e137_e138_e139_whispers_go_to_the_others(application: Application, revision: int) -> None:
    sender, other = (on(application, revision, "private-w") for _ in range(2))
    whisper = {"channel": "private-w", "event": "client-t", "data": {"x": 1}}
    say(sender, "client event", whisper)
    say(sender, "client event", json.dumps(whisper))
    say(sender, "client event", {"channel": "private-w", "event": "client-t"})
    assert told(other) == [["client-t", "private-w", data] for data in ({"x": 1}, {"x": 1}, None)]
    assert told(sender) == []


@REVISIONS
def test_e140_whispers_that_are_dropped_in_silence(application: Application, revision: int) -> None:
    sender = on(application, revision, "private-w", "public")
    other = on(application, revision, "private-w", "public", "private-other")
    for channel, name in (
        ("public", "client-t"),
        ("private-other", "client-t"),
        ("private-w", "other"),
        ("private-w", "xclient-y"),
    ):
        say(sender, "client event", {"channel": channel, "event": name, "data": 1})
    assert told(sender) == told(other) == []
    assert not sender.ended


@pytest.mark.parametrize(
    "text",
    [
        '42["subscribe",null]',
        '42["subscribe"]',
        '42["subscribe",{"channel":7}]',
        '42["subscribe",{"channel":["a"]}]',
        '42["unsubscribe",null]',
        '42["unsubscribe",{"channel":7}]',
        '42["unsubscribe",{"channel":"presence-x"}]',
        '42["client event",null]',
        '42["client event","{"]',
        '42["subscribe",{"channel":"__proto__"}]',
    ],
)
def test_e147_what_ended_the_originals_process_is_ignored(serve: Serve, text: str) -> None:
    server = serve()
    client, other = joined(server, 3), joined(server, 3)
    client.text(text)
    assert client.texts() == []
    for each in (client, other):
        subscribe(each, "orders")
    server.publish("orders")
    assert len(told(client)) == len(told(other)) == 1
