"""Apps that want each connection to sign in or join a private channel, and soon (P060)."""

from __future__ import annotations

import pytest

from broadcaster.settings import Limits
from tests.conformance.conftest import Serve
from tests.conformance.expected import auth, error, succeeded
from tests.inprocess import QUERY, Client, InProcess, app_with, client_frame

TIMEOUT = "Connection not authorized within timeout"


@pytest.fixture
def server(serve: Serve) -> InProcess:
    """A server whose only app has authorised connections on; it starts within a second, not at its beginning."""
    server = serve(app_with(authorized_connections=True))
    server.advance(0.3)
    return server


def closes(client: Client, seconds: float) -> bool:
    """Whether the server ends it within that time although it answers pings."""
    while seconds > 0 and client.close_code is None:
        client.server.advance(min(0.5, seconds))
        seconds -= 0.5
        client.events()
        for payload in client.pings:
            client.raw(client_frame(0xA, payload))
        client.pings.clear()
    return client.close_code is not None


def test_p060_who_does_nothing_is_closed_after_thirty_seconds(server: InProcess) -> None:
    client = server.joined()
    assert not closes(client, 29.5)
    assert closes(client, 2)
    assert (client.close_code, client.close_reason) == (4009, TIMEOUT)


def test_p060_each_connection_has_its_own_time(server: InProcess) -> None:
    first = server.joined()
    server.advance(20)
    second = server.joined()
    assert closes(first, 12)
    assert not closes(second, 17)
    assert closes(second, 3)


@pytest.mark.parametrize(
    "channel", ["private-x", "private-cache-x", "private-encrypted-x", "private-encrypted-cache-x", "presence-x"]
)
def test_p060_one_channel_that_needs_a_signature_is_enough(server: InProcess, channel: str) -> None:
    client = server.joined()
    server.advance(29)
    client.subscribe(channel, {"user_id": "1"} if channel == "presence-x" else None)
    assert not closes(client, 120)


def test_p060_signing_in_is_enough(server: InProcess) -> None:
    client = server.joined()
    server.advance(29)
    client.sign_in({"id": "1"})
    assert not closes(client, 120)


def test_p060_public_channels_are_not(server: InProcess) -> None:
    client = server.joined("x", "cache-x", "Private-x")
    client.say("pusher:subscribe", {"channel": "#server-to-user-1"})
    assert closes(client, 32)
    assert client.close_code == 4009


def test_p060_neither_is_what_was_refused(server: InProcess) -> None:
    client = server.joined()
    client.say("pusher:subscribe", {"channel": "private-x", "auth": auth("nonsense")})
    client.say("pusher:signin", {"auth": auth("nonsense"), "user_data": '{"id":"1"}'})
    assert {frame["event"] for frame in client.events()} == {"pusher:subscription_error", "pusher:error"}
    assert closes(client, 32)
    assert (client.close_code, client.close_reason) == (4009, TIMEOUT)


def test_p060_a_private_subscribe_in_time_counts_also_when_it_is_over(server: InProcess) -> None:
    """A page that has shown who it is and moves on to public channels would be closed for good: 4009."""
    client = server.joined("private-x", "y")
    client.say("pusher:unsubscribe", {"channel": "private-x"})
    assert not closes(client, 120)
    server.publish("y")
    assert [frame["event"] for frame in client.events()] == ["e"]


def test_p060_after_it_the_others_stay(server: InProcess) -> None:
    idle, busy = server.joined(), server.joined("private-x")
    assert closes(idle, 32)
    server.publish("private-x")
    assert [frame["event"] for frame in busy.events()] == ["e"]


def test_p060_the_time_is_a_setting(serve: Serve) -> None:
    client = serve(app_with(authorized_connections=True), limits=Limits(authorization_seconds=5)).joined()
    assert not closes(client, 4.5)
    assert closes(client, 2)
    client = serve(app_with(authorized_connections=True), limits=Limits(authorization_seconds=90)).joined()
    assert not closes(client, 89)
    assert closes(client, 3)


def test_p060_nought_is_no_bound(serve: Serve) -> None:
    client = serve(app_with(authorized_connections=True), limits=Limits(authorization_seconds=0)).joined()
    assert not closes(client, 120)


def test_p060_without_the_switch_nobody_needs_to(serve: Serve) -> None:
    assert not closes(serve().joined(), 120)


def test_p060_protocol_5_is_told_by_an_error_too(server: InProcess) -> None:
    client = server.joined(query=QUERY.replace("protocol=7", "protocol=5"))
    server.advance(32)
    assert client.events() == [error(TIMEOUT, 4009)]
    assert client.close_code == 4009


def test_p060_a_silent_client_is_pinged_and_given_up_all_the_same(server: InProcess) -> None:
    client = server.joined("private-x")
    server.advance(75)
    client.events()
    assert client.close_code == 4201


def test_p060_while_it_waits_it_works_like_any_other(server: InProcess) -> None:
    client = server.joined()
    client.subscribe("x")
    assert client.events() == [succeeded("x")]
