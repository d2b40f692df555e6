"""Private channels: whose signature lets in, and how everybody else is told no (P090–P098)."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import fail
from zope.interface import implementer

from broadcaster.drivers.memory import MemoryDriver
from broadcaster.errors import DriverError
from broadcaster.interfaces import IMembership
from broadcaster.membership import LocalMembership
from tests.conformance.conftest import Serve, SocketIds
from tests.conformance.expected import auth, published, refused, succeeded, unauthorized
from tests.inprocess import APP, Client, InProcess, app_with

A = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
F = "e6a18892d037c5d5e76a2265df4f086ffc38631605530dfd214aa5bff495f533"
J = "3f4243af5e27f47d11116e80a4b762a3b672c9b83f9e82645a0ba883c2592b09"


@pytest.fixture
def client(server: InProcess, socket_ids: SocketIds) -> Client:
    """The one whose socket id the vectors were made for."""
    socket_ids("1234.1234", "1234.5678")
    return server.joined()


def ask(client: Client, channel: str, signature: object, **more: object) -> list[dict[str, Any]]:
    client.say("pusher:subscribe", {"channel": channel, "auth": signature, **more})
    return client.events()


def wrong(signature: str, text: str = "1234.1234:private-foobar") -> str:
    return f"Invalid signature: Expected HMAC SHA256 hex digest of {text}, but got {signature}"


def test_p090_vector_a(client: Client) -> None:
    assert ask(client, "private-foobar", f"{APP.key}:{A}") == [succeeded("private-foobar")]
    client.server.publish("private-foobar")
    assert client.events() == [published("private-foobar", "1")]


def test_p091_the_last_digit_counts_and_the_right_one_is_not_told(client: Client) -> None:
    forged = A[:-1] + "5"
    answer = ask(client, "private-foobar", f"{APP.key}:{forged}")
    assert answer == unauthorized("private-foobar", wrong(forged))
    assert A not in str(answer)
    client.server.publish("private-foobar")
    assert client.events() == []


def test_p092_a_signature_is_for_one_socket_and_one_channel(client: Client) -> None:
    other = client.server.joined()
    assert other.name() == "1234.5678"
    text = "1234.5678:private-foobar"
    assert ask(other, "private-foobar", f"{APP.key}:{A}") == unauthorized("private-foobar", wrong(A, text))
    text = "1234.1234:private-foobaz"
    assert ask(client, "private-foobaz", f"{APP.key}:{A}") == unauthorized("private-foobaz", wrong(A, text))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "Auth info required to subscribe to private-foobar"),
        ("abc", "Invalid format: auth must have the format key:signature"),
        (A, "Invalid format: auth must have the format key:signature"),
        (f"other:{A}", "Invalid key in subscription auth data: 'other'"),
        (f":{A}", "Invalid key in subscription auth data: ''"),
        (f"{APP.key}:", wrong("")),
        (f"{APP.key}:{A}:", wrong(A + ":")),
        (f"{APP.key}: {A}", wrong(" " + A)),
        (f"{APP.key}:é", wrong("é")),
    ],
)
def test_p093_each_fault_has_its_text(client: Client, given: str, reason: str) -> None:
    assert ask(client, "private-foobar", given) == unauthorized("private-foobar", reason)


def test_p093_no_auth_at_all(client: Client) -> None:
    client.say("pusher:subscribe", {"channel": "private-foobar"})
    reason = "Auth info required to subscribe to private-foobar"
    assert client.events() == unauthorized("private-foobar", reason)


def test_p093_the_key_of_another_app_is_wrong_even_with_its_signature(serve: Serve, socket_ids: SocketIds) -> None:
    socket_ids("1234.1234")
    other = app_with(id="4", key="other", secrets=("other-secret",))
    client = serve(APP, other).joined()
    answer = ask(client, "private-foobar", auth("1234.1234:private-foobar", other))
    assert answer == unauthorized("private-foobar", "Invalid key in subscription auth data: 'other'")


def test_p094_upper_case_is_wrong(client: Client) -> None:
    answer = ask(client, "private-foobar", f"{APP.key}:{A.upper()}")
    assert answer == unauthorized("private-foobar", wrong(A.upper()))


@pytest.mark.parametrize("given", [7, 1.5, True, None, [A], {"auth": A}])
def test_p099_auth_that_is_no_string_is_none(client: Client, given: object) -> None:
    reason = "Auth info required to subscribe to private-foobar"
    assert ask(client, "private-foobar", given) == unauthorized("private-foobar", reason)


def test_p095_channel_data_on_a_private_channel_is_signed_too(client: Client) -> None:
    answer = ask(client, "private-foobar", f"{APP.key}:{J}", channel_data='{"a":1}')
    assert answer == [succeeded("private-foobar")]


def test_p095_channel_data_that_is_not_signed_is_refused(client: Client) -> None:
    answer = ask(client, "private-foobar", f"{APP.key}:{A}", channel_data='{"a":1}')
    assert answer == unauthorized("private-foobar", wrong(A, '1234.1234:private-foobar:{"a":1}'))
    assert ask(client, "private-foobar", f"{APP.key}:{J}") == unauthorized("private-foobar", wrong(J))


def test_p095_channel_data_that_is_no_string_is_refused(client: Client) -> None:
    answer = ask(client, "private-foobar", f"{APP.key}:{J}", channel_data={"a": 1})
    assert [frame["event"] for frame in answer] == ["pusher:subscription_error", "pusher:error"]
    assert '"type":"InvalidData"' in answer[0]["data"]
    assert '"status":400' in answer[0]["data"]
    assert answer[1]["data"]["message"].startswith("Invalid channel_data: ")


def test_p096_any_current_secret_is_good_and_no_former_one(serve: Serve, socket_ids: SocketIds) -> None:
    """The old secret's removal is another configuration, so it is another server here."""
    text = "1234.1234:private-foobar"
    for secrets, good in (("new", "old"), True), (("new",), False):
        for secret in ("new", "old"):
            socket_ids("1234.1234")
            client = serve(app_with(secrets=secrets)).joined()
            given = auth(text, secret=secret)
            if good or secret == "new":
                assert ask(client, "private-foobar", given) == [succeeded("private-foobar")]
            else:
                refusal = unauthorized("private-foobar", wrong(given.partition(":")[2]))
                assert ask(client, "private-foobar", given) == refusal


