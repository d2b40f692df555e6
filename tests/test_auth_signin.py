"""Who a connection says it is: the user that the application has signed, or why there is none."""

from __future__ import annotations

import json

import pusher
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.signature import sign, user_text
from broadcaster.auth.signin import heed, read_user
from broadcaster.errors import CommandRejected
from broadcaster.messages import Signin, User
from broadcaster.settings import App, Limits

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
SOCKET_ID = "1234.1234"
APP = App(id="3", key=KEY, secrets=(SECRET,))
LIMITS = Limits()

D_DATA = '{"id":"12345"}'
D = "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba"
E_DATA = '{"id":"u1","user_info":{"name":"Ann"},"watchlist":["u2","u3"]}'
E = "516337f335ace48da6cc1070214c8d4a5b7f5abd7abd8a49a3b07515913034e1"


def signed(user_data: str, secret: str = SECRET) -> Signin:
    return Signin(f"{KEY}:{sign(secret, user_text(SOCKET_ID, user_data))}", user_data)


def read(user_data: str, limits: Limits = LIMITS) -> User:
    return read_user(APP, SOCKET_ID, signed(user_data), limits)


def refusal(signin: Signin, app: App = APP, limits: Limits = LIMITS) -> str:
    with pytest.raises(CommandRejected) as caught:
        read_user(app, SOCKET_ID, signin, limits)
    assert (caught.value.code, caught.value.channel) == (4009, None)
    return caught.value.reason


def test_p170_vector_d_is_a_user_who_watches_nobody() -> None:
    assert read_user(APP, SOCKET_ID, Signin(f"{KEY}:{D}", D_DATA), LIMITS) == User("12345", b"{}", ())


def test_p170_vector_e_has_a_name_and_watches_two() -> None:
    user = read_user(APP, SOCKET_ID, Signin(f"{KEY}:{E}", E_DATA), LIMITS)
    assert user == User("u1", b'{"name":"Ann"}', ("u2", "u3"))


def test_p170_the_python_sdk_signs_users() -> None:
    data = {"id": "zoe@7", "user_info": {"name": "Zoë"}, "watchlist": ["u2"]}
    answer = pusher.Pusher("3", KEY, SECRET).authenticate_user(SOCKET_ID, data)
    user = read_user(APP, SOCKET_ID, Signin(answer["auth"], answer["user_data"]), LIMITS)
    assert (user.id, json.loads(user.info), user.watchlist) == ("zoe@7", {"name": "Zoë"}, ("u2",))


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        ("abc", "Invalid format: auth must have the format key:signature"),
        (f"other:{D}", "Invalid key in subscription auth data: 'other'"),
        (
            f"{KEY}:abc",
            f"Invalid signature: Expected HMAC SHA256 hex digest of 1234.1234::user::{D_DATA}, but got abc",
        ),
    ],
)
def test_p171_the_faults_of_a_signature(auth: str, reason: str) -> None:
    assert refusal(Signin(auth, D_DATA)) == reason


def test_p171_a_signature_for_another_socket_is_wrong() -> None:
    signin = Signin(f"{KEY}:{sign(SECRET, user_text('1234.5678', D_DATA))}", D_DATA)
    assert refusal(signin).startswith("Invalid signature: ")


def test_p171_no_refusal_shows_the_secret_or_the_right_signature() -> None:
    reason = refusal(Signin(f"{KEY}:abc", D_DATA))
    assert SECRET not in reason
    assert D not in reason


def test_p096_any_current_secret_is_good() -> None:
    rotating = App(id="3", key=KEY, secrets=("new", "old"))
    for secret in ("new", "old"):
        assert read_user(rotating, SOCKET_ID, signed(D_DATA, secret), LIMITS).id == "12345"
    assert refusal(signed(D_DATA), rotating).startswith("Invalid signature: ")


@pytest.mark.parametrize("user_data", ["", "{", "[]", "null", '"u1"', "{}x", "[" * 50_000, '{"a":' * 50_000])
def test_p172_what_is_no_object(user_data: str) -> None:
    assert refusal(signed(user_data)) == "Invalid user_data: it must be a JSON object"


