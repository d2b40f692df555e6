"""Joining a presence channel: who may, as whom, and what is said of everybody there (P110, P116–P124, P126)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.conftest import Serve, SocketIds
from tests.conformance.expected import (
    added,
    auth,
    compact,
    error,
    members,
    published,
    refused,
    succeeded,
    unauthorized,
)
from tests.inprocess import APP, PUSHER_LIMITS, Client, InProcess, app_with

CHANNEL = "presence-foobar"
C = (
    "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
    ('{"user_id":10,"user_info":{"name":"Mr. Channels"}}'),
)
H = (
    "0a4c2bd2473eab4f4718bbbebf96b8dec092edb816bb03cfc947c77f5b9cb12b",
    (r'{"user_id":"7","user_info":{"name":"Zo\u00eb","url":"https:\/\/x.test\/7"}}'),
)
I_ = (
    "649f8ebbf632974d4ed22ccba3913eecf109219219483ec961f5924d4cf2f164",
    ('{"user_id":"7","user_info":{"name":"Zoë","url":"https://x.test/7"}}'),
)
K = (
    "5b8808f3035fec2e4157c6b430a06d5b0de16d174e1a779e0e2b64d9983bde27",
    ('{"user_id": 10, "user_info": {"name": "Mr. Channels"}}'),
)
G = "71506e66e7fdca106571b8999a849ad34245bc653772e51e0026c1a2475b92ba"


@pytest.fixture
def client(server: InProcess, socket_ids: SocketIds) -> Client:
    """The one whose socket id the vectors were made for."""
    socket_ids("1234.1234", "1234.5678", "1234.9999")
    return server.joined()


def join(client: Client, member: dict[str, Any] | str, channel: str = CHANNEL) -> list[dict[str, Any]]:
    client.subscribe(channel, member)
    return client.events()


def as_signed(client: Client, vector: tuple[str, str]) -> list[dict[str, Any]]:
    digest, data = vector
    client.say("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP.key}:{digest}", "channel_data": data})
    return client.events()


def test_p110_the_first_member_finds_itself(client: Client) -> None:
    assert as_signed(client, C) == [succeeded(CHANNEL, {"10": {"name": "Mr. Channels"}})]


def test_p110_the_answer_byte_for_byte(client: Client) -> None:
    client.link.take()
    client.say("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP.key}:{C[0]}", "channel_data": C[1]})
    text = (
        rb'{"event":"pusher_internal:subscription_succeeded","channel":"presence-foobar","data":"{\"presence\":'
        rb'{\"count\":1,\"ids\":[\"10\"],\"hash\":{\"10\":{\"name\":\"Mr. Channels\"}}}}"}'
    )
    assert client.link.take() == b"\x81\x7e" + len(text).to_bytes(2, "big") + text


def test_a_member_hears_the_channel(client: Client) -> None:
    as_signed(client, C)
    client.server.publish(CHANNEL)
    assert client.events() == [published(CHANNEL, "1")]


def test_p116_a_number_and_its_text_are_one_member(server: InProcess) -> None:
    first, second, other = server.joined(), server.joined(), server.joined()
    join(first, {"user_id": 10})
    assert join(second, {"user_id": "10"}) == [succeeded(CHANNEL, {"10": {}})]
    assert first.events() == []
    assert members(join(other, {"user_id": "010"})[0]) == {"10": {}, "010": {}}
    second.drop()
    first.drop()
    assert [json.loads(frame["data"]) for frame in other.events()] == [{"user_id": "10"}]


@pytest.mark.parametrize(("user_id", "said"), [("1.5", "1.5"), ("-1", "-1"), ("0", "0"), ("9" * 40, "9" * 40)])
def test_p116_a_number_is_kept_as_it_was_written(client: Client, user_id: str, said: str) -> None:
    assert join(client, f'{{"user_id":{user_id}}}') == [succeeded(CHANNEL, {said: {}})]


@pytest.mark.parametrize(("vector", "user_id"), [(H, "7"), (I_, "7"), (K, "10")], ids="HIK")
def test_p117_channel_data_is_signed_as_it_was_sent(client: Client, vector: tuple[str, str], user_id: str) -> None:
    (answer,) = as_signed(client, vector)
    assert members(answer) == {user_id: json.loads(vector[1])["user_info"]}


def test_p117_what_means_the_same_is_not_what_was_signed(client: Client) -> None:
    text = f"1234.1234:{CHANNEL}:{K[1]}"
    reason = f"Invalid signature: Expected HMAC SHA256 hex digest of {text}, but got {C[0]}"
    assert as_signed(client, (C[0], K[1])) == unauthorized(CHANNEL, reason)


def test_p118_a_member_without_info_has_an_empty_one(server: InProcess) -> None:
    watcher, client = server.joined(), server.joined()
    assert join(watcher, {"user_id": "1"}) == [succeeded(CHANNEL, {"1": {}})]
    assert join(client, {"user_id": "2"}) == [succeeded(CHANNEL, {"1": {}, "2": {}})]
    assert watcher.events() == [added(CHANNEL, "2", {})]


@pytest.mark.parametrize("info", [True, 5, [1], "x", None, 1.50, {"a": {"b": []}}, "", 'qu"ote\\', "😀\u2028\x00"])
def test_p119_info_may_be_anything(server: InProcess, info: object) -> None:
    watcher, client = server.joined(), server.joined()
    join(watcher, {"user_id": "1"})
    (answer,) = join(client, {"user_id": "2", "user_info": info})
    assert members(answer)["2"] == info
    (told,) = watcher.events()
    assert json.loads(told["data"]) == {"user_id": "2", "user_info": info}


@pytest.mark.parametrize(
    "channel_data",
    [
        "not json",
        "{",
        " ",
        "[]",
        "5",
        "null",
        '"10"',
        '{"user_id":10}x',
        "{}",
        '{"user_info":{"user_id":1}}',
        '{"user_id":null}',
        '{"user_id":true}',
        '{"user_id":{}}',
        '{"user_id":[1]}',
        '{"user_id":""}',
        "[" * 1_000,
    ],
    ids=lambda data: data[:20],
)
def test_p120_channel_data_that_names_nobody(client: Client, channel_data: str) -> None:
    refusal, failure = join(client, channel_data)
    told = json.loads(refusal["data"])
    assert (told["type"], told["status"]) == ("InvalidData", 400)
    assert told["error"].startswith("Invalid channel_data: ")
    assert refusal["channel"] == CHANNEL
    assert failure == error(told["error"])
    assert client.server.call("GET", f"/channels/{CHANNEL}/users").json == {"users": []}


@pytest.mark.parametrize("channel_data", [{"user_id": 10}, ["x"], 5, True])
def test_p121_channel_data_that_is_no_string(client: Client, channel_data: object) -> None:
    client.say("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP.key}:{C[0]}", "channel_data": channel_data})
    refusal, _ = client.events()
    told = json.loads(refusal["data"])
    assert (told["type"], told["status"]) == ("InvalidData", 400)
    assert told["error"].startswith("Invalid channel_data: ")


def test_p122_a_user_id_that_is_too_long(client: Client) -> None:
    assert members(join(client, {"user_id": "x" * 128}, "presence-a")[0]) == {"x" * 128: {}}
    reason = "limits.user_id_length exceeded (limits.user_id_length = 128)"
    for user_id in ("x" * 129, int("1" * 129)):
        assert join(client, {"user_id": user_id}) == refused(CHANNEL, "LimitReached", 413, reason)


@pytest.mark.parametrize("letter", ["x", "é"])
def test_p122_channel_data_that_is_too_large(client: Client, letter: str) -> None:
    frame = compact({"user_id": "1", "user_info": ""})
    largest = frame.replace('""', f'"{letter * ((1_024 - len(frame)) // len(letter.encode()))}"')
    largest += " " * (1_024 - len(largest.encode()))
    reason = "limits.member_bytes exceeded (limits.member_bytes = 1024)"
    assert join(client, largest + " ") == refused(CHANNEL, "LimitReached", 413, reason)
    assert "1" in members(join(client, largest)[0])


def test_p123_a_channel_that_is_full(serve: Serve) -> None:
    server = serve(limits=replace(PUSHER_LIMITS, members=2))
    first, second, third, again = (server.joined() for _ in range(4))
    join(first, {"user_id": "1"})
    join(second, {"user_id": "2"})
    reason = "Presence channel is full (limits.members = 2)"
    assert join(third, {"user_id": "3"}) == refused(CHANNEL, "LimitReached", 403, reason)
    assert join(again, {"user_id": "2"}) == [succeeded(CHANNEL, {"1": {}, "2": {}})]
    assert first.events() == [added(CHANNEL, "2", {})]
    assert third.events() == []
    server.publish(CHANNEL)
    assert third.events() == []
    first.drop()
    assert join(third, {"user_id": "3"}) == [succeeded(CHANNEL, {"2": {}, "3": {}})]


def test_p123_the_bound_can_be_lifted(serve: Serve) -> None:
    server = serve(limits=replace(PUSHER_LIMITS, members=0))
    for number in range(150):
        (answer,) = join(server.joined(), {"user_id": number})
    assert len(members(answer)) == 150


def test_p124_the_info_of_the_first_connection_stands(server: InProcess) -> None:
    first, second, watcher = server.joined(), server.joined(), server.joined()
    join(first, {"user_id": "1", "user_info": "first"})
    assert join(second, {"user_id": "1", "user_info": "second"}) == [succeeded(CHANNEL, {"1": "first"})]
    first.drop()
    assert members(join(watcher, {"user_id": "2"})[0]) == {"1": "first", "2": {}}
    second.drop()
    watcher.events()
    third = server.joined()
    assert members(join(third, {"user_id": "1", "user_info": "third"})[0]) == {"1": "third", "2": {}}
    assert watcher.events() == [added(CHANNEL, "1", "third")]


@pytest.mark.parametrize("more", [{}, {"channel_data": None}, {"channel_data": ""}], ids=["absent", "null", "empty"])
def test_p126_nobody_in_particular_may_not_join(client: Client, more: dict[str, Any]) -> None:
    """Signed rightly as vector G, that is, without a third part; empty text counts as none, as SDKs have it."""
    client.say("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP.key}:{G}", **more})
    assert client.events() == unauthorized(CHANNEL, "presence channels need channel_data or a signed-in user")


def test_the_signature_is_looked_at_before_the_data(client: Client) -> None:
    client.say("pusher:subscribe", {"channel": CHANNEL, "channel_data": "not json"})
    assert client.events() == unauthorized(CHANNEL, f"Auth info required to subscribe to {CHANNEL}")


def test_the_same_connection_does_not_join_twice(client: Client) -> None:
    join(client, {"user_id": "1"})
    assert join(client, {"user_id": "2"}) == [error(f"Existing subscription to channel {CHANNEL}")]
    assert client.server.call("GET", f"/channels/{CHANNEL}/users").json == {"users": [{"id": "1"}]}


def test_apps_have_members_of_their_own(serve: Serve) -> None:
    server = serve(app_with(), app_with(id="4", key="other", secrets=(APP.secrets[0],)))
    join(server.joined(), {"user_id": "1"})
    other = server.joined(key="other")
    text = f"{other.name()}:{CHANNEL}:" + '{"user_id":"2"}'
    signature = auth(text, server.settings.apps[1])
    other.say("pusher:subscribe", {"channel": CHANNEL, "auth": signature, "channel_data": '{"user_id":"2"}'})
    assert other.events() == [succeeded(CHANNEL, {"2": {}})]
