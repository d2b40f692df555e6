"""Who may call the HTTP API: whole requests against a server whose clock stands at the vectors' moment (P190–P204)."""

from __future__ import annotations

import hashlib
import hmac
from itertools import permutations

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.expected import auth
from tests.inprocess import APP, NOW, Answer, InProcess, app_with, signed

SECRET = APP.secrets[0]
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
BODY = b'{"name":"e","channel":"c","data":"1"}'

KEY_AND_TIME = f"auth_key={APP.key}&auth_timestamp={NOW}&auth_version=1.0"

V1 = rb'{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}'
V5 = (
    b'{"batch":[{"channel":"a","name":"e","data":"1"},'
    b'{"channel":"presence-b","name":"e","data":"{}","info":"user_count","socket_id":"1234.1234"}]}'
)
V12 = rb'{"name":"caf\u00e9","channel":"my-channel","data":"{\"m\":\"\u00e9\"}"}'
V13 = r'{"name":"café","channel":"my-channel","data":"{\"m\":\"é\"}"}'.encode()

POSTS = {
    "V1": ("events", V1, "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"),
    "V5": ("batch_events", V5, "8706cb714773eeff4a81529db34f1537331a92fc0791eaa33c7f32b15bdb0ef3"),
    "V6": (
        "users/12345/terminate_connections",
        b"{}",
        "01fa634edeb0cae84115307cad5c23f65a46cd286461b1c89637a3b5871a8f0e",
    ),
    "V7": (
        "users/user%201/terminate_connections",
        b"{}",
        "aacc8473ff925f06450105c951fcfeaf456414eb0b6442d7e7aa1b4f1be0bd70",
    ),
    "V12": ("events", V12, "8c9adc1666cdf379d9b2449dafbaa12b630dc04b89a00b539349865865d56d0b"),
    "V13": ("events", V13, "f690c1c7ca9b002c15d2234e33381b0c2ad330da4f6ec8e92fa0056b08df55b9"),
}

GETS = {
    "V2": (
        f"channels?{KEY_AND_TIME}&filter_by_prefix=presence-&info=user_count"
        "&auth_signature=16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291"
    ),
    "V3": (
        f"channels/presence-foobar?{KEY_AND_TIME}&info=user_count%2Csubscription_count"
        "&auth_signature=377ee9260ea002a70c0d40cd887d55cb36db9f7f821297f5efacbcce66be356d"
    ),
    "V4": (
        f"channels/presence-foobar/users?{KEY_AND_TIME}&body_md5={EMPTY_MD5}"
        "&auth_signature=3d68b512095fd42cb6741cc80616761b1c77d00fcc4d6d9740f09504a4b761b0"
    ),
    "V8": (
        f"channels?{KEY_AND_TIME}&filter_by_prefix=a%20b%26c%3Dd"
        "&auth_signature=2e3272170313a41589eccbe882a785e842b1d3c434aa467c88e7e326847d1762"
    ),
    "V9": (
        f"channels?Info=user_count&filter_by_prefix=presence-&{KEY_AND_TIME}"
        "&auth_signature=16819168891cb5dfd72b5c7a5d3d602605b26c6ba1930033b5e2eeeb65010291"
    ),
    "V14": (
        f"channels?auth_key={APP.key}"
        "&auth_signature=f3f17c61ae491cc9085db68b22076e9b772e3bcb301659d655153ee3f9782aba"
        f"&auth_timestamp={NOW}&auth_version=1.0&body_md5={EMPTY_MD5}&filter_by_prefix=presence-&info=user_count"
    ),
}

ARRAYS = {
    "V10": "175192df3115c9975cc5fa47eec612907413e243ddbfa27967814593f0e0bf82",
    "V11": "b5d3066c50a4e758b7d677e4f65cf6e909baab523911ba9dea505a65412149e6",
}


@pytest.fixture
def server(serve: Serve) -> InProcess:
    return serve(APP, app_with(id="4", key="other-key", secrets=("other-secret",)))


def post(server: InProcess, vector: str) -> Answer:
    path, body, signature = POSTS[vector]
    md5 = hashlib.md5(body).hexdigest()
    target = f"/apps/3/{path}?{KEY_AND_TIME}&body_md5={md5}&auth_signature={signature}"
    return server.http("POST", target, body, {"Content-Type": "application/json"})


def query(secret: str = SECRET, body: bytes = BODY, **parameters: str) -> str:
    """The query of one who publishes ``body``, with these parameters instead of the right ones."""
    given = {
        "auth_key": APP.key,
        "auth_timestamp": str(NOW),
        "auth_version": "1.0",
        "body_md5": hashlib.md5(body).hexdigest(),
    } | parameters
    plain = "&".join(f"{name}={value}" for name, value in sorted(given.items()))
    signature = hmac.new(secret.encode(), f"POST\n/apps/3/events\n{plain}".encode(), "sha256").hexdigest()
    return f"{plain}&auth_signature={signature}"