@pytest.mark.parametrize("given_id", [None, "", 7, 1.5, True, [], {}, ["u1"]])
def test_p172_what_is_no_id(given_id: object) -> None:
    assert refusal(signed(json.dumps({"id": given_id}))) == "Invalid user_data: id must be a non-empty string"
    assert refusal(signed("{}")) == "Invalid user_data: id must be a non-empty string"


@pytest.mark.parametrize("watchlist", ["u2", 7, True, {}, {"u2": 1}, [1], [None], ["u2", ["u3"]]])
def test_p172_what_is_no_watchlist(watchlist: object) -> None:
    assert refusal(signed(json.dumps({"id": "u1", "watchlist": watchlist}))) == "Invalid user_data: watchlist"


def test_a_watchlist_of_null_is_none() -> None:
    assert read('{"id":"u1","watchlist":null}').watchlist == ()


def test_whoever_is_watched_twice_is_watched_once() -> None:
    assert read('{"id":"u1","watchlist":["b","a","b"]}').watchlist == ("b", "a")


@pytest.mark.parametrize("info", ["true", "5", "[1]", '"x"', "null", '{ "name" : "Zo\\u00eb" }'])
def test_user_info_may_be_any_json_and_stays_as_it_was_written(info: str) -> None:
    assert read(f'{{"id":"u1","user_info":{info}}}').info.decode() == info


def test_the_length_of_an_id_is_limited_in_characters() -> None:
    assert read(json.dumps({"id": "é" * 128})).id == "é" * 128
    limit = "id exceeds 128 characters (limits.user_id_length = 128)"
    assert refusal(signed(json.dumps({"id": "é" * 129}))) == f"Invalid user_data: {limit}"
    assert read(json.dumps({"id": "x" * 10_000}), Limits(user_id_length=0)).id == "x" * 10_000


@pytest.mark.parametrize("most", [100, 7])
def test_p178_the_refusal_of_a_long_watchlist_names_the_setting(most: int) -> None:
    watching = App(id="3", key=KEY, secrets=(SECRET,), watchlists=True)
    wanted = tuple(f"u{number}" for number in range(most + 1))
    user, rejected = heed(User("u", watchlist=wanted), watching, Limits(watchlist=most))
    assert user.watchlist == wanted[:most]
    assert rejected is not None
    assert rejected.code == 4302
    assert rejected.reason == (
        f"Watchlist limit exceeded. Only the first {most} user IDs are accepted. (limits.watchlist = {most})"
    )


def test_a_watchlist_counts_as_far_as_the_app_and_the_limit_let_it() -> None:
    watching = App(id="3", key=KEY, secrets=(SECRET,), watchlists=True)
    user = User("u", watchlist=("a", "b"))
    assert heed(user, watching, Limits(watchlist=2)) == (user, None)
    assert heed(user, watching, Limits(watchlist=0)) == (user, None)
    assert heed(user, APP, Limits(watchlist=1)) == (User("u"), None)


@given(st.text())
def test_whatever_the_application_signs_is_a_user_or_a_refusal(user_data: str) -> None:
    try:
        user = read(user_data)
    except CommandRejected as rejected:
        assert rejected.code == 4009
    else:
        assert user.id


@given(st.text(min_size=1, max_size=128), st.lists(st.text()), st.booleans())
def test_every_user_is_read_back(user_id: str, watchlist: list[str], ascii_only: bool) -> None:
    user_data = json.dumps({"id": user_id, "watchlist": watchlist}, ensure_ascii=ascii_only)
    assert read(user_data) == User(user_id, b"{}", tuple(dict.fromkeys(watchlist)))


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_whatever_strangers_send_is_only_ever_refused(auth: str, user_data: str) -> None:
    for given_auth in (auth, f"{KEY}:{auth}"):
        reason = refusal(Signin(given_auth, user_data))
        assert SECRET not in reason
