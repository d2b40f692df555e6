"""Signed-in users on presence channels: members without channel_data (P125, P127)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import SocketIds
from tests.conformance.expected import added, members, published, refused, succeeded, unauthorized
from tests.inprocess import APP, Client, InProcess

ANN = '{"id":"u1","user_info":{"name":"Ann"}}'
G = "71506e66e7fdca106571b8999a849ad34245bc653772e51e0026c1a2475b92ba"
C_DATA = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
C = "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"


@pytest.fixture
def client(server: InProcess, socket_ids: SocketIds) -> Client:
    """The one whose socket id the vectors were made for."""
    socket_ids("1234.1234", "1234.5678")
    return server.joined()


def user(server: InProcess, user_data: str = ANN) -> Client:
    """A client that is signed in."""
    client = server.joined()
    client.sign_in(user_data)
    client.events()
    return client


def test_p125_who_is_signed_in_needs_no_channel_data(client: Client) -> None:
    other = client.server.joined()
    other.subscribe("presence-foobar", {"user_id": "7"})
    other.events()
    client.sign_in(ANN)
    client.events()
    client.say("pusher:subscribe", {"channel": "presence-foobar", "auth": f"{APP.key}:{G}"})
    assert client.events() == [succeeded("presence-foobar", {"7": {}, "u1": {"name": "Ann"}})]
    assert other.events() == [added("presence-foobar", "u1", {"name": "Ann"})]


def test_p125_without_user_info_there_is_an_empty_one(server: InProcess) -> None:
    client = user(server, '{"id":"12345"}')
    client.subscribe("presence-x")
    assert client.events() == [succeeded("presence-x", {"12345": {}})]


def test_p125_the_signature_is_needed_all_the_same(client: Client) -> None:
    client.sign_in(ANN)
    client.events()
    client.say("pusher:subscribe", {"channel": "presence-foobar"})
    reason = "Auth info required to subscribe to presence-foobar"
    assert client.events() == unauthorized("presence-foobar", reason)


def test_p125_the_member_and_the_named_one_are_the_same_user(server: InProcess) -> None:
    first, second = user(server, ANN), server.joined()
    first.subscribe("presence-x")
    assert members(first.events()[0]) == {"u1": {"name": "Ann"}}
    second.subscribe("presence-x", {"user_id": "u1", "user_info": {"name": "Other"}})
    assert members(second.events()[0]) == {"u1": {"name": "Ann"}}
    assert first.events() == []


def test_p125_a_member_that_tells_too_much_of_itself_is_refused(server: InProcess) -> None:
    client = server.joined()
    client.sign_in({"id": "u1", "user_info": "x" * 1_023})
    client.events()
    client.subscribe("presence-x")
    reason = "limits.member_bytes exceeded (limits.member_bytes = 1024)"
    assert client.events() == refused("presence-x", "LimitReached", 413, reason)
    client = server.joined()
    client.sign_in({"id": "u1", "user_info": "x" * 1_022})
    client.events()
    client.subscribe("presence-x")
    assert members(client.events()[0]) == {"u1": "x" * 1_022}


def test_p127_channel_data_wins(client: Client) -> None:
    client.sign_in(ANN)
    client.events()
    given = {"auth": f"{APP.key}:{C}", "channel_data": C_DATA}
    client.say("pusher:subscribe", {"channel": "presence-foobar", **given})
    assert client.events() == [succeeded("presence-foobar", {"10": {"name": "Mr. Channels"}})]


def test_p127_a_client_event_tells_the_member_on_presence_and_nobody_on_private(server: InProcess) -> None:
    ann, ben = user(server, ANN), server.joined()
    for channel in ("presence-x", "private-x"):
        ann.subscribe(channel)
        ben.subscribe(channel, {"user_id": "ben"} if channel == "presence-x" else None)
    ann.events(), ben.events()
    ann.say("client-t", {"a": 1}, channel="presence-x")
    ann.say("client-t", {"a": 1}, channel="private-x")
    data = '{"a":1}'
    assert ben.events() == [
        published("presence-x", data, "client-t", user_id="u1"),
        published("private-x", data, "client-t"),
    ]
