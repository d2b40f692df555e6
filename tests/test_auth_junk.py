"""Whatever strangers send, all that comes of it is a refusal, and no refusal gives anything away."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from broadcaster.auth.requests import RequestRefused, authenticate
from broadcaster.auth.signature import channel_text, sign
from broadcaster.auth.subscription import authorize
from broadcaster.errors import CommandRejected, SubscriptionRejected
from broadcaster.messages import Subscribe
from broadcaster.settings import App, Limits

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
NOW = 1353088179
APP = App(id="3", key=KEY, secrets=(SECRET,))
AUTH = f"auth_key={KEY}&auth_timestamp={NOW}&auth_version=1.0"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
SOCKET_ID = "1234.1234"
LIMITS = Limits()

anything = st.text(st.characters(exclude_categories=()))

junk_pairs = st.lists(
    st.tuples(
        st.sampled_from(["auth_key", "auth_timestamp", "auth_version", "auth_signature", "body_md5", "info", "info[]"])
        | anything,
        st.sampled_from([KEY, str(NOW), "1.0", EMPTY_MD5, "%", "%ff", "+", "%0a"]) | anything,
    )
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@given(anything, anything, anything | junk_pairs, st.binary(), st.floats(0, 2e9))
def test_a_junk_request_is_only_ever_refused(method: str, path: str, junk: str, body: bytes, now: float) -> None:
    for query in (junk, f"{AUTH}&{junk}"):
        with pytest.raises(RequestRefused) as caught:
            authenticate(APP, method, path, query, body, now)
        assert caught.value.status in (400, 401)
        assert caught.value.text.isprintable()
        assert SECRET not in caught.value.text


@given(junk_pairs, st.sampled_from(["/", "/%", "/%ff%0a", "/é"]))
def test_whoever_shows_no_signature_is_never_told_one(junk: str, path: str) -> None:
    with pytest.raises(RequestRefused) as caught:
        authenticate(APP, "GET", path, f"{AUTH}&{junk}", b"", NOW)
    text = caught.value.text
    start, _, rest = text.partition('HmacSHA256Hex("')
    assume(rest)
    to_sign = rest.rpartition('", your_secret_key)')[0].replace(r"\n", "\n")
    assert start.startswith("Invalid signature")
    assert sign(SECRET, to_sign) not in text


def test_thousands_of_parameters_cost_no_more_than_each_of_them() -> None:
    def seconds(count: int) -> float:
        query = "&".join([AUTH, "a=%+", *(f"x[{n}]=%41+" for n in range(count))])
        started = time.process_time()
        with pytest.raises(RequestRefused):
            authenticate(APP, "GET", "/", query, b"", NOW)
        return time.process_time() - started

    few = min(seconds(1_000) for _ in range(3))
    assert seconds(32_000) < 32 * 8 * few


@given(anything, anything | st.none(), anything | st.none())
def test_anything_unsigned_is_only_ever_refused(suffix: str, auth: str | None, channel_data: str | None) -> None:
    for prefix in ("", "private-", "presence-", "#server-to-user-"):
        try:
            member = authorize(APP, SOCKET_ID, Subscribe(prefix + suffix, auth, channel_data), LIMITS)
        except CommandRejected as refused:
            assert SECRET not in refused.reason
        else:
            assert not prefix
            assert member is None


@given(st.sampled_from(["", '{"user_id":', '{"user_id":1,"user_info":']), anything, st.sampled_from(["", "}"]))
def test_signed_nonsense_is_only_ever_refused(start: str, middle: str, end: str) -> None:
    channel_data = start + middle + end
    signature = sign(SECRET, channel_text(SOCKET_ID, "presence-x", channel_data))
    subscribe = Subscribe("presence-x", f"{KEY}:{signature}", channel_data)
    try:
        member = authorize(APP, SOCKET_ID, subscribe, LIMITS)
    except SubscriptionRejected as refused:
        assert refused.kind in ("InvalidData", "LimitReached", "AuthError")
    else:
        assert member is not None
        assert member.user_id
