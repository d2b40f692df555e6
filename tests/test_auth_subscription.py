"""Who may hear a channel: the table of refusals, in its order and words."""

from __future__ import annotations

import json

import pusher
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from broadcaster.auth.signature import channel_text, sign
from broadcaster.auth.subscription import SignatureAuthorizer, authorize
from broadcaster.errors import CommandRejected, SubscriptionRejected
from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe
from broadcaster.settings import App, Limits

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
SOCKET_ID = "1234.1234"
APP = App(id="3", key=KEY, secrets=(SECRET,))
LIMITS = Limits(members=100, member_bytes=1024, event_bytes=10_240)

A = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
F = "e6a18892d037c5d5e76a2265df4f086ffc38631605530dfd214aa5bff495f533"
J = "3f4243af5e27f47d11116e80a4b762a3b672c9b83f9e82645a0ba883c2592b09"
C_DATA = '{"user_id":10,"user_info":{"name":"Mr. Channels"}}'
C = "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"


def signed(channel: str, channel_data: str | None = None, secret: str = SECRET) -> Subscribe:
    return Subscribe(channel, f"{KEY}:{sign(secret, channel_text(SOCKET_ID, channel, channel_data))}", channel_data)


def allow(subscribe: Subscribe, app: App = APP, limits: Limits = LIMITS) -> Member | None:
    return authorize(app, SOCKET_ID, subscribe, limits)


def refusal(
    subscribe: Subscribe, app: App = APP, limits: Limits = LIMITS, socket_id: str = SOCKET_ID
) -> tuple[str, int, str]:
    with pytest.raises(SubscriptionRejected) as caught:
        authorize(app, socket_id, subscribe, limits)
    assert caught.value.channel == subscribe.channel
    assert caught.value.code is None
    return caught.value.kind, caught.value.status, caught.value.reason


def presence(channel_data: str) -> Member | None:
    return allow(signed("presence-foobar", channel_data))


# ---- names ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "foo-bar_1234@=,.;", "x" * 200, "privateer", "Private-x", "cache-x"])
def test_p072_public_channels_need_nothing(name: str) -> None:
    assert allow(Subscribe(name)) is None


def test_p071_public_channels_ignore_auth_and_channel_data() -> None:
    assert allow(Subscribe("my-channel", "", "[")) is None
    assert allow(Subscribe("my-channel", "nonsense")) is None


def test_p073_a_name_may_be_as_long_as_the_limit_says() -> None:
    reason = "Channel name exceeds 200 characters (limits.channel_name_length = 200)"
    assert refusal(Subscribe("x" * 201)) == ("LimitReached", 400, reason)
    assert refusal(Subscribe("private-" + "x" * 193)) == ("LimitReached", 400, reason)
    assert allow(Subscribe("x" * 201), limits=Limits(channel_name_length=0)) is None


@pytest.mark.parametrize("name", ["a b", "a/b", "a:b", "é", "a#b", "a\n", "\ud800", "#other", "#server-to-user-"])
def test_p074_p176_a_name_outside_the_grammar(name: str) -> None:
    assert refusal(Subscribe(name)) == ("InvalidChannel", 400, f"Invalid channel name: {name}")


def test_grammar_comes_before_length() -> None:
    assert refusal(Subscribe("é" * 201))[0] == "InvalidChannel"


def test_p074_an_empty_name_has_no_channel_to_tell() -> None:
    with pytest.raises(CommandRejected) as caught:
        allow(Subscribe(""))
    assert not isinstance(caught.value, SubscriptionRejected)
    assert (caught.value.code, caught.value.reason, caught.value.channel) == (None, "Invalid channel name: ", None)


def test_p174_users_channels_are_for_the_signed_in_user() -> None:
    name = "#server-to-user-12345"
    assert refusal(signed(name)) == ("AuthError", 401, f"Not allowed to subscribe to {name}")


# ---- private --------------------------------------------------------------------------------------------------


