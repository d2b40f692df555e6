"""Signed API requests: Pusher's vectors, the SDKs' ways of signing, the refusals in their order and words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import permutations

import pytest

from broadcaster.auth.requests import RequestRefused, authenticate
from broadcaster.auth.signature import sign
from broadcaster.settings import App

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
NOW = 1353088179
APP = App(id="3", key=KEY, secrets=(SECRET,))
AUTH = f"auth_key={KEY}&auth_timestamp={NOW}&auth_version=1.0"
EVENTS = "/apps/3/events"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def signed(method: str, path: str, params: str, secret: str = SECRET) -> str:
    """The query of one who signs ``params`` just as they stand."""
    signature = sign(secret, f"{method}\n{path}\n{params}")
    return f"{params}&auth_signature={signature}"


def act(
    query: str, body: bytes = b"", method: str = "GET", path: str = EVENTS, app: App = APP, now: float = NOW
) -> dict[str, str]:
    return authenticate(app, method, path, query, body, now)


def refusal(
    query: str, body: bytes = b"", method: str = "GET", path: str = EVENTS, app: App = APP, now: float = NOW
) -> tuple[int, str]:
    with pytest.raises(RequestRefused) as caught:
        authenticate(app, method, path, query, body, now)
    return caught.value.status, caught.value.text


# ---- vectors --------------------------------------------------------------------------------------------------

V1 = rb'{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}'
V5 = (
    b'{"batch":[{"channel":"a","name":"e","data":"1"},'
    b'{"channel":"presence-b","name":"e","data":"{}","info":"user_count","socket_id":"1234.1234"}]}'
)
V12 = rb'{"name":"caf\u00e9","channel":"my-channel","data":"{\"m\":\"\u00e9\"}"}'
V13 = r'{"name":"café","channel":"my-channel","data":"{\"m\":\"é\"}"}'.encode()

POSTS = {
    "V1": (EVENTS, V1, "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"),
    "V5": ("/apps/3/batch_events", V5, "8706cb714773eeff4a81529db34f1537331a92fc0791eaa33c7f32b15bdb0ef3"),
    "V6": (
        "/apps/3/users/12345/terminate_connections",
        b"{}",
        "01fa634edeb0cae84115307cad5c23f65a46cd286461b1c89637a3b5871a8f0e",
    ),
    "V7": (
        "/apps/3/users/user%201/terminate_connections",
        b"{}",
        "aacc8473ff925f06450105c951fcfeaf456414eb0b6442d7e7aa1b4f1be0bd70",
    ),
    "V12": (EVENTS, V12, "8c9adc1666cdf379d9b2449dafbaa12b630dc04b89a00b539349865865d56d0b"),
    "V13": (EVENTS, V13, "f690c1c7ca9b002c15d2234e33381b0c2ad330da4f6ec8e92fa0056b08df55b9"),
}

CHANNELS = "/apps/3/channels"
PRESENCE = "/apps/3/channels/presence-foobar"
COUNT = {"filter_by_prefix": "presence-", "info": "user_count"}
BOTH = {"info": "user_count,subscription_count"}
V2 = "16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291"
GETS = {
    "V2": (CHANNELS, "filter_by_prefix=presence-&info=user_count", V2, COUNT),
    "V3": (
        PRESENCE,
        "info=user_count%2Csubscription_count",
        "377ee9260ea002a70c0d40cd887d55cb36db9f7f821297f5efacbcce66be356d",
        BOTH,
    ),
    "V4": (
        PRESENCE + "/users",
        f"body_md5={EMPTY_MD5}",
        "3d68b512095fd42cb6741cc80616761b1c77d00fcc4d6d9740f09504a4b761b0",
        {"body_md5": EMPTY_MD5},
    ),
    "V8": (
        CHANNELS,
        "filter_by_prefix=a%20b%26c%3Dd",
        "2e3272170313a41589eccbe882a785e842b1d3c434aa467c88e7e326847d1762",
        {"filter_by_prefix": "a b&c=d"},
    ),
    "V9": (CHANNELS, "Info=user_count&filter_by_prefix=presence-", V2, COUNT),
    "V10": (
        CHANNELS,
        "info[]=user_count&info[]=subscription_count",
        "175192df3115c9975cc5fa47eec612907413e243ddbfa27967814593f0e0bf82",
        BOTH,
    ),
    "V11": (
        CHANNELS,
        "info[]=user_count&info[]=subscription_count",
        "b5d3066c50a4e758b7d677e4f65cf6e909baab523911ba9dea505a65412149e6",
        BOTH,
    ),
    "V14": (
        CHANNELS,
        f"body_md5={EMPTY_MD5}&filter_by_prefix=presence-&info=user_count",
        "f3f17c61ae491cc9085db68b22076e9b772e3bcb301659d655153ee3f9782aba",
        COUNT | {"body_md5": EMPTY_MD5},
    ),
}


@pytest.mark.parametrize("vector", POSTS)
def test_p190_p192_p204_posts(vector: str) -> None:
    path, body, signature = POSTS[vector]
    query = f"{AUTH}&body_md5={md5(body)}&auth_signature={signature}"
    assert act(query, body, "POST", path) == {"body_md5": md5(body)}


@pytest.mark.parametrize("vector", GETS)
def test_p191_p193_gets(vector: str) -> None:
    path, params, signature, parameters = GETS[vector]
    assert act(f"{AUTH}&{params}&auth_signature={signature}", path=path) == parameters
    assert act(f"auth_signature={signature}&{params}&{AUTH}", path=path) == parameters


# ---- refusals -------------------------------------------------------------------------------------------------


def test_p194_the_clock_may_be_off_by_less_than_600_seconds() -> None:
    query = signed("GET", EVENTS, AUTH)
    for now in (NOW + 599, NOW - 599, NOW + 599.9):
        assert act(query, now=now) == {}
    expired = "Timestamp expired: Given timestamp (2012-11-16T17:49:39Z) not within 600s of server time"
    assert refusal(query, now=NOW + 600) == (401, f"{expired} (2012-11-16T17:59:39Z)")
    assert refusal(query, now=NOW - 600) == (401, f"{expired} (2012-11-16T17:39:39Z)")


@pytest.mark.parametrize("timestamp", ["-1", "0", "9" * 15, "9" * 16, "9" * 10_000, "-" + "9" * 10_000])
def test_a_timestamp_far_away_is_expired(timestamp: str) -> None:
    status, text = refusal(signed("GET", EVENTS, AUTH.replace(str(NOW), timestamp)))
    assert status == 401
    assert text.startswith("Timestamp expired: Given timestamp (")


@pytest.mark.parametrize("timestamp", ["", "-", "--1", "1.5", "1e9", "now", "1_353_088_179", " 1353088179", "١٢٣", "²"])
def test_p195_a_timestamp_that_is_no_integer_is_none(timestamp: str) -> None:
    assert refusal(signed("GET", EVENTS, AUTH.replace(str(NOW), timestamp))) == (401, "Timestamp required")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("auth_key", "Missing parameter: auth_key"),
        ("auth_version", "Version required"),
        ("auth_timestamp", "Timestamp required"),
    ],
)
def test_p195_a_missing_parameter(name: str, text: str) -> None:
    params = "&".join(part for part in AUTH.split("&") if not part.startswith(name))
    assert refusal(signed("GET", EVENTS, params)) == (401, text)


def test_p195_a_missing_signature() -> None:
    wanted = rf'HmacSHA256Hex("GET\n{EVENTS}\n{AUTH}", your_secret_key)'
    assert refusal(AUTH) == (401, f'Invalid signature: you should have sent {wanted}, but you sent ""')


@pytest.mark.parametrize("version", ["2.0", ""])
def test_p196_another_version(version: str) -> None:
    query = signed("GET", EVENTS, AUTH.replace("1.0", version))
    assert refusal(query) == (401, "Version not supported")


def test_p197_a_wrong_secret_shows_what_to_sign_and_no_more() -> None:
    query = signed("POST", EVENTS, f"{AUTH}&body_md5={md5(V1)}", "wrong")
    sent = query.rpartition("=")[2]
    wanted = rf'HmacSHA256Hex("POST\n{EVENTS}\n{AUTH}&body_md5={md5(V1)}", your_secret_key)'
    status, text = refusal(query, V1, "POST")
    assert (status, text) == (401, f'Invalid signature: you should have sent {wanted}, but you sent "{sent}"')
    assert POSTS["V1"][2] not in text
    assert SECRET not in text


def test_p198_a_key_of_another_app() -> None:
    assert refusal(signed("GET", EVENTS, AUTH.replace(KEY, "other"))) == (401, "Unknown auth_key")
    assert refusal(signed("GET", EVENTS, AUTH.replace(KEY, ""))) == (401, "Unknown auth_key")


@pytest.mark.parametrize(
    ("body_md5", "body"),
    [
        (md5(V1), V1 + b" "),
        (md5(V1), b""),
        (None, V1),
        (md5(V1).upper(), V1),
        ("", V1),
        ("", b""),
        ("é", V1),
        (f"{md5(V1)}&body_md5={md5(V1)}", V1),
    ],
    ids=["changed", "gone", "absent", "upper case", "empty", "empty, no body", "not ASCII", "twice"],
)
def test_p199_body_md5_must_be_that_of_the_body(body_md5: str | None, body: bytes) -> None:
    params = AUTH if body_md5 is None else f"{AUTH}&body_md5={body_md5}"
    assert refusal(signed("POST", EVENTS, params), body, "POST") == (401, "Invalid body_md5")


def test_p200_other_parameters_take_part() -> None:
    assert act(signed("GET", EVENTS, f"{AUTH}&auth_x=1&x=1")) == {"x": "1"}
    status, text = refusal(signed("GET", EVENTS, AUTH) + "&x=1")
    assert status == 401
    assert text.startswith("Invalid signature")


def test_p201_either_of_two_secrets() -> None:
    app = App(id="3", key=KEY, secrets=("new", SECRET))
    assert act(signed("GET", EVENTS, AUTH), app=app) == {}
    assert act(signed("GET", EVENTS, AUTH, "new"), app=app) == {}
    assert refusal(signed("GET", EVENTS, AUTH, "newer"), app=app)[0] == 401


def test_p202_any_order_on_the_wire() -> None:
    path, params, signature, parameters = GETS["V2"]
    for pairs in permutations(f"{AUTH}&{params}&auth_signature={signature}".split("&")):
        assert act("&".join(pairs), path=path) == parameters


def test_p203_the_text_is_one_printable_line() -> None:
    query = f"{AUTH}&x=%0D%0A%00%E2%80%A8%C2%85%FF%ED%A0%80é\ud800&auth_signature=%0a"
    status, text = refusal(query, path="/apps/3/x%0ay\n")
    assert status == 401
    assert text.isprintable()
    assert r"x=\r\n\x00\u2028\x85" in text
    assert r"GET\n/apps/3/x%0ay\n" in text
    text.encode()


def test_a_duplicate_of_an_auth_parameter_is_malformed() -> None:
    for name in ("auth_key", "auth_timestamp", "auth_version", "auth_signature", "auth_x"):
        query = f"{signed('GET', EVENTS, AUTH)}&auth_x=1&{name}=1"
        assert refusal(query) == (400, f"Duplicate parameter: {name}")
        assert refusal(query.replace(f"&{name}=1", f"&{name.upper()}=1")) == (400, f"Duplicate parameter: {name}")


def test_a_disabled_app_is_told_only_to_those_who_can_sign() -> None:
    disabled = App(id="3", key=KEY, secrets=(SECRET,), enabled=False)
    assert refusal(signed("GET", EVENTS, AUTH), app=disabled) == (403, "Application disabled")
    assert refusal(AUTH, app=disabled)[0] == 401
    assert refusal(signed("GET", EVENTS, AUTH), b"x", app=disabled) == (401, "Invalid body_md5")


def test_faults_are_told_in_their_order() -> None:
    disabled = App(id="3", key=KEY, secrets=(SECRET,), enabled=False)
    signature = sign(SECRET, f"GET\n{EVENTS}\n{AUTH}")
    late, body, signed_by = NOW + 1000, b"body", f"&auth_signature={signature}"
    told = [
        refusal("", body, app=disabled, now=late),
        refusal("auth_key=other", body, app=disabled, now=late),
        refusal(f"auth_key={KEY}", body, app=disabled, now=late),
        refusal(f"auth_key={KEY}&auth_version=2", body, app=disabled, now=late),
        refusal(f"auth_key={KEY}&auth_version=1.0", body, app=disabled, now=late),
        refusal(AUTH, body, app=disabled, now=late),
        refusal(AUTH, body, app=disabled),
        refusal(AUTH + signed_by, body, app=disabled),
        refusal(AUTH + signed_by, app=disabled),
    ]
    assert ", ".join(" ".join(text.split()[:2]).rstrip(":") for _, text in told) == (
        "Missing parameter, Unknown auth_key, Version required, Version not, Timestamp required, Timestamp expired, "
        "Invalid signature, Invalid body_md5, Application disabled"
    )


def test_method_path_and_case_of_the_signature_count() -> None:
    query = signed("GET", EVENTS, AUTH)
    assert act(query, method="get") == {}
    assert refusal(query, method="POST")[0] == 401
    assert refusal(query, path=EVENTS + "/")[0] == 401
    stem, _, signature = query.rpartition("=")
    assert refusal(f"{stem}={signature.upper()}")[0] == 401


def test_parameters_sort_by_name_not_by_pair() -> None:
    # `=` sorts after `-` and digits, so that sorting whole pairs would put `a-b` and `a1` first.
    assert act(signed("GET", EVENTS, f"a=1&a-b=2&a1=3&{AUTH}")) == {"a": "1", "a-b": "2", "a1": "3"}


def test_empty_pairs_and_bare_names() -> None:
    query = f"&{signed('GET', EVENTS, f'{AUTH}&flag=')}&&"
    assert act(query.replace("flag=", "flag")) == {"flag": ""}


def test_arrays_are_named_by_digits_or_nothing() -> None:
    params = f"a[x]=1&{AUTH}&b]=2&c[=3&d[0][1]=4&e[1234567890]=5"
    assert set(act(signed("GET", EVENTS, params))) == {"a[x]", "b]", "c[", "d[0][1]", "e[1234567890]"}


def test_p202_an_array_is_in_the_order_of_its_indices_or_of_the_wire() -> None:
    query = signed("GET", EVENTS, f"{AUTH}&info=a,b,c")
    assert act(query.replace("info=a,b,c", "info[10]=c&info[0]=a&info[2]=b")) == {"info": "a,b,c"}
    assert act(query.replace("info=a,b,c", "info[]=a&info[]=b&info[]=c")) == {"info": "a,b,c"}
    assert act(signed("GET", EVENTS, f"{AUTH}&info[]=a")) == {"info": "a"}


def test_a_plus_means_itself_only_where_a_space_does_not_fit() -> None:
    assert act(signed("GET", EVENTS, f"{AUTH}&x=a b").replace("a b", "a+b")) == {"x": "a b"}
    assert act(signed("GET", EVENTS, f"{AUTH}&x=a+b")) == {"x": "a+b"}
    # What a refusal says is what most would have signed.
    assert "x=a b" in refusal(f"{AUTH}&x=a+b&auth_signature=0")[1]


def test_an_app_key_with_a_plus_need_not_be_encoded() -> None:
    app = App(id="3", key="k+/=", secrets=(SECRET,))
    params = AUTH.replace(KEY, "k+/=")
    assert act(signed("GET", EVENTS, params), app=app) == {}


def test_signing_what_the_refusal_shows_succeeds() -> None:
    unsigned = f"{AUTH}&filter_by_prefix=a%20b&Info=x"
    text = refusal(unsigned)[1]
    to_sign = text.partition('("')[2].partition('", your')[0].replace(r"\n", "\n")
    signature = sign(SECRET, to_sign)
    assert act(f"{unsigned}&auth_signature={signature}") == {"filter_by_prefix": "a b", "info": "x"}


@pytest.mark.parametrize(
    "mutate",
    [
        lambda query: query.replace("info=user_count", "info=cache"),
        lambda query: query.replace("presence-", ""),
        lambda query: query + "&auth_x=1",
        lambda query: query + "&info=user_count",
        lambda query: query.replace("&info=", "&inf%6f2="),
    ],
    ids=["value", "emptied", "auth_x", "repeated", "renamed"],
)
def test_p200_nothing_signed_may_change(mutate: Callable[[str], str]) -> None:
    path, params, signature, _ = GETS["V2"]
    query = mutate(f"{AUTH}&{params}&auth_signature={signature}")
    assert refusal(query, path=path)[0] == 401
