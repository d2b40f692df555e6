"""Opening a connection: the greeting, protocol versions, paths, sub-protocols (P001–P003, P013–P015, P021–P025)."""

from __future__ import annotations

import json
import re

import pytest

from tests.conformance.conftest import Serve, SocketIds
from tests.conformance.expected import PONG, succeeded
from tests.inprocess import APP, QUERY, Client, InProcess, app_with, client_frame


def greeted(client: Client) -> bool:
    """Whether the greeting came, first and alone."""
    (frame,) = client.events()
    return frame["event"] == "pusher:connection_established"


def test_p001_the_greeting_comes_first(server: InProcess) -> None:
    client = server.open()
    (greeting,) = client.events()
    assert client.head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head  # RFC 6455 §1.3
    assert set(greeting) == {"event", "data"}
    assert greeting["event"] == "pusher:connection_established"
    data = json.loads(greeting["data"])
    assert set(data) == {"socket_id", "activity_timeout"}
    assert re.fullmatch(r"\d+\.\d+", data["socket_id"])
    assert data["activity_timeout"] == 30


def test_p001_the_greeting_carries_the_timeout_of_the_app(serve: Serve) -> None:
    client = serve(app_with(activity_timeout=7)).open()
    assert json.loads(client.events()[0]["data"])["activity_timeout"] == 7


def test_p002_socket_ids_differ(server: InProcess) -> None:
    assert len({server.open().name() for _ in range(100)}) == 100


@pytest.mark.parametrize("protocol", [5, 6, 7])
def test_p003_protocols_5_to_7_are_greeted_alike(server: InProcess, protocol: int, socket_ids: SocketIds) -> None:
    socket_ids("1234.1234")
    client = server.open(f"protocol={protocol}")
    data = '{"socket_id":"1234.1234","activity_timeout":30}'
    assert client.events() == [{"event": "pusher:connection_established", "data": data}]


def test_p013_the_subprotocol_is_echoed(server: InProcess) -> None:
    for number in (5, 6, 7):
        client = server.open(headers={"Sec-WebSocket-Protocol": f"pusher-channels-protocol-{number}"})
        assert greeted(client)
        assert f"\r\nSec-WebSocket-Protocol: pusher-channels-protocol-{number}" in client.head


@pytest.mark.parametrize("offered", [None, "foo", "pusher-channels-protocol-8", "xpusher-channels-protocol-7"])
def test_p014_no_other_subprotocol_is_answered(server: InProcess, offered: str | None) -> None:
    client = server.open(headers={} if offered is None else {"Sec-WebSocket-Protocol": offered})
    assert greeted(client)
    assert "sec-websocket-protocol" not in client.head.lower()


def test_p014_the_known_one_of_several_subprotocols_is_answered(server: InProcess) -> None:
    client = server.open(headers={"Sec-WebSocket-Protocol": "foo, pusher-channels-protocol-7, bar"})
    assert greeted(client)
    assert client.head.count("Sec-WebSocket-Protocol: pusher-channels-protocol-7") == 1
    assert "foo" not in client.head


def test_p015_the_subprotocol_stands_in_for_the_parameter(server: InProcess) -> None:
    assert greeted(server.open("", headers={"Sec-WebSocket-Protocol": "pusher-channels-protocol-7"}))


def test_p015_the_parameter_wins_over_the_subprotocol(server: InProcess) -> None:
    client = server.open("protocol=4", headers={"Sec-WebSocket-Protocol": "pusher-channels-protocol-7"})
    client.events()
    assert client.close_code == 4007


def test_p021_a_plain_get_is_told_to_upgrade(server: InProcess) -> None:
    answer = server.http("GET", f"/app/{APP.key}")
    assert answer.status == 426
    assert answer.headers["upgrade"] == "websocket"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body


@pytest.mark.parametrize(
    "query", ["protocol=7", "protocol=7&a=b&c&flash=false&%20=%", "x=1&protocol=7&client=&version="]
)
def test_p022_other_parameters_are_ignored(server: InProcess, query: str) -> None:
    assert greeted(server.open(query))


def test_p023_a_command_may_come_before_the_greeting_is_read(server: InProcess) -> None:
    subscribe = b'{"event":"pusher:subscribe","data":{"channel":"my-channel"}}'
    client = server.open(early=client_frame(0x1, subscribe))
    greeting, answer = client.events()
    assert greeting["event"] == "pusher:connection_established"
    assert answer == succeeded("my-channel")


def test_p024_compression_on_offer_is_declined_and_frames_pass(server: InProcess) -> None:
    """None is negotiated: the case allows that, and no answer is the way to say so (RFC 7692 §5)."""
    client = server.open(headers={"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
    assert greeted(client)
    assert "sec-websocket-extensions" not in client.head.lower()
    client.say("pusher:ping", {})
    assert client.events() == [PONG]


def test_p024_a_compressed_frame_that_nobody_agreed_on_is_a_protocol_error(server: InProcess) -> None:
    client = server.joined()
    client.raw(client_frame(0x1, b"{}", rsv=4))
    assert client.events() == []
    assert client.close_code == 1002


def test_p025_the_key_is_percent_decoded_once(serve: Serve) -> None:
    server = serve(app_with(key="a%41/é"), app_with(id="4", key="aA/é"))
    assert greeted(server.open(path="/app/a%2541%2F%C3%A9"))
    assert server.service.hub.count("3") == 1
    assert greeted(server.open(path="/app/%61%41%2f%c3%a9"))
    assert server.service.hub.count("4") == 1


def test_p025_a_key_with_plain_letters_encoded_is_found(server: InProcess) -> None:
    assert greeted(server.open(path=f"/app/%32{APP.key[1:]}"))


def test_a_trailing_slash_is_ignored(server: InProcess) -> None:
    assert greeted(server.open(path=f"/app/{APP.key}/"))


def test_header_names_and_tokens_of_the_handshake_have_no_case(server: InProcess) -> None:
    link = server.link()
    server.feed(
        link,
        f"GET /app/{APP.key}?{QUERY} HTTP/1.1\r\nHOST: server.test\r\nupgrade: WebSocket\r\n"
        "CONNECTION: keep-alive, upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "sec-websocket-version: 13\r\n\r\n".encode(),
    )
    assert link.take().startswith(b"HTTP/1.1 101 ")
