"""Signed-in users: who is one, and what reaches it (P096, P170–P176, P247)."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest

from broadcaster.settings import Limits
from tests.conformance.conftest import Serve, SocketIds
from tests.conformance.expected import (
    auth,
    error,
    members,
    published,
    refused,
    signed_in,
    succeeded,
    unauthorized,
)
from tests.inprocess import APP, NOW, PUSHER_LIMITS, Client, InProcess, app_with, signed

D_DATA = '{"id":"12345"}'
D = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
E_DATA = '{"id":"u1","user_info":{"name":"Ann"},"watchlist":["u2","u3"]}'
E = "516337f335ace48da6cc1070214c8d4a5b7f5abd7abd8a49a3b07515913034e1"
C_DATA = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'

OWN = "#server-to-user-12345"
ANN = '{"id":"u1","user_info":{"name":"Ann"}}'


@pytest.fixture
def client(server: InProcess, socket_ids: SocketIds) -> Client:
    """The one whose socket id the vectors were made for."""
    socket_ids("1234.1234", "1234.5678", "1234.9999")
    return server.joined()


def user(server: InProcess, user_data: str = D_DATA) -> Client:
    """A client that is signed in."""
    client = server.joined()
    client.sign_in(user_data)
    assert client.events() == [signed_in(user_data)]
    return client


def wrong(signature: str, text: str = f"1234.1234::user::{D_DATA}") -> str:
    return f"Invalid signature: Expected HMAC SHA256 hex digest of {text}, but got {signature}"


# ---- signing in -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user_data", "signature"), [(D_DATA, D), (E_DATA, E)])
def test_p170_a_signed_user_is_in(client: Client, user_data: str, signature: str) -> None:
    client.say("pusher:signin", {"auth": f"{APP.key}:{signature}", "user_data": user_data})
    assert client.events() == [signed_in(user_data)]


@pytest.mark.parametrize(
    "user_data", ['{"id": "1"}', '{"id":"Zo\\u00eb \\/"}', '{"id":"Zoë","x":[1]}', ' {"id":"1"}\n']
)
def test_p170_the_text_comes_back_as_it_was_signed(server: InProcess, user_data: str) -> None:
    client = server.joined()
    client.sign_in(user_data)
    (frame,) = client.events()
    assert json.loads(frame["data"]) == {"user_data": user_data}


def test_p170_data_may_be_a_string_that_holds_it(client: Client) -> None:
    client.say("pusher:signin", json.dumps({"auth": f"{APP.key}:{D}", "user_data": D_DATA}))
    assert client.events() == [signed_in(D_DATA)]


def test_p171_a_wrong_signature_is_an_error_and_the_connection_works_on(client: Client) -> None:
    forged = D[:-1] + "b"
    client.say("pusher:signin", {"auth": f"{APP.key}:{forged}", "user_data": D_DATA})
    (refusal,) = client.events()
    assert refusal == error(wrong(forged), 4009)
    assert D not in str(refusal)
    client.subscribe("x")
    assert client.events() == [succeeded("x")]
    client.server.publish(OWN)
    assert client.events() == []
    client.say("pusher:signin", {"auth": f"{APP.key}:{D}", "user_data": D_DATA})
    assert client.events() == [signed_in(D_DATA)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("abc", "Invalid format: auth must have the format key:signature"),
        (D, "Invalid format: auth must have the format key:signature"),
        (f"other:{D}", "Invalid key in subscription auth data: 'other'"),
        (f"{APP.key}:", wrong("")),
        (f"{APP.key}:{D.upper()}", wrong(D.upper())),
    ],
)
def test_p171_each_fault_of_a_signature_has_its_text(client: Client, given: str, reason: str) -> None:
    client.say("pusher:signin", {"auth": given, "user_data": D_DATA})
    assert client.events() == [error(reason, 4009)]


def test_p171_a_signature_is_for_one_socket_and_for_signing_in(client: Client) -> None:
    other = client.server.joined()
    assert other.name() == "1234.5678"
    other.say("pusher:signin", {"auth": f"{APP.key}:{D}", "user_data": D_DATA})
    assert other.events() == [error(wrong(D, f"1234.5678::user::{D_DATA}"), 4009)]
    text = f"1234.1234:presence-foobar:{D_DATA}"
    signature = hmac.new(APP.secrets[0].encode(), text.encode(), "sha256").hexdigest()
    client.say("pusher:signin", {"auth": f"{APP.key}:{signature}", "user_data": D_DATA})
    assert client.events() == [error(wrong(signature), 4009)]


@pytest.mark.parametrize(
    "data",
    [
        {"user_data": D_DATA},
        {"auth": "", "user_data": D_DATA},
        {"auth": 7, "user_data": D_DATA},
        {"auth": f"{APP.key}:{D}"},
        {"auth": f"{APP.key}:{D}", "user_data": {"id": "12345"}},
        {"auth": f"{APP.key}:{D}", "user_data": None},
        {},
    ],
)
def test_p172_auth_and_user_data_are_strings(client: Client, data: dict[str, Any]) -> None:
    client.say("pusher:signin", data)
    (refusal,) = client.events()
    assert (refusal["event"], refusal["data"]["code"]) == ("pusher:error", 4009)


@pytest.mark.parametrize(
    ("user_data", "why"),
    [
        ("", "it must be a JSON object"),
        ("{", "it must be a JSON object"),
        ("[]", "it must be a JSON object"),
        ('"12345"', "it must be a JSON object"),
        ("[" * 50_000, "it must be a JSON object"),
        ("{}", "id must be a non-empty string"),
        ('{"id":12345}', "id must be a non-empty string"),
        ('{"id":""}', "id must be a non-empty string"),
        ('{"id":null}', "id must be a non-empty string"),
        ('{"id":["1"]}', "id must be a non-empty string"),
        ('{"user_id":"1"}', "id must be a non-empty string"),
        ('{"id":"1","watchlist":"u2"}', "watchlist"),
        ('{"id":"1","watchlist":{"u2":1}}', "watchlist"),
        ('{"id":"1","watchlist":["u2",3]}', "watchlist"),
        ('{"id":"1","watchlist":[null]}', "watchlist"),
    ],
)
def test_p172_what_the_application_signed_must_name_a_user(server: InProcess, user_data: str, why: str) -> None:
    client = server.joined()
    client.sign_in(user_data)
    assert client.events() == [error(f"Invalid user_data: {why}", 4009)]
    client.subscribe("x")
    assert client.events() == [succeeded("x")]


def test_p172_signin_without_data_is_refused(client: Client) -> None:
    for data in (None, 7, []):
        client.say("pusher:signin", data)
        assert client.events() == [error("Missing parameter: data")]


def test_the_length_of_an_id_is_limited_and_the_refusal_names_the_setting(serve: Serve) -> None:
    for length, limits in ((128, PUSHER_LIMITS), (5, Limits(user_id_length=5))):
        server = serve(limits=limits)
        user(server, json.dumps({"id": "é" * length}))
        client = server.joined()
        client.sign_in({"id": "é" * (length + 1)})
        reason = f"Invalid user_data: id exceeds {length} characters (limits.user_id_length = {length})"
        assert client.events() == [error(reason, 4009)]
    server = serve(limits=Limits(user_id_length=0))
    user(server, json.dumps({"id": "é" * 1_000}))


def test_p173_the_same_user_may_sign_in_again(client: Client) -> None:
    for user_data in (D_DATA, D_DATA, '{"id":"12345","user_info":{"name":"Ann"}}'):
        client.sign_in(user_data)
        assert client.events() == [signed_in(user_data)]
    client.server.publish(OWN)
    assert client.events() == [published(OWN, "1")]


def test_p173_another_user_may_not_and_the_first_stays(client: Client) -> None:
    client.sign_in(D_DATA)
    client.events()
    client.sign_in(ANN)
    assert client.events() == [error("Already signed in as another user", 4009)]
    client.server.publish(OWN)
    client.server.publish("#server-to-user-u1")
    assert client.events() == [published(OWN, "1")]
    client.subscribe("presence-x")
    assert members(client.events()[0]) == {"12345": {}}


def test_p173_a_failed_second_attempt_changes_nothing(client: Client) -> None:
    client.sign_in(D_DATA)
    client.events()
    client.say("pusher:signin", {"auth": f"{APP.key}:abc", "user_data": D_DATA})
    assert client.events() == [error(wrong("abc"), 4009)]
    client.server.publish(OWN)
    assert client.events() == [published(OWN, "1")]


def test_p096_either_of_two_secrets_signs_users_members_and_calls(serve: Serve) -> None:
    app = app_with(secrets=("new", "old"))
    server = serve(app)
    for secret in ("new", "old"):
        client = server.joined()
        client.sign_in(D_DATA, secret=secret)
        assert client.events() == [signed_in(D_DATA)]
        text = f"{client.name()}:presence-{secret}:{C_DATA}"
        given = {"auth": auth(text, secret=secret), "channel_data": C_DATA}
        client.say("pusher:subscribe", {"channel": f"presence-{secret}", **given})
        assert members(client.events()[0]) == {"10": {"name": "Mr. Channels"}}
        called = signed(app_with(secrets=(secret,)), "GET", "/apps/3/channels", b"", "", NOW)
        assert server.http("GET", called).status == 200


def test_p096_a_secret_that_was_taken_out_signs_nobody_in(serve: Serve) -> None:
    client = serve(app_with(secrets=("new",))).joined()
    client.sign_in(D_DATA, secret="old")
    (refusal,) = client.events()
    assert refusal["data"]["code"] == 4009
    assert refusal["data"]["message"].startswith("Invalid signature: ")


# ---- the user's own channel -----------------------------------------------------------------------------------


def test_p174_it_may_be_subscribed_to_once_signed_in_and_again(client: Client) -> None:
    client.sign_in(D_DATA)
    client.events()
    for _ in range(3):
        client.subscribe(OWN, auth="")
        assert client.events() == [succeeded(OWN)]
    client.server.publish(OWN)
    assert client.events() == [published(OWN, "1")]


def test_p174_nobody_else_may(client: Client) -> None:
    client.subscribe(OWN, auth="")
    assert client.events() == unauthorized(OWN, f"Not allowed to subscribe to {OWN}")
    client.subscribe(OWN, auth=auth(f"{client.name()}:{OWN}"))
    assert client.events() == unauthorized(OWN, f"Not allowed to subscribe to {OWN}")
    client.sign_in(ANN)
    client.events()
    for other in (OWN, "#server-to-user-u", "#server-to-user-u11"):
        client.subscribe(other)
        assert client.events() == unauthorized(other, f"Not allowed to subscribe to {other}")
    client.server.publish(OWN)
    assert client.events() == []


def test_p175_all_sockets_of_the_user_and_no_others_hear_what_is_sent_to_it(server: InProcess) -> None:
    first, second, other, nobody = user(server), user(server), user(server, ANN), server.joined("x")
    first.subscribe(OWN)
    assert first.events() == [succeeded(OWN)]
    assert server.publish(OWN, "hello", '{"a":1}').text == "{}"
    for client in (first, second):
        assert client.events() == [published(OWN, '{"a":1}', "hello")]
    for client in (other, nobody):
        assert client.events() == []


def test_p175_php_names_the_channel_in_the_singular_and_a_batch_does(server: InProcess) -> None:
    client = user(server)
    event = {"name": "e", "channel": OWN, "data": "1"}
    assert server.call("POST", "/events", event).status == 200
    assert server.call("POST", "/batch_events", {"batch": [event]}).status == 200
    assert client.events() == [published(OWN, "1")] * 2


def test_p175_the_user_of_another_app_is_somebody_else(serve: Serve) -> None:
    other = app_with(id="4", key="other-key", secrets=("other-secret",))
    server = serve(APP, other)
    client = user(server)
    event = {"name": "e", "channel": OWN, "data": "1"}
    assert server.call("POST", "/events", event, app=other).status == 200
    assert client.events() == []


def test_p175_who_unsubscribes_hears_nothing_more_until_it_subscribes_again(server: InProcess) -> None:
    client = user(server)
    client.say("pusher:unsubscribe", {"channel": OWN})
    server.publish(OWN)
    assert client.events() == []
    client.subscribe(OWN)
    server.publish(OWN)
    assert client.events() == [succeeded(OWN), published(OWN, "1")]


def test_p175_what_was_sent_before_is_not_told(server: InProcess) -> None:
    server.publish(OWN)
    user(server)


def test_promise_7_nothing_is_sent_to_a_user_before_it_is_told_that_it_is_one(server: InProcess) -> None:
    early, client = user(server), server.joined()
    server.publish(OWN, "e1")
    client.sign_in(D_DATA)
    server.publish(OWN, "e2")
    assert client.events() == [signed_in(D_DATA), published(OWN, "1", "e2")]
    assert early.events() == [published(OWN, "1", "e1"), published(OWN, "1", "e2")]


@pytest.mark.parametrize("channel", ["#other", "#server-to-user-", "#server-to-user-a b", "#", "#server-to-user-#x"])
def test_p176_no_other_name_begins_like_that(server: InProcess, channel: str) -> None:
    client = user(server)
    client.subscribe(channel)
    assert client.events() == refused(channel, "InvalidChannel", 400, f"Invalid channel name: {channel}")
    answer = server.publish(channel)
    assert (answer.status, answer.text) == (400, f"Invalid channel name: {channel}\n")


def test_p247_the_channels_of_users_are_never_listed(server: InProcess) -> None:
    user(server).subscribe(OWN)
    user(server, ANN).subscribe("x")
    assert server.call("GET", "/channels").json == {"channels": {"x": {}}}
    listed = server.call("GET", "/channels", query="info=subscription_count")
    assert listed.json == {"channels": {"x": {"subscription_count": 1}}}
    for prefix in ("%23", "%23server-to-user-", "%23server-to-user-12345"):
        plain = f"filter_by_prefix={prefix.replace('%23', '#')}"
        target = signed(APP, "GET", "/apps/3/channels", b"", plain, NOW).replace("#", "%23")
        assert server.http("GET", target).json == {"channels": {}}


def test_a_user_whose_id_can_be_no_channel_is_in_all_the_same(server: InProcess) -> None:
    client = server.joined()
    client.sign_in({"id": "a b"})
    client.subscribe("#server-to-user-a b")
    assert client.events() == [signed_in('{"id": "a b"}'), succeeded("#server-to-user-a b")]


def test_a_client_event_to_a_users_channel_is_refused(server: InProcess) -> None:
    client, same = user(server), user(server)
    client.say("client-t", {}, channel=OWN)
    reason = "Client event rejected - only supported on private and presence channels"
    assert client.events() == [error(reason, 4301, OWN)]
    assert same.events() == []
