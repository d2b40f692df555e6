"""laravel-echo-server's HTTP API beside Pusher's, the client library (E161–E172), and guarded names."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.requests import RequestRefused
from broadcaster.names import Kind, is_socket_id, kind_of
from broadcaster.settings import Cors, EchoApi, Limits
from broadcaster.web.echo_publishing import read_echo_event
from broadcaster.web.http import Request
from broadcaster.web.library import library
from tests.conformance.conftest import Serve
from tests.inprocess import APP, Answer, Client, InProcess, app_with

ECHO = app_with(bearer=True)
BEARER = {"Authorization": f"Bearer {ECHO.key}"}
UNAUTHORIZED = {"error": "Unauthorized"}
INCOMPLETE = {"error": "Event must include channel, event name and data"}
CORS = EchoApi(cors=Cors(origin="http://a.test", methods="GET, POST", headers="X-Socket-Id"), headers={"X-Extra": "1"})


@pytest.fixture
def server(serve: Serve) -> InProcess:
    """One app that takes laravel-echo-server's key."""
    return serve(ECHO)


def get(server: InProcess, path: str, **headers: str) -> Answer:
    return server.http("GET", f"/apps/{ECHO.id}{path}", headers=BEARER | headers)


def post(server: InProcess, body: Any) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return server.http("POST", f"/apps/{ECHO.id}/events", raw, BEARER)


def echo_client(server: InProcess, *channels: str) -> str:
    """The sid of a polling client of revision 3."""
    answer = server.http("GET", "/socket.io/?EIO=3&transport=polling&b64=1")
    sid = json.loads(answer.text[answer.text.index("{") : answer.text.index("}") + 1])["sid"]
    for channel in channels:
        packet = "42" + json.dumps(["subscribe", {"channel": channel}])
        body = f"{len(packet)}:{packet}".encode()
        server.http("POST", f"/socket.io/?EIO=3&transport=polling&sid={sid}", body)
    return sid


def polled(server: InProcess, sid: str) -> str:
    return server.http("GET", f"/socket.io/?EIO=3&transport=polling&sid={sid}").text


# ---- who may ask ------------------------------------------------------------------------------------------------


def test_e161_the_root_says_ok(server: InProcess) -> None:
    answer = server.http("GET", "/")
    assert (answer.status, answer.text) == (200, "OK")


@pytest.mark.parametrize("path", ["/status", "/channels", "/channels/a", "/channels/presence-a/users"])
def test_e162_without_the_key_everything_is_refused(server: InProcess, path: str) -> None:
    for target, headers in (
        (f"/apps/3{path}", {}),
        (f"/apps/3{path}?auth_key=wrong", {}),
        (f"/apps/3{path}?auth_key=%FF", {}),
        (f"/apps/3{path}", {"Authorization": "Bearer wrong"}),
        (f"/apps/nobody{path}", BEARER),
        (f"/apps/nobody{path}", {}),
    ):
        answer = server.http("GET", target, headers=headers)
        assert (answer.status, answer.json) == (403, UNAUTHORIZED)


def test_e162_an_event_without_the_key_goes_nowhere(server: InProcess) -> None:
    client = server.joined("orders")
    answer = server.http("POST", "/apps/3/events", b'{"channel":"orders","name":"e","data":"1"}')
    assert (answer.status, answer.json) == (403, UNAUTHORIZED)
    assert client.events() == []


@pytest.mark.parametrize("shown", [ECHO.key, f"Bearer {ECHO.key}", f"bearer {ECHO.key}"])
def test_the_key_opens_with_or_without_its_scheme(server: InProcess, shown: str) -> None:
    assert server.http("GET", "/apps/3/status", headers={"Authorization": shown}).status == 200


def test_e163_the_header_wins_over_the_query(server: InProcess) -> None:
    right = f"/apps/3/status?auth_key={ECHO.key}"
    assert server.http("GET", right).status == 200
    assert server.http("GET", right, headers={"Authorization": "Bearer wrong"}).status == 403


def test_a_signature_makes_it_pushers_api(server: InProcess) -> None:
    assert server.publish("orders").json == {}
    assert server.call("GET", "/channels/orders").json == {"occupied": False}
    answer = server.http("GET", f"/apps/3/channels?auth_key={ECHO.key}&auth_signature=00", headers=BEARER)
    assert answer.status == 401


