"""Encrypted channels: the server passes on what it cannot read (P097, P152, P164; PyNaCl opens and seals)."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from tests.conformance.conftest import SocketIds
from tests.conformance.expected import missed, published, succeeded, unauthorized
from tests.inprocess import APP, Client, InProcess

CHANNEL = "private-encrypted-foobar"
MASTER_KEY = bytes(range(32))
F = "e6a18892d037c5d5e76a2265df4f086ffc38631605530dfd214aa5bff495f533"

PLAIN = '{"message":"hello"}'
NONCE = bytes(range(100, 124))
SEALED = '{"nonce":"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7","ciphertext":"D9ZlXw1NAK1p9kbP90qc4VhTFJSUGzZpJbK8OFyj5qJzEv8="}'


def box(channel: str) -> SecretBox:
    """What holders of the master key, and clients given the shared secret, lock and open a channel's data with."""
    return SecretBox(hashlib.sha256(channel.encode() + MASTER_KEY).digest())


def seal(channel: str, plain: str, nonce: bytes | None = None) -> str:
    """Data as an SDK publishes it."""
    sealed = box(channel).encrypt(plain.encode(), nonce)
    parts = {"nonce": sealed.nonce, "ciphertext": sealed.ciphertext}
    return json.dumps({name: base64.b64encode(part).decode() for name, part in parts.items()}, separators=(",", ":"))


def unseal(channel: str, data: str) -> str:
    """The text that a client reads in what it received."""
    parts = {name: base64.b64decode(part) for name, part in json.loads(data).items()}
    return box(channel).decrypt(parts["ciphertext"], parts["nonce"]).decode()


@pytest.fixture
def client(server: InProcess, socket_ids: SocketIds) -> Client:
    """The one whose socket id vector F was made for."""
    socket_ids("1234.1234", "1234.5678")
    client = server.joined()
    client.say("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP.key}:{F}"})
    assert client.events() == [succeeded(CHANNEL)]
    return client


def test_the_kit_makes_the_published_vector() -> None:
    shared_secret = base64.b64encode(bytes(box(CHANNEL))).decode()
    assert shared_secret == "g3Au6SZ+UCU+IMfFsFva0rq+Gi4tzSHR6WCcWZbS9sY="
    assert seal(CHANNEL, PLAIN, NONCE) == SEALED


def test_p097_vector_f_lets_in_and_the_sealed_vector_arrives_as_it_is(client: Client) -> None:
    client.server.publish(CHANNEL, "secret", SEALED)
    (frame,) = client.events()
    assert frame == published(CHANNEL, SEALED, "secret")
    assert unseal(CHANNEL, frame["data"]) == PLAIN


@given(st.text(max_size=200))
def test_p097_whatever_goes_in_sealed_comes_out_sealed(text: str) -> None:
    server = InProcess()
    try:
        client = server.joined(CHANNEL)
        server.publish(CHANNEL, data=seal(CHANNEL, json.dumps(text)))
        (frame,) = client.events()
        assert json.loads(unseal(CHANNEL, frame["data"])) == text
    finally:
        server.stop()


def test_p097_data_that_an_sdk_sends_as_an_object_can_be_opened(client: Client) -> None:
    client.server.publish(CHANNEL, data=json.loads(SEALED))
    (frame,) = client.events()
    assert unseal(CHANNEL, frame["data"]) == PLAIN


def test_p097_the_key_of_another_channel_opens_nothing(client: Client) -> None:
    client.server.publish(CHANNEL, data=SEALED)
    (frame,) = client.events()
    with pytest.raises(CryptoError):
        unseal("private-encrypted-other", frame["data"])


@pytest.mark.parametrize("data", ["plain", "", '{"nonce":"","ciphertext":"?"}', '{"nonce" : 1}', "null"])
def test_p097_what_is_not_sealed_is_passed_on_all_the_same(client: Client, data: str) -> None:
    client.server.publish(CHANNEL, data=data)
    assert client.events() == [published(CHANNEL, data)]


def test_p097_one_publish_may_name_several(client: Client) -> None:
    """SDKs refuse it themselves; what arrives here is their business."""
    other = "private-encrypted-other"
    client.subscribe(other)
    client.subscribe("x")
    client.events()
    assert client.server.publish([CHANNEL, other, "x"], data=SEALED).status == 200
    assert client.events() == [published(each, SEALED) for each in (CHANNEL, other, "x")]


def test_p097_a_shared_secret_that_a_client_sends_is_ignored(server: InProcess) -> None:
    client = server.joined()
    client.subscribe(CHANNEL, shared_secret="g3Au6SZ+UCU+IMfFsFva0rq+Gi4tzSHR6WCcWZbS9sY=")
    assert client.events() == [succeeded(CHANNEL)]


def test_p097_the_signature_of_the_plain_channel_is_for_another(client: Client) -> None:
    other = client.server.joined()
    other.say("pusher:subscribe", {"channel": CHANNEL, "auth": f"{APP.key}:{F}"})
    reason = f"Invalid signature: Expected HMAC SHA256 hex digest of 1234.5678:{CHANNEL}, but got {F}"
    assert other.events() == unauthorized(CHANNEL, reason)


def test_p152_a_client_event_is_delivered_sealed_or_not(client: Client) -> None:
    other = client.server.joined(CHANNEL)
    for data in (SEALED, {"a": 1}):
        client.say("client-t", data, channel=CHANNEL)
    assert other.events() == [published(CHANNEL, text, "client-t") for text in (SEALED, '{"a":1}')]
    assert client.events() == []


def test_p164_the_cache_keeps_what_it_cannot_read(server: InProcess) -> None:
    channel = "private-encrypted-cache-foobar"
    client = server.joined()
    client.subscribe(channel)
    assert client.events() == [succeeded(channel), missed(channel)]
    server.publish(channel, data=seal(channel, PLAIN))
    late = server.joined()
    late.subscribe(channel)
    _, frame = late.events()
    assert [frame] == client.events()
    assert unseal(channel, frame["data"]) == PLAIN
