"""Refusing a connection: each fault's code and text, and in which order they are found (P004–P012, P016–P020, P026)."""

from __future__ import annotations

import pytest

from broadcaster.settings import Server
from tests.conformance.conftest import Serve
from tests.conformance.expected import ASKED, told
from tests.inprocess import QUERY, Client, InProcess, app_with

OTHER = app_with(id="4", key="other")


def let_in(client: Client) -> bool:
    (frame,) = client.events()
    return frame["event"] == "pusher:connection_established"


def test_p004_unknown_key(server: InProcess) -> None:
    client = server.open(key="nobody")
    assert told(client) == (4001, "Application does not exist")


@pytest.mark.parametrize("protocol", [5, 6, 7])
def test_p005_every_protocol_is_refused_by_frame_and_close_code(server: InProcess, protocol: int) -> None:
    assert told(server.open(f"protocol={protocol}", key="nobody")) == (4001, "Application does not exist")


@pytest.mark.parametrize("query", ["", "client=js&version=8.4.0", "Protocol=7"])
def test_p006_no_protocol(server: InProcess, query: str) -> None:
    assert told(server.open(query)) == (4008, "No protocol version supplied")


@pytest.mark.parametrize("value", ["abc", "", "7.0", "7x", "0x7", "%37%37x", "%D9%A7"])
def test_p007_a_protocol_that_is_no_integer(server: InProcess, value: str) -> None:
    assert told(server.open(f"protocol={value}")) == (4006, "Invalid version string format")


@pytest.mark.parametrize("value", ["4", "1", "8", "0", "-7", "77"])
def test_p008_a_protocol_that_is_not_spoken(server: InProcess, value: str) -> None:
    assert told(server.open(f"protocol={value}")) == (4007, "Unsupported protocol version")


@pytest.mark.parametrize("path", ["/nothing/here", "/", "/application", "/app/a/b", "/App/278d425bdf160c739803"])
def test_p009_an_upgrade_on_a_path_that_nothing_serves(server: InProcess, path: str) -> None:
    assert told(server.open(path=path)) == (4005, "Path not found")


@pytest.mark.parametrize("path", ["/app/", "/app", "/app//"])
def test_p010_an_upgrade_without_a_key(server: InProcess, path: str) -> None:
    assert told(server.open(path=path)) == (4005, "Path not found")


def test_p011_a_disabled_app(serve: Serve) -> None:
    assert told(serve(app_with(enabled=False)).open()) == (4003, "Application disabled")


def test_p012_an_app_that_wants_tls(serve: Serve) -> None:
    server = serve(app_with(tls_only=True))
    plain = 4000, "Application only accepts SSL connections, reconnect using wss://"
    forwarded = {"X-Forwarded-Proto": "https"}
    assert told(server.open()) == plain
    assert let_in(server.open(secure=True))
    assert let_in(server.open(peer="127.0.0.1", headers=forwarded))
    assert told(server.open(peer="127.0.0.1")) == plain
    assert told(server.open(peer="127.0.0.1", headers={"X-Forwarded-Proto": "http"})) == plain
    assert told(server.open(peer="192.0.2.7", headers=forwarded)) == plain


def test_p016_origins_of_the_app(serve: Serve) -> None:
    server = serve(app_with(origins=("https://a.test",)))
    assert let_in(server.open(headers={"Origin": "https://a.test"}))
    assert let_in(server.open(headers={"Origin": "https://a.test:443"}))
    assert let_in(server.open())
    for origin in ("https://b.test", "https://a.test:8443", "http://a.test", "https://x.a.test", "null", "https://["):
        assert told(server.open(headers={"Origin": origin})) == (4009, "Origin not allowed")


def test_p016_origins_of_the_server_count_where_the_app_has_none(serve: Serve) -> None:
    server = serve(
        app_with(), app_with(id="4", key="other", origins=("*",)), server=Server(origins=("https://a.test",))
    )
    assert told(server.open(headers={"Origin": "https://b.test"})) == (4009, "Origin not allowed")
    assert let_in(server.open(headers={"Origin": "https://a.test"}))
    assert let_in(server.open(key="other", headers={"Origin": "https://b.test"}))