@pytest.mark.parametrize("query", ["auth_signature=00", "auth_timestamp=1&auth_version=1.0&AUTH_SIGNATURE=00"])
def test_where_there_is_no_secret_the_key_counts_and_not_the_signature(serve: Serve, query: str) -> None:
    server = serve(app_with(bearer=True, secrets=()), app_with(id="4", key="other"))
    client = echo_client(server, "orders")
    body = b'{"channels":["orders"],"name":"e","data":"{\\"a\\":1}"}'
    answer = server.http("POST", f"/apps/3/events?auth_key={APP.key}&{query}", body)
    assert (answer.status, answer.json) == (200, {"message": "ok"})
    assert '["e","orders",{"a":1}]' in polled(server, client)
    assert server.http("POST", f"/apps/3/events?auth_key=wrong&{query}", body).json == UNAUTHORIZED
    assert server.http("POST", f"/apps/3/events?{query}", body).json == UNAUTHORIZED
    assert server.http("POST", f"/apps/4/events?auth_key=other&{query}", body).status == 401


def test_apps_without_a_bearer_key_keep_to_signatures(serve: Serve) -> None:
    server = serve(APP, app_with(id="4", key="other", bearer=True))
    assert server.http("GET", "/apps/3/channels", headers=BEARER).status == 401
    assert server.http("GET", "/apps/4/channels", headers={"Authorization": "Bearer other"}).status == 200
    assert server.http("GET", f"/apps/4/channels?auth_key={APP.key}").status == 403


def test_without_any_bearer_key_unknown_apps_are_told_as_pusher_does(serve: Serve) -> None:
    assert serve(APP).http("GET", "/apps/nobody/channels").status == 404


def test_a_disabled_app_is_told_so_only_with_its_key(serve: Serve) -> None:
    server = serve(app_with(bearer=True, enabled=False))
    assert server.http("GET", "/apps/3/status").json == UNAUTHORIZED
    assert get(server, "/status").json == {"error": "Application disabled"}


# ---- queries ----------------------------------------------------------------------------------------------------


def test_e164_status_counts_the_sessions(server: InProcess) -> None:
    echo_client(server)
    server.advance(3)
    answer = get(server, "/status").json
    assert list(answer) == ["subscription_count", "uptime", "memory_usage"]
    assert answer["subscription_count"] == 1
    assert answer["uptime"] == pytest.approx(3)
    assert list(answer["memory_usage"]) == ["rss", "heapTotal", "heapUsed", "external", "arrayBuffers"]
    assert answer["memory_usage"]["rss"] >= 0


def test_e165_channels_and_their_prefix(server: InProcess) -> None:
    assert get(server, "/channels").json == {"channels": {}}
    server.joined("orders", "other").sign_in({"id": "7"})
    echo_client(server, "orders")
    both = {"subscription_count": 2, "occupied": True}
    one = {"subscription_count": 1, "occupied": True}
    assert get(server, "/channels").json == {"channels": {"orders": both, "other": one}}
    assert get(server, "/channels/").json == get(server, "/channels").json
    assert get(server, "/channels?filter_by_prefix=ord").json == {"channels": {"orders": both}}
    assert get(server, "/channels?filter_by_prefix=x").json == {"channels": {}}


def test_e166_one_channel(server: InProcess) -> None:
    assert get(server, "/channels/nobody").json == {"subscription_count": 0, "occupied": False}
    nobody = {"subscription_count": 0, "occupied": False, "user_count": 0}
    assert get(server, "/channels/presence-a").json == nobody
    server.joined("orders").subscribe("presence-a", {"user_id": 1})
    server.joined().subscribe("presence-a", {"user_id": 1})
    server.turn()
    assert get(server, "/channels/orders").json == {"subscription_count": 1, "occupied": True}
    assert get(server, "/channels/presence-a").json == {"subscription_count": 2, "occupied": True, "user_count": 1}


def test_e166_any_name_may_be_asked_about(server: InProcess) -> None:
    assert get(server, "/channels/a%20b%2Fc:d").json == {"subscription_count": 0, "occupied": False}


def test_e167_users_come_once_with_the_id_as_it_was_given(server: InProcess) -> None:
    assert get(server, "/channels/presence-a/users").json == {"users": []}
    server.joined().subscribe("presence-a", {"user_id": 1, "user_info": {"name": "é"}})
    server.joined().subscribe("presence-a", {"user_id": "two"})
    server.joined().subscribe("presence-a", {"user_id": 1, "user_info": {"name": "é"}})
    server.turn()
    users = get(server, "/channels/presence-a/users").json["users"]
    assert sorted(users, key=str) == [
        {"id": "two", "user_info": {}},
        {"id": 1, "user_info": {"name": "é"}},
    ]


