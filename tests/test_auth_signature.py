"""Signatures: Pusher's own vectors, and what no signature may do to the process."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.signature import channel_text, matches, sign, user_text

SECRET = "7ad3773142a6692b25b8"
SOCKET_ID = "1234.1234"

CHANNEL_VECTORS = {
    "A": ("private-foobar", None, "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"),
    "B": (
        "presence-foobar",
        '{"user_id":10,"user_info":{"name":"Mr. Pusher"}}',
        "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c",
    ),
    "C": (
        "presence-foobar",
        '{"user_id":10,"user_info":{"name":"Mr. Channels"}}',
        "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80",
    ),
    "F": ("private-encrypted-foobar", None, "e6a18892d037c5d5e76a2265df4f086ffc38631605530dfd214aa5bff495f533"),
    "G": ("presence-foobar", None, "71506e66e7fdca106571b8999a849ad34245bc653772e51e0026c1a2475b92ba"),
    "H": (
        "presence-foobar",
        r'{"user_id":"7","user_info":{"name":"Zo\u00eb","url":"https:\/\/x.test\/7"}}',
        "0a4c2bd2473eab4f4718bbbebf96b8dec092edb816bb03cfc947c77f5b9cb12b",
    ),
    "I": (
        "presence-foobar",
        '{"user_id":"7","user_info":{"name":"Zoë","url":"https://x.test/7"}}',
        "649f8ebbf632974d4ed22ccba3913eecf109219219483ec961f5924d4cf2f164",
    ),
    "J": ("private-foobar", '{"a":1}', "3f4243af5e27f47d11116e80a4b762a3b672c9b83f9e82645a0ba883c2592b09"),
    "K": (
        "presence-foobar",
        '{"user_id": 10, "user_info": {"name": "Mr. Channels"}}',
        "5b8808f3035fec2e4157c6b430a06d5b0de16d174e1a779e0e2b64d9983bde27",
    ),
}
USER_VECTORS = {
    "D": ('{"id":"12345"}', "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"),
    "E": (
        '{"id":"u1","user_info":{"name":"Ann"},"watchlist":["u2","u3"]}',
        "516337f335ace48da6cc1070214c8d4a5b7f5abd7abd8a49a3b07515913034e1",
    ),
}

anything = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize("vector", CHANNEL_VECTORS)
def test_channel_vectors(vector: str) -> None:
    channel, channel_data, digest = CHANNEL_VECTORS[vector]
    assert sign(SECRET, channel_text(SOCKET_ID, channel, channel_data)) == digest


@pytest.mark.parametrize("vector", USER_VECTORS)
def test_user_vectors(vector: str) -> None:
    user_data, digest = USER_VECTORS[vector]
    assert sign(SECRET, user_text(SOCKET_ID, user_data)) == digest


def test_channel_data_goes_in_unchanged_even_when_empty() -> None:
    assert channel_text("1.2", "c", None) == "1.2:c"
    assert channel_text("1.2", "c", "") == "1.2:c:"
    assert channel_text("1.2", "c", " {}\n") == "1.2:c: {}\n"


def test_text_and_its_utf8_bytes_have_one_signature() -> None:
    assert sign("sécret", "é") == sign("sécret", "é".encode())


def test_any_of_the_secrets_is_good_and_no_other() -> None:
    signature = sign("old", "text")
    assert matches(("new", "old"), "text", signature)
    assert matches(("old", "new"), b"text", signature)
    assert not matches(("new", "newer"), "text", signature)
    assert not matches((), "text", signature)


def test_every_secret_is_tried_and_compared_even_after_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    compared: list[bytes] = []

    def secrets() -> Iterator[str]:
        for secret in ("first", "second", "third"):
            tried.append(secret)
            yield secret

    real = hmac.compare_digest

    def compare(left: bytes, right: bytes) -> bool:
        compared.append(right)
        return real(left, right)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert matches(secrets(), "text", sign("first", "text"))
    assert tried == ["first", "second", "third"]
    assert len(compared) == 3


@pytest.mark.parametrize(
    "mangle",
    [str.upper, lambda s: s[:-1], lambda s: s + "0", lambda s: "", lambda s: s + "\n", lambda s: "é" + s[1:]],
    ids=["upper case", "shorter", "longer", "empty", "newline", "non-ASCII"],
)
def test_a_mangled_signature_is_merely_wrong(mangle: Callable[[str], str]) -> None:
    assert not matches((SECRET,), "text", mangle(sign(SECRET, "text")))


@given(anything, anything, anything)
def test_no_text_raises(secret: str, text: str, signature: str) -> None:
    assert not matches((secret,), text, signature)
    assert matches((secret,), text, sign(secret, text))


@given(anything, anything)
def test_another_text_needs_another_signature(text: str, other: str) -> None:
    assert matches((SECRET,), other, sign(SECRET, text)) is (text == other)