def test_p017_wildcards_of_origins(serve: Serve) -> None:
    server = serve(app_with(origins=("*",)), app_with(id="4", key="other", origins=("https://*.a.test",)))
    for origin in ("https://b.test", "http://localhost:3000", "null"):
        assert let_in(server.open(headers={"Origin": origin}))
    assert let_in(server.open(key="other", headers={"Origin": "https://x.a.test"}))
    assert let_in(server.open(key="other", headers={"Origin": "https://y.x.a.test"}))
    for origin in ("https://a.test", "https://xa.test", "https://a.test.b.test", "http://x.a.test"):
        assert told(server.open(key="other", headers={"Origin": origin})) == (4009, "Origin not allowed")


def test_p018_an_app_that_is_full(serve: Serve) -> None:
    server = serve(app_with(max_connections=1), OTHER)
    first = server.open()
    assert let_in(first)
    assert told(server.open()) == (4004, "Application is over connection quota")
    assert let_in(server.open(key="other"))
    first.leave()
    assert let_in(server.open())


def test_p019_a_server_that_is_full(serve: Serve) -> None:
    server = serve(app_with(), OTHER, server=Server(max_connections=1))
    first = server.open()
    assert let_in(first)
    assert told(server.open(key="other")) == (4100, "Over capacity")
    first.drop()
    assert let_in(server.open(key="other"))


def test_p020_who_was_refused_is_counted_nowhere(serve: Serve) -> None:
    """Webhooks are not looked at here: a connection causes none by itself, only what it subscribes to."""
    server = serve(app_with(max_connections=1))
    for _ in range(3):
        told(server.open("protocol=4"))
    assert server.service.hub.count() == 0
    assert 'broadcaster_connections{app="3"} 0' in server.http("GET", "/metrics").text
    assert server.call("GET", "/channels").json == {"channels": {}}
    assert let_in(server.open())


def test_p020_who_was_refused_is_not_heard(serve: Serve) -> None:
    server = serve(app_with(enabled=False))
    client = server.open()
    told(client)
    client.say("pusher:subscribe", {"channel": "my-channel"})
    client.say("pusher:ping", {})
    client.text("not json")
    assert client.events() == []
    assert server.service.hub.channels("3") == {}


@pytest.mark.parametrize("answers", [True, False])
def test_a_refused_link_ends_with_the_close_handshake_or_five_seconds_later(server: InProcess, answers: bool) -> None:
    client = server.open(key="nobody")
    told(client)
    assert not client.closed
    if answers:
        client.leave(4001)
        assert client.closed
    else:
        server.advance(4.5)
        assert not client.closed
        server.advance(1.5)
        assert client.closed


def test_p026_while_draining_newcomers_are_sent_elsewhere(server: InProcess) -> None:
    server.joined()
    server.service.drain()
    assert told(server.open()) == (4200, "Server is shutting down")
    assert told(server.open("protocol=5")) == (4200, "Server is shutting down")
    assert server.http("POST", "/apps/3/events").status == 503


def test_the_first_check_that_fails_answers(serve: Serve) -> None:
    """A client with every fault, which mends one after the other."""
    server = serve(
        app_with(key="full", tls_only=True, origins=("https://a.test",), max_connections=1),
        app_with(id="4", key="off", enabled=False, tls_only=True, origins=("https://a.test",)),
        app_with(id="5", key="free"),
        server=Server(max_connections=1),
    )
    bad, good = {"Origin": "https://b.test"}, {"Origin": "https://a.test"}
    resident = server.open(key="full", secure=True, headers=good)
    assert let_in(resident)

    def code(**how: object) -> int:
        return told(server.open(**how))[0]  # type: ignore[arg-type]

    assert code(key="full", secure=True, headers=good) == 4004
    assert code(key="free") == 4100
    server.service.drain()
    assert code(query="", path="/nothing/here", headers=bad) == 4005
    assert code(query="", key="nobody", headers=bad) == 4001
    assert code(query="", key="off", headers=bad) == 4003
    assert code(query="", key="full", headers=bad) == 4000
    assert code(query="", key="full", headers=bad, secure=True) == 4008
    assert code(query="protocol=abc", key="full", headers=bad, secure=True) == 4006
    assert code(query="protocol=4", key="full", headers=bad, secure=True) == 4007
    assert code(query=QUERY, key="full", headers=bad, secure=True) == 4009
    assert code(query=QUERY, key="full", headers=good, secure=True) == 4200
    assert ASKED not in resident.events()