def test_e167_only_presence_channels_have_users(server: InProcess) -> None:
    for name in ("orders", "private-a", "x-presence-a"):
        answer = get(server, f"/channels/{name}/users")
        assert (answer.status, answer.json) == (400, {"error": "User list is only possible for Presence Channels"})


def test_a_signed_in_member_without_channel_data_is_a_user_too(server: InProcess) -> None:
    client = server.joined()
    client.sign_in({"id": "7", "user_info": {"name": "Ann"}})
    client.subscribe("presence-a")
    server.turn()
    assert get(server, "/channels/presence-a/users").json["users"][0]["id"] == "7"


# ---- events -----------------------------------------------------------------------------------------------------


FAULTY = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff",
    b"[" * 100_000,
    b'{"channel":"a","data":"1"}',
    b'{"channel":"a","name":"","data":"1"}',
    b'{"channel":"a","name":5,"data":"1"}',
    b'{"channel":"a","name":"e"}',
    b'{"name":"e","data":"1"}',
    b'{"channel":"","name":"e","data":"1"}',
    b'{"channels":[],"name":"e","data":"1"}',
    b'{"channels":[1],"name":"e","data":"1"}',
    b'{"channels":{"a":1},"name":"e","data":"1"}',
    *(b'{"channel":"a","name":"e","data":%b}' % data for data in (b'""', b" 0 ", b"-0.0", b"0e5", b"false", b"null")),
]


@pytest.mark.parametrize("body", FAULTY, ids=[repr(body[:50]) for body in FAULTY])
def test_e168_a_faulty_body_is_refused_and_the_process_lives(server: InProcess, body: bytes) -> None:
    answer = post(server, body)
    assert (answer.status, answer.json) == (400, INCOMPLETE)
    assert post(server, {"channel": "a", "name": "e", "data": "1"}).json == {"message": "ok"}


def test_e168_channels_may_be_a_string_and_win_over_channel(server: InProcess) -> None:
    a, b = server.joined("a"), server.joined("b")
    assert post(server, {"channels": "a", "channel": "b", "name": "e", "data": "1"}).json == {"message": "ok"}
    assert [event["channel"] for event in a.events()] == ["a"]
    assert b.events() == []
    assert post(server, {"channels": ["a", "b", "a"], "name": "e", "data": "1"}).status == 200
    assert (len(a.events()), len(b.events())) == (1, 1)


def test_content_type_and_pushers_other_keys_do_not_matter(server: InProcess) -> None:
    body = b'{"channel":"a","name":"e","data":"1","info":"nonsense","tags":{}}'
    headers = BEARER | {"Content-Type": "text/nonsense"}
    assert server.http("POST", "/apps/3/events", body, headers).json == {"message": "ok"}


@pytest.mark.parametrize(
    ("data", "pusher", "echo"),
    [
        (r'"{\"a\":1}"', '{"a":1}', '{"a":1}'),
        ('"plain"', "plain", '"plain"'),
        ('{ "a": [1, 1.0] }', '{"a":[1,1.0]}', '{"a":[1,1.0]}'),
        ("5", "5", "5"),
        ('"5"', "5", "5"),
        ("[]", "[]", "[]"),
        ("true", "true", "true"),
    ],
)
def test_e169_data_reaches_each_dialect_in_its_form(server: InProcess, data: str, pusher: str, echo: str) -> None:
    client = server.joined("orders")
    sid = echo_client(server, "orders")
    assert post(server, b'{"channel":"orders","name":"E","data":%b}' % data.encode()).status == 200
    assert [event["data"] for event in client.events()] == [pusher]
    assert f'42["E","orders",{echo}]' in polled(server, sid)


def test_e170_a_socket_of_any_dialect_is_excluded(server: InProcess) -> None:
    client = server.joined("orders")
    sid = echo_client(server, "orders")
    body = {"channel": "orders", "name": "E", "data": "1"}
    for send in (lambda more: post(server, body | more), lambda more: server.publish("orders", "E", "1", **more)):
        assert send({"socket_id": sid}).status == 200
        assert len(client.events()) == 1
        assert send({"socket_id": client.name()}).status == 200
        assert client.events() == []
        # What is seen is the second event alone.
        assert polled(server, sid).count('"E"') == 1


@pytest.mark.parametrize("socket_id", ["abc", "", 5, None, "x" * 1000])
def test_e170_what_cannot_be_a_socket_excludes_nobody(server: InProcess, socket_id: Any) -> None:
    client = server.joined("orders")
    assert post(server, {"channel": "orders", "name": "E", "data": "1", "socket_id": socket_id}).status == 200
    assert len(client.events()) == 1