def test_p090_vector_a() -> None:
    assert allow(Subscribe("private-foobar", f"{KEY}:{A}")) is None


def test_p091_a_wrong_digit_is_told_without_the_right_digest() -> None:
    wrong = A[:-1] + "5"
    reason = f"Invalid signature: Expected HMAC SHA256 hex digest of {SOCKET_ID}:private-foobar, but got {wrong}"
    assert refusal(Subscribe("private-foobar", f"{KEY}:{wrong}")) == ("AuthError", 401, reason)
    assert A not in reason
    assert SECRET not in reason


def test_p092_a_signature_is_for_one_socket_and_one_channel() -> None:
    auth = f"{KEY}:{A}"
    assert refusal(Subscribe("private-foobar", auth), socket_id="1234.1235")[:2] == ("AuthError", 401)
    assert refusal(Subscribe("private-foobaz", auth))[:2] == ("AuthError", 401)


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        (None, "Auth info required to subscribe to private-foobar"),
        ("", "Auth info required to subscribe to private-foobar"),
        ("abc", "Invalid format: auth must have the format key:signature"),
        (f"other:{A}", "Invalid key in subscription auth data: 'other'"),
        (f":{A}", "Invalid key in subscription auth data: ''"),
    ],
)
def test_p093_auth_missing_or_malformed(auth: str | None, reason: str) -> None:
    assert refusal(Subscribe("private-foobar", auth)) == ("AuthError", 401, reason)


@pytest.mark.parametrize("signature", [A.upper(), "", A + ":", "é", "\ud800"])
def test_p094_a_signature_in_another_form_is_wrong(signature: str) -> None:
    assert refusal(Subscribe("private-foobar", f"{KEY}:{signature}"))[:2] == ("AuthError", 401)


def test_p095_channel_data_of_a_private_channel_is_signed_too() -> None:
    assert allow(Subscribe("private-foobar", f"{KEY}:{J}", '{"a":1}')) is None
    assert refusal(Subscribe("private-foobar", f"{KEY}:{A}", '{"a":1}'))[:2] == ("AuthError", 401)
    assert refusal(Subscribe("private-foobar", f"{KEY}:{J}"))[:2] == ("AuthError", 401)


def test_empty_channel_data_is_none_as_for_the_sdks() -> None:
    assert allow(Subscribe("private-foobar", f"{KEY}:{A}", "")) is None


def test_p096_either_secret_until_it_is_removed() -> None:
    rotating = App(id="3", key=KEY, secrets=("new", SECRET))
    assert allow(signed("private-foobar", secret="new"), rotating) is None
    assert allow(signed("private-foobar"), rotating) is None
    assert refusal(signed("private-foobar"), App(id="3", key=KEY, secrets=("new",)))[:2] == ("AuthError", 401)


def test_p097_vector_f_for_an_encrypted_channel() -> None:
    assert allow(Subscribe("private-encrypted-foobar", f"{KEY}:{F}")) is None


@pytest.mark.parametrize(
    "name", ["private-", "private-cache-x", "private-encrypted-cache-x", "private-App.Models.User.7"]
)
def test_every_private_kind_needs_its_signature(name: str) -> None:
    assert allow(signed(name)) is None
    assert refusal(Subscribe(name))[:2] == ("AuthError", 401)


# ---- presence -------------------------------------------------------------------------------------------------


def test_p110_vector_c_is_member_10() -> None:
    expected = Member("10", b'{"name":"Mr. Channels"}', C_DATA.encode())
    assert allow(Subscribe("presence-foobar", f"{KEY}:{C}", C_DATA)) == expected


@pytest.mark.parametrize("name", ["presence-", "presence-cache-x"])
def test_every_presence_kind_has_members(name: str) -> None:
    assert allow(signed(name, C_DATA)) == Member("10", b'{"name":"Mr. Channels"}', C_DATA.encode())