def test_p097_encrypted_data_passes_unchanged(client: Client) -> None:
    """Vectors F and those of §5.6, which a client with the channel's key can open."""
    channel = "private-encrypted-foobar"
    assert ask(client, channel, f"{APP.key}:{F}") == [succeeded(channel)]
    text = (
        '{"nonce":"ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7","ciphertext":"D9ZlXw1NAK1p9kbP90qc4VhTFJSUGzZpJbK8OFyj5qJzEv8="}'
    )
    client.server.publish(channel, "secret", text)
    assert client.events() == [published(channel, text, "secret")]


def test_p098_a_refused_socket_may_try_again(client: Client) -> None:
    assert ask(client, "private-foobar", f"{APP.key}:abc") == unauthorized("private-foobar", wrong("abc"))
    assert ask(client, "private-foobar", f"{APP.key}:{A}") == [succeeded("private-foobar")]


@pytest.mark.parametrize("name", ["private-", "private-encrypted-", "private-App.Models.User.7"])
def test_a_prefix_alone_is_a_name(client: Client, name: str) -> None:
    client.subscribe(name)
    assert client.events() == [succeeded(name)]


def test_the_grammar_is_looked_at_before_the_signature(client: Client) -> None:
    assert ask(client, "private-a b", "") == refused(
        "private-a b", "InvalidChannel", 400, "Invalid channel name: private-a b"
    )


@implementer(IMembership)
class DeafDriver(MemoryDriver):
    """A driver that cannot reach whoever keeps the members."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def join(self, *_: object) -> Any:
        return fail(self._error)

    leave = members = subscriptions = channels = join


def test_a_deaf_driver_is_said_so(serve: Serve) -> None:
    client = serve(through=DeafDriver(DriverError("deaf"))).joined()
    client.subscribe("presence-x", {"user_id": "1"})
    assert client.events() == refused("presence-x", "ServerError", 503, "Try again later")
    client.subscribe("presence-x", {"user_id": "1"})
    assert client.events() == refused("presence-x", "ServerError", 503, "Try again later")
    client.subscribe("private-x")
    assert client.events() == [succeeded("private-x")]


def test_a_fault_of_ours_is_logged_and_sends_the_client_to_try_again(
    server: InProcess, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalMembership, "join", lambda *_: fail(ZeroDivisionError()))
    client = server.joined()
    client.subscribe("presence-x", {"user_id": "1"})
    assert client.events() == []
    assert client.close_code == 4200
    assert [event["log_failure"].type for event in logged] == [ZeroDivisionError]
    logged.clear()