def test_limits_and_reserved_names_are_refused_as_json(server: InProcess) -> None:
    large = {"channel": "a", "name": "e", "data": "x" * 20_000}
    assert (post(server, large).status, list(post(server, large).json)) == (413, ["error"])
    for more in ({"name": "pusher:e"}, {"name": "e" * 201}, {"channel": "c" * 201}, {"channel": "a\n"}):
        answer = post(server, {"channel": "a", "name": "e", "data": "1"} | more)
        assert (answer.status, list(answer.json)) == (400, ["error"])
    many = {"channels": [str(i) for i in range(101)], "name": "e", "data": "1"}
    assert post(server, many).status == 400


def test_names_that_only_redis_would_allow_can_be_published_to(server: InProcess) -> None:
    assert post(server, {"channel": "a:b c/é", "name": "e", "data": "1"}).json == {"message": "ok"}


@given(
    st.binary(max_size=60)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_body_is_a_fault_of_ours(body: bytes) -> None:
    for each in (body, b'{"channel":"a","name":"e","data":%b}' % body, b'{"name":"e","data":1,"channels":%b}' % body):
        try:
            assert read_echo_event(each, Limits()).name
        except RequestRefused as refused:
            assert refused.status == 400


# ---- routes and headers -----------------------------------------------------------------------------------------


def test_unknown_paths_and_methods_are_not_found(server: InProcess) -> None:
    for method, path in (("GET", "/nope"), ("GET", "/"), ("GET", "/events"), ("POST", "/status"), ("PUT", "/events")):
        answer = server.http(method, f"/apps/3{path}", b"{}" if method != "GET" else b"", BEARER)
        assert (answer.status, answer.json) == (404, {"error": "Not found"})
    assert server.http("GET", "/apps/3", headers=BEARER).status == 404
    assert server.http("HEAD", "/apps/3/status", headers=BEARER).status == 200


def test_publishing_can_be_off(serve: Serve) -> None:
    server = serve(ECHO, echo_api=EchoApi(publish=False))
    assert post(server, {"channel": "a", "name": "e", "data": "1"}).status == 404
    assert get(server, "/status").status == 200
    assert server.publish("a").status == 200


def test_e171_cors_is_word_for_word_on_every_answer(serve: Serve) -> None:
    server = serve(ECHO, echo_api=CORS)
    answers = [
        get(server, "/channels"),
        server.http("GET", "/apps/3/channels"),
        get(server, "/nope"),
        post(server, b""),
        post(server, {"channel": "a", "name": "e", "data": "1"}),
        server.http("OPTIONS", "/apps/3/events"),
        server.http("OPTIONS", "/apps/3/channels", headers={"Origin": "http://b.test"}),
    ]
    assert [answer.status for answer in answers] == [200, 403, 404, 400, 200, 200, 200]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "http://a.test"
        assert answer.headers["access-control-allow-methods"] == "GET, POST"
        assert answer.headers["access-control-allow-headers"] == "X-Socket-Id"
        assert answer.headers["x-extra"] == "1"
    assert [(answer.headers["allow"], answer.text) for answer in answers[-2:]] == [("POST",) * 2, ("GET,HEAD",) * 2]
    assert "x-extra" not in server.publish("a").headers


def test_e171_without_cors_there_are_no_such_headers(server: InProcess) -> None:
    answers = [get(server, "/channels", Origin="http://a.test"), server.http("OPTIONS", "/apps/3/events")]
    for answer in answers:
        assert answer.status == 200
        assert not any(name.startswith("access-control") for name in answer.headers)


def test_a_draining_server_takes_nothing_more(server: InProcess) -> None:
    server.service.drain()
    answer = post(server, {"channel": "a", "name": "e", "data": "1"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json == {"error": "Server is shutting down"}


# ---- the client library -----------------------------------------------------------------------------------------


def asked(method: str = "GET", **headers: str) -> Request:
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(method, "/socket.io/socket.io.js", "", pairs, b"", "192.0.2.7", False)


def test_e172_the_library_is_served_and_known_again(tmp_path: Path) -> None:
    (tmp_path / "socket.io.js").write_bytes(b"io()")
    (tmp_path / "socket.io.js.map").write_bytes(b"{}")
    script = library("socket.io.js", asked(), tmp_path)
    assert script is not None
    assert (script.status, script.body, script.content_type) == (200, b"io()", "application/javascript")
    assert dict(script.headers) == {"ETag": '"2.5.0"', "Cache-Control": "public, max-age=0"}
    source_map = library("socket.io.js.map", asked(), tmp_path)
    assert source_map is not None and source_map.content_type == "application/json"
    for tag, status in (('"2.5.0"', 304), ('W/"2.5.0"', 304), ('"1", "2.5.0"', 304), ("*", 304), ('"2.4.0"', 200)):
        answer = library("socket.io.js", asked(if_none_match=tag), tmp_path)
        assert answer is not None and answer.status == status


def test_e172_a_missing_library_says_how_to_get_it(tmp_path: Path) -> None:
    answer = library("socket.io.js", asked(if_none_match='"2.5.0"'), tmp_path)
    assert answer is not None and answer.status == 404
    assert b"make run" in answer.body and b"socket.io-client@2.5.0" in answer.body


def test_e172_the_library_has_its_url_beside_the_sessions(server: InProcess) -> None:
    answer = server.http("GET", "/socket.io/socket.io.js")
    assert answer.status in (200, 404) and "socket.io" in answer.text.lower()
    assert server.http("GET", "/socket.io/?EIO=3&transport=polling").status == 200
    assert server.http("POST", "/socket.io/socket.io.js").json["code"] == 0


def test_an_answer_of_304_claims_no_length(serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "socket.io.js").write_bytes(b"io()")
    monkeypatch.setattr("broadcaster.web.library.files", lambda package: tmp_path)
    answer = serve(ECHO).http("GET", "/socket.io/socket.io.js", headers={"If-None-Match": '"2.5.0"'})
    assert (answer.status, "content-length" in answer.headers, answer.rest) == (304, False, b"")


# ---- names ------------------------------------------------------------------------------------------------------


def test_socket_ids_of_both_dialects_are_known() -> None:
    for good in ("1234.5678", "IR7muVTiPZdfVLUdAAAA", "e_zi4_MUxm-OTW1xAAAA"):
        assert is_socket_id(good)
    for bad in ("abc", "", "1234.", "IR7muVTiPZdfVLUdAAA", "IR7muVTiPZdfVLUdAAAAA", "IR7muVTiPZdfVLUdAAA\n", "é" * 20):
        assert not is_socket_id(bad)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("laravel_database_private-orders.1", Kind.AUTH),
        ("laravel_database_presence-room", Kind.AUTH),
        ("my-private-x", Kind.AUTH),
        ("cache-private-x", Kind.AUTH | Kind.CACHE),
        ("private-presence-x", Kind.AUTH),
        ("presence-private-x", Kind.AUTH | Kind.PRESENCE),
        ("#server-to-user-private-x", Kind.USER),
        ("privateer", Kind.PUBLIC),
        ("my-private", Kind.PUBLIC),
        ("Private-x", Kind.PUBLIC),
        ("cache-x", Kind.CACHE),
    ],
)
def test_a_guarded_word_anywhere_in_a_name_guards_it(name: str, kind: Kind) -> None:
    assert kind_of(name) == kind


def signed_subscribe(client: Client, channel: str) -> None:
    """As for a private channel: the test's client itself signs for those that begin so."""
    text = f"{client.name()}:{channel}".encode()
    signature = hmac.new(APP.secrets[0].encode(), text, "sha256").hexdigest()
    client.subscribe(channel, auth=f"{APP.key}:{signature}")


@pytest.mark.parametrize("name", ["laravel_database_private-x", "my-presence-x", "cache-private-x"])
def test_pusher_clients_hear_guarded_names_only_with_a_signature(server: InProcess, name: str) -> None:
    stranger, friend = server.joined(), server.joined()
    stranger.subscribe(name)
    assert "pusher:subscription_error" in [event["event"] for event in stranger.events()]
    signed_subscribe(friend, name)
    assert friend.events()[0]["event"] == "pusher_internal:subscription_succeeded"
    server.publish(name, "secret", "1")
    assert [event["event"] for event in friend.events() if event["event"] == "secret"] == ["secret"]
    assert stranger.events() == []


def test_client_events_follow_on_guarded_names(server: InProcess) -> None:
    one, two, name = server.joined(), server.joined(), "laravel_database_private-x"
    for client in (one, two):
        signed_subscribe(client, name)
        client.events()
    one.say("client-typing", {"x": 1}, channel=name)
    assert [event["event"] for event in two.events()] == ["client-typing"]
    stranger = server.joined()
    stranger.say("client-typing", {"x": 1}, channel=name)
    assert stranger.events()[0]["data"]["code"] == 4301
    assert two.events() == []