@pytest.mark.parametrize(
    ("user_id", "text"),
    [
        ("10", "10"),
        ('"10"', "10"),
        ("1.5", "1.5"),
        ("-1", "-1"),
        ("1.0", "1.0"),
        ("1" * 40, "1" * 40),
        ('"\\u00eb"', "ë"),
    ],
)
def test_p116_numbers_and_strings_name_one_member(user_id: str, text: str) -> None:
    channel_data = f'{{"user_id": {user_id} }}'
    assert presence(channel_data) == Member(text, b"{}", channel_data.encode())


@pytest.mark.parametrize(
    ("channel_data", "digest"),
    [
        (
            r'{"user_id":"7","user_info":{"name":"Zo\u00eb","url":"https:\/\/x.test\/7"}}',
            "0a4c2bd2473eab4f4718bbbebf96b8dec092edb816bb03cfc947c77f5b9cb12b",
        ),
        (
            '{"user_id":"7","user_info":{"name":"Zoë","url":"https://x.test/7"}}',
            "649f8ebbf632974d4ed22ccba3913eecf109219219483ec961f5924d4cf2f164",
        ),
        (
            '{"user_id": 10, "user_info": {"name": "Mr. Channels"}}',
            "5b8808f3035fec2e4157c6b430a06d5b0de16d174e1a779e0e2b64d9983bde27",
        ),
    ],
    ids=["H", "I", "K"],
)
def test_p117_channel_data_is_verified_as_sent(channel_data: str, digest: str) -> None:
    member = allow(Subscribe("presence-foobar", f"{KEY}:{digest}", channel_data))
    assert member is not None
    assert json.loads(member.info) == json.loads(channel_data)["user_info"]


def test_p118_without_info_it_is_an_empty_object() -> None:
    assert presence('{"user_id":"1"}') == Member("1", b"{}", b'{"user_id":"1"}')


@pytest.mark.parametrize("info", ["true", "5", "[1]", '"x"', "null", '{ "a" : [1, 2.50] }', r'"\u00eb\/"'])
def test_p119_any_info_is_passed_as_is(info: str) -> None:
    channel_data = f'{{"user_id":"1","user_info": {info} ,"more":0}}'
    assert presence(channel_data) == Member("1", info.encode(), channel_data.encode())


OBJECT = "Invalid channel_data: it must be a JSON object"
USER_ID = "Invalid channel_data: user_id must be a non-empty string or a number"


@pytest.mark.parametrize(
    ("channel_data", "reason"),
    [
        ("nonsense", OBJECT),
        ("[]", OBJECT),
        ('"text"', OBJECT),
        ("10", OBJECT),
        ("null", OBJECT),
        ('{"user_id":1}}', OBJECT),
        ('{"user_id":01}', OBJECT),
        ('{"user_id":"\\ud800"}', OBJECT),
        ('{"user_id":1,"user_info":"\ud800"}', OBJECT),
        ('{"user_id":1,"user_info":{"a":NaN}}', OBJECT),
        ('{"user_id":1,"user_info":' + "[" * 50_000 + "]" * 50_000 + "}", OBJECT),
        ('{"a":' * 50_000, OBJECT),
        ("{}", USER_ID),
        ('{"user_id":null}', USER_ID),
        ('{"user_id":true}', USER_ID),
        ('{"user_id":{}}', USER_ID),
        ('{"user_id":[1]}', USER_ID),
        ('{"user_id":""}', USER_ID),
    ],
    ids=range(18),
)
def test_p120_channel_data_that_names_no_member(channel_data: str, reason: str) -> None:
    assert refusal(signed("presence-foobar", channel_data)) == ("InvalidData", 400, reason)


def test_p122_the_length_of_a_user_id_is_limited() -> None:
    channel_data = json.dumps({"user_id": "é" * 128})
    assert presence(channel_data) == Member("é" * 128, b"{}", channel_data.encode())
    reason = "limits.user_id_length exceeded (limits.user_id_length = 128)"
    for user_id in ('"' + "é" * 129 + '"', "1" * 129):
        assert refusal(signed("presence-x", f'{{"user_id":{user_id}}}')) == ("LimitReached", 413, reason)