def publish(server: InProcess, query: str, body: bytes = BODY, app_id: str = "3") -> Answer:
    return server.http("POST", f"/apps/{app_id}/events?{query}", body)


def without(query: str, name: str) -> str:
    return "&".join(pair for pair in query.split("&") if not pair.startswith(f"{name}="))


# ---- vectors --------------------------------------------------------------------------------------------------


def test_p190_the_request_of_pushers_documentation_publishes(server: InProcess) -> None:
    client = server.joined("project-3")
    answer = post(server, "V1")
    assert (answer.status, answer.text) == (200, "{}")
    assert client.events() == [{"event": "foo", "channel": "project-3", "data": '{"some":"data"}'}]


@pytest.mark.parametrize("vector", GETS)
def test_p191_signed_queries_are_answered(server: InProcess, vector: str) -> None:
    answer = server.http("GET", f"/apps/3/{GETS[vector]}")
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("vector", POSTS)
def test_p192_signed_posts_are_done(server: InProcess, vector: str) -> None:
    answer = post(server, vector)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("vector", ("V12", "V13"))
def test_p192_escaped_and_plain_utf_8_mean_the_same(server: InProcess, vector: str) -> None:
    client = server.joined("my-channel")
    post(server, vector)
    assert client.events() == [{"event": "café", "channel": "my-channel", "data": '{"m":"é"}'}]


@pytest.mark.parametrize("brackets", ("[]", "%5B%5D"))
@pytest.mark.parametrize("vector", ARRAYS)
def test_p193_arrays_are_authenticated_however_they_were_signed(server: InProcess, vector: str, brackets: str) -> None:
    wanted = f"info{brackets}=user_count&info{brackets}=subscription_count"
    answer = server.http("GET", f"/apps/3/channels?{KEY_AND_TIME}&{wanted}&auth_signature={ARRAYS[vector]}")
    assert (answer.status, answer.text) == (400, "user_count may only be requested for presence channels\n")


# ---- each claim -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "status"), ((599, 200), (600, 401), (-599, 200), (-600, 401)))
def test_p194_a_clock_may_be_off_by_less_than_600_seconds(server: InProcess, off: int, status: int) -> None:
    server.wall = NOW + off
    answer = publish(server, query())
    assert answer.status == status
    assert answer.text.startswith("Timestamp expired: Given timestamp (2012-11-16T17:49:39Z)") is (status == 401)


def test_p194_an_expired_timestamp_is_told_with_the_servers_time(server: InProcess) -> None:
    server.wall = NOW + 3_600
    assert publish(server, query()).text == (
        "Timestamp expired: Given timestamp (2012-11-16T17:49:39Z)"
        " not within 600s of server time (2012-11-16T18:49:39Z)\n"
    )


@pytest.mark.parametrize(
    ("missing", "text"),
    (
        ("auth_key", "Missing parameter: auth_key"),
        ("auth_version", "Version required"),
        ("auth_timestamp", "Timestamp required"),
        ("auth_signature", "Invalid signature: you should have sent "),
    ),
)
def test_p195_a_missing_parameter_is_named(server: InProcess, missing: str, text: str) -> None:
    answer = publish(server, without(query(), missing))
    assert answer.status == 401
    assert answer.text.startswith(text)


def test_p195_a_call_without_any_query_is_refused(server: InProcess) -> None:
    answer = server.http("POST", "/apps/3/events", BODY)
    assert (answer.status, answer.text) == (401, "Missing parameter: auth_key\n")


def test_p196_only_version_1_0_is_known(server: InProcess) -> None:
    answer = publish(server, query(auth_version="2.0"))
    assert (answer.status, answer.text) == (401, "Version not supported\n")


def test_p197_a_wrong_secret_is_told_what_to_sign_but_not_the_signature(server: InProcess) -> None:
    wrong = query(secret="guess")
    answer = publish(server, wrong)
    plain, _, sent = wrong.partition("&auth_signature=")
    assert (answer.status, answer.text) == (
        401,
        "Invalid signature: you should have sent "
        rf'HmacSHA256Hex("POST\n/apps/3/events\n{plain}", your_secret_key), but you sent "{sent}"' + "\n",
    )
    assert query().rpartition("=")[2] not in answer.text


def test_p198_another_apps_key_is_refused(server: InProcess) -> None:
    answer = publish(server, query(auth_key="other-key", secret="other-secret"))
    assert (answer.status, answer.text) == (401, "Unknown auth_key\n")
    assert publish(server, query(), app_id="4").status == 401


