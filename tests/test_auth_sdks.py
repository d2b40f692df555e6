"""The server SDKs' ways of signing API requests, each imitated from its source; Python's is the SDK itself."""

from __future__ import annotations

import hashlib
import json
import string
import time
from random import Random
from urllib.parse import quote, quote_plus, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pusher.http import GET, POST, Request
from pusher.pusher_client import PusherClient

from broadcaster.auth.requests import RequestRefused, authenticate
from broadcaster.auth.signature import sign
from broadcaster.settings import App

KEY = "278d425bdf160c739803"
SECRET = "7ad3773142a6692b25b8"
NOW = 1353088179
APP = App(id="3", key=KEY, secrets=(SECRET,))
SDK = PusherClient(app_id="3", key=KEY, secret=SECRET)
EVENTS = "/apps/3/events"
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"


def md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def signed(method: str, path: str, params: str) -> str:
    signature = sign(SECRET, f"{method}\n{path}\n{params}")
    return f"{params}&auth_signature={signature}"


Parameters = dict[str, str | list[str]]
names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: not name.startswith(("auth_", "body_md5"))
)
encodable = st.text(st.characters(codec="utf-8"), max_size=20)
# What is sent without being encoded must survive a URL.
unencoded = st.text(string.ascii_letters + string.digits + "-._~+,;:@=/!$'()*[]", max_size=20)
bodies = st.binary(max_size=50)


def meaning(parameters: Parameters) -> dict[str, str]:
    return {name: value if isinstance(value, str) else ",".join(value) for name, value in parameters.items()}


def credentials(body: bytes) -> dict[str, str]:
    known = {"auth_key": KEY, "auth_timestamp": str(NOW), "auth_version": "1.0"}
    return known | {"body_md5": md5(body)} if body else known


def joined(parameters: dict[str, str]) -> str:
    return "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))


def check(method: str, path: str, query: str, body: bytes, parameters: Parameters) -> None:
    given = authenticate(APP, method, path, query, body, NOW)
    given.pop("body_md5", None)
    assert given == meaning(parameters)
    flipped = query.replace(f"auth_timestamp={NOW}", f"auth_timestamp={NOW + 1}")
    with pytest.raises(RequestRefused):
        authenticate(APP, method, path, flipped, body, NOW)


@given(st.dictionaries(names, encodable | st.lists(encodable, min_size=1, max_size=12)), bodies, encodable)
def test_php_joins_arrays_and_signs_the_path_unencoded(parameters: Parameters, body: bytes, user: str) -> None:
    all_parameters: Parameters = {**parameters, **credentials(body)}
    path = f"/apps/3/users/{user}/terminate_connections"
    signature = sign(SECRET, f"POST\n{path}\n{joined(meaning(all_parameters))}")
    pairs = []
    for name, value in {**all_parameters, "auth_signature": signature}.items():
        if isinstance(value, str):
            pairs.append((name, value))
        else:
            pairs += [(f"{name}[{index}]", each) for index, each in enumerate(value)]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    check("POST", quote(path), query, body, parameters)


@given(st.dictionaries(names, encodable | st.lists(encodable, min_size=1, max_size=4)), bodies, st.booleans())
def test_ruby_lists_arrays(parameters: Parameters, body: bytes, brackets_on_the_wire: bool) -> None:
    signed_parts, pairs = [], []
    for name, value in sorted({**parameters, **credentials(body)}.items()):
        # A bare name that occurs once is no array to anyone.
        as_array = isinstance(value, list) and (brackets_on_the_wire or len(value) > 1)
        for each in [value] if isinstance(value, str) else value:
            signed_parts.append(f"{name}[]={each}" if as_array else f"{name}={each}")
            pairs.append(f"{name}{'[]' if as_array and brackets_on_the_wire else ''}={quote_plus(each)}")
    signature = sign(SECRET, "\n".join(["POST", EVENTS, "&".join(signed_parts)]))
    check("POST", EVENTS, "&".join([*pairs, f"auth_signature={signature}"]), body, parameters)


@given(st.dictionaries(names, unencoded), bodies, encodable)
def test_node_encodes_the_path_after_signing_it_and_the_query_never(
    parameters: dict[str, str], body: bytes, user: str
) -> None:
    path = f"/apps/3/users/{user}/terminate_connections"
    params = joined(parameters | credentials(body))
    check("POST", quote(path), signed("POST", path, params), body, dict(parameters))


@given(st.dictionaries(names, unencoded), bodies)
def test_go_sorts_encodes_signs_unescaped_and_sends_unescaped(parameters: dict[str, str], body: bytes) -> None:
    encoded = "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in sorted((parameters | credentials(body)).items()))
    check("POST", EVENTS, signed("POST", EVENTS, unquote(encoded.replace("+", " "))), body, dict(parameters))


@given(st.dictionaries(names, unencoded))
def test_the_python_sdk_itself(parameters: dict[str, str]) -> None:
    asked = Request(SDK, GET, "/apps/3/channels", dict(parameters))
    given = authenticate(APP, GET, asked.path, asked.query_string, asked.body, time.time())
    assert given == parameters | {"body_md5": EMPTY_MD5}


@given(st.dictionaries(encodable, encodable), encodable)
def test_the_python_sdk_itself_posts(body: dict[str, str], user: str) -> None:
    for path in (EVENTS, f"/apps/3/users/{user}/terminate_connections"):
        sent = Request(SDK, POST, path, dict(body))
        assert json.loads(sent.body) == body
        given = authenticate(APP, POST, quote(path), sent.query_string, sent.body, time.time())
        assert given == {"body_md5": md5(sent.body)}


@given(st.dictionaries(names, encodable), st.randoms())
def test_encoding_and_order_on_the_wire_do_not_matter(parameters: dict[str, str], random: Random) -> None:
    params = joined(parameters | credentials(b""))
    signature = sign(SECRET, f"GET\n{EVENTS}\n{params}")
    everything = parameters | credentials(b"") | {"auth_signature": signature}
    for encode in (quote_all, quote_plus, quote):
        pairs = [f"{encode(name)}={encode(value)}" for name, value in everything.items()]
        random.shuffle(pairs)
        assert authenticate(APP, "GET", EVENTS, "&".join(pairs), b"", NOW) == parameters


def quote_all(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())