def test_p122_the_bytes_of_channel_data_are_limited() -> None:
    def of(size: int) -> Subscribe:
        start, end = '{"user_id":1,"user_info":"é', '"}'
        return signed("presence-x", start + "x" * (size - len(start.encode()) - len(end)) + end)

    assert allow(of(1024)) is not None
    reason = "limits.member_bytes exceeded (limits.member_bytes = 1024)"
    assert refusal(of(1025)) == ("LimitReached", 413, reason)


def test_no_limit_where_it_is_0() -> None:
    large = signed("presence-x", json.dumps({"user_id": "1" * 200, "user_info": "x" * 5000}))
    assert allow(large, limits=Limits(user_id_length=0, member_bytes=0)) is not None


def test_p126_presence_without_channel_data() -> None:
    reason = "presence channels need channel_data or a signed-in user"
    for channel_data in (None, ""):
        auth = signed("presence-x").auth
        assert refusal(Subscribe("presence-x", auth, channel_data)) == ("AuthError", 401, reason)


def test_a_wrong_signature_is_told_before_wrong_channel_data() -> None:
    assert refusal(Subscribe("presence-x", f"{KEY}:{A}", "nonsense"))[0] == "AuthError"
    assert refusal(Subscribe("presence-x", f"{KEY}:{A}"))[2].startswith("Invalid signature")


# ---- the official SDK ---------------------------------------------------------------------


def test_what_the_python_sdk_signs_is_accepted() -> None:
    sdk = pusher.Pusher(app_id="3", key=KEY, secret=SECRET)
    private = sdk.authenticate("private-foobar", SOCKET_ID)
    assert allow(Subscribe("private-foobar", private["auth"])) is None
    joined = sdk.authenticate("presence-foobar", SOCKET_ID, {"user_id": 7, "user_info": {"name": "Zoë"}})
    member = allow(Subscribe("presence-foobar", joined["auth"], joined["channel_data"]))
    assert member is not None
    assert (member.user_id, json.loads(member.info)) == ("7", {"name": "Zoë"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.text(min_size=1) | st.integers(), json_values, st.booleans(), st.sampled_from([None, 2]))
def test_a_signed_member_is_what_was_signed(
    user_id: str | int, info: object, ensure_ascii: bool, indent: int | None
) -> None:
    text = json.dumps({"user_id": user_id, "user_info": info}, ensure_ascii=ensure_ascii, indent=indent)
    member = allow(signed("presence-x", text), limits=Limits(user_id_length=0, member_bytes=0))
    assert member is not None
    assert member.user_id == str(user_id)
    assert json.loads(member.info) == info


# ---- as IAuthorizer -------------------------------------------------------------------------------------------


def test_the_authorizer_keeps_its_interface() -> None:
    assert verifyObject(IAuthorizer, SignatureAuthorizer(LIMITS))


def test_its_deferreds_have_fired_already() -> None:
    authorizer = SignatureAuthorizer(Limits(channel_name_length=10))

    def outcome(deferred: Deferred[Member | None]) -> object:
        outcomes: list[object] = []
        deferred.addBoth(outcomes.append)
        return outcomes.pop()

    assert outcome(authorizer.authorize(APP, SOCKET_ID, Subscribe("public"), None)) is None
    assert outcome(authorizer.authorize(APP, SOCKET_ID, signed("presence-x", C_DATA), None)) == Member(
        "10", b'{"name":"Mr. Channels"}', C_DATA.encode()
    )
    failure = outcome(authorizer.authorize(APP, SOCKET_ID, Subscribe("x" * 11), None))
    assert isinstance(getattr(failure, "value", None), SubscriptionRejected)
    failure = outcome(authorizer.authorize(APP, SOCKET_ID, Subscribe(""), None))
    assert type(getattr(failure, "value", None)) is CommandRejected