def test_p198_an_unknown_app_is_not_found(server: InProcess) -> None:
    answer = publish(server, query(), app_id="99")
    assert (answer.status, answer.text) == (404, "Unknown app 99\n")


def test_p199_a_body_that_is_not_the_signed_one_publishes_nothing(server: InProcess) -> None:
    client = server.joined("c")
    other = BODY.replace(b"1", b"2")
    for refused in (
        publish(server, query(), body=other),
        publish(server, without(query(), "body_md5")),
        publish(server, query(body_md5=hashlib.md5(BODY).hexdigest().upper())),
    ):
        assert refused.status == 401
    assert client.events() == []


def test_p199_a_body_whose_digest_is_left_out_of_a_right_signature_is_refused(server: InProcess) -> None:
    target = signed(APP, "POST", "/apps/3/events", b"", "", NOW)
    answer = server.http("POST", target, BODY)
    assert (answer.status, answer.text) == (401, "Invalid body_md5\n")


def test_p199_the_digest_of_a_changed_body_is_wrong(server: InProcess) -> None:
    answer = publish(server, query(), body=BODY.replace(b"1", b"2"))
    assert (answer.status, answer.text) == (401, "Invalid body_md5\n")


def test_p200_an_unknown_parameter_must_be_signed_like_the_others(server: InProcess) -> None:
    assert publish(server, query(zebra="1")).status == 200
    answer = publish(server, query() + "&zebra=1")
    assert (answer.status, answer.text[:18]) == (401, "Invalid signature:")


def test_p201_either_of_two_secrets_is_good(serve: Serve) -> None:
    server = serve(app_with(secrets=("new", "old")))
    assert [publish(server, query(secret=secret)).status for secret in ("new", "old", SECRET)] == [200, 200, 401]


def test_p202_parameters_may_come_in_any_order(server: InProcess) -> None:
    for pairs in permutations(query().split("&")):
        assert publish(server, "&".join(pairs)).status == 200


# ---- the path without an app ----------------------------------------------------------------------------------

TERMINATE = "/users/12345/terminate_connections"


def test_p204_the_python_sdks_path_finds_the_app_by_its_key(server: InProcess) -> None:
    client = server.joined()
    user = '{"id":"12345"}'
    client.say("pusher:signin", {"auth": auth(f"{client.name()}::user::{user}"), "user_data": user})
    answer = server.http("POST", signed(APP, "POST", TERMINATE, b"{}", "", NOW), b"{}")
    assert (answer.status, answer.text) == (200, "{}")
    client.events()
    assert client.close_code == 4009


@pytest.mark.parametrize(
    ("target", "text"),
    (
        (TERMINATE, "Missing parameter: auth_key\n"),
        (f"{TERMINATE}?auth_key=nobody", "Unknown auth_key\n"),
        (signed(app_with(secrets=("guess",)), "POST", TERMINATE, b"{}", "", NOW), "Invalid signature: "),
    ),
)
def test_p204_nor_does_it_need_less_than_the_others(server: InProcess, target: str, text: str) -> None:
    answer = server.http("POST", target, b"{}")
    assert answer.status == 401
    assert answer.text.startswith(text)


# ---- refusals as such -----------------------------------------------------------------------------------------

REFUSED = {
    "not an app": ("POST", "/apps/99/events", BODY),
    "not signed": ("POST", "/apps/3/events", BODY),
    "badly signed": ("POST", f"/apps/3/events?{query(secret='guess')}", BODY),
    "signed for markup": ("POST", f"/apps/3/events?{query(x='<b>%0A%1B')}0", BODY),
    "another body": ("POST", f"/apps/3/events?{query()}", b"{}"),
    "not JSON": ("POST", f"/apps/3/events?{query(body=b'x')}", b"x"),
    "too large": ("POST", f"/apps/3/events?{query()}", b"x" * 300_000),
    "method": ("PUT", f"/apps/3/events?{query()}", BODY),
    "no such path": ("GET", "/apps/3/nothing", b""),
    "an app of markup": ("GET", "/apps/%3Cscript%3E%0Aalert%281%29/channels", b""),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_p203_a_refusal_is_one_line_of_plain_text_without_a_secret(server: InProcess, fault: str) -> None:
    method, target, body = REFUSED[fault]
    answer = server.http(method, target, body)
    assert answer.status >= 400
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith("\n")
    assert answer.text[:-1].isprintable()
    assert answer.text.strip()
    assert SECRET not in answer.text
    assert "<html" not in answer.text.lower()


def test_p203_a_disabled_app_is_told_only_to_who_can_sign(serve: Serve) -> None:
    server = serve(app_with(enabled=False))
    answer = publish(server, query())
    assert (answer.status, answer.text) == (403, "Application disabled\n")
    assert publish(server, query(secret="guess")).status == 401
