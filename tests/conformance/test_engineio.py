"""Engine.IO, revisions 3 and 4: handshake, messages, heartbeat, closing and upgrade, with a server that echoes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcaster.protocols.engineio.packet import Packet, Type
from broadcaster.settings import Limits, SocketIO
from broadcaster.web.engine_link import EngineLink
from tests.conformance.conftest import Serve
from tests.conformance.polling import Poller, Socket
from tests.inprocess import InProcess, server_with

BEATING = SocketIO(ping_interval=3, ping_timeout=2)
"""Ten times slower than the official suites, since our wheel turns once a second."""

REVISIONS = pytest.mark.parametrize("revision", [3, 4])
WIRE = {3: {"close": "1:1", "noop": "1:6", "hello": "6:4hello"}, 4: {"close": "1", "noop": "6", "hello": "4hello"}}
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class Echoing:
    """Gives every message back, as the official suites want it."""

    joined = True

    def join(self, transport: EngineLink) -> None:
        pass

    def gone(self, now: float, for_good: bool) -> None:
        pass

    def heard(self, size: int) -> None:
        pass

    def message(self, data: str | bytes, transport: EngineLink) -> None:
        transport.session.send(Packet(Type.MESSAGE, data))
        transport.flush()


@pytest.fixture
def echo(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    monkeypatch.setattr("broadcaster.web.echo.Reception.greet", lambda *arguments: Echoing())
    return serve(socketio=BEATING)


def refusal(server: InProcess, query: str, method: str = "GET", path: str = "/socket.io/") -> tuple[int, Any]:
    answer = server.http(method, f"{path}?{query}")
    return answer.status, answer.json["code"] if answer.status in (400, 403) else None


# ---- handshake ------------------------------------------------------------------------------------------------


def test_e001_revision_4_opens_by_polling(server: InProcess) -> None:
    opening = Poller(server, 4).opening
    assert opening.text.startswith("0{")
    opened = json.loads(opening.text[1:])
    assert list(opened) == ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"]
    assert (opened["upgrades"], opened["pingInterval"], opened["pingTimeout"]) == (["websocket"], 25000, 20000)
    assert opened["maxPayload"] == 1_000_000 and len(opened["sid"]) == 20


def test_e002_a_revision_that_is_not_served_is_error_5(server: InProcess) -> None:
    for query in ("transport=polling", "EIO=abc&transport=polling", "EIO=2&transport=polling"):
        assert refusal(server, query) == (400, 5)


@REVISIONS
def test_e003_e009_a_transport_that_is_not_served_is_error_0(server: InProcess, revision: int) -> None:
    for query in (f"EIO={revision}", f"EIO={revision}&transport=abc"):
        assert refusal(server, query) == (400, 0)


@REVISIONS
def test_e004_e010_sessions_open_by_get_only(server: InProcess, revision: int) -> None:
    for method in ("POST", "PUT"):
        assert refusal(server, f"EIO={revision}&transport=polling", method) == (400, 2)


@REVISIONS
def test_e005_e011_a_websocket_opens_with_nothing_to_upgrade_to(echo: InProcess, revision: int) -> None:
    (text,) = Socket(echo, revision).texts()
    opened = json.loads(text[1:])
    assert text[0] == "0" and opened["upgrades"] == []
    assert list(opened)[:4] == ["sid", "upgrades", "pingInterval", "pingTimeout"]
    assert ("maxPayload" in opened) is (revision == 4)


@pytest.mark.parametrize("query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=3&transport=x"])
def test_e006_e007_e012_e013_a_websocket_is_refused_like_a_poll(server: InProcess, query: str) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    answer = server.http("GET", f"/socket.io/?{query}", headers=headers | {"Sec-WebSocket-Version": "13"})
    assert answer.status == 400
    assert answer.text in ("Unsupported protocol version", "Transport unknown")


def test_e008_e048_revision_3_opens_by_polling_word_for_word(server: InProcess) -> None:
    answer = server.http("GET", "/socket.io/?EIO=3&transport=polling")
    sid = json.loads(answer.text[4:-4])["sid"]
    opening = '0{"sid":"%s","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000}'
    assert answer.text == f"97:{opening % sid}2:40"
    assert answer.headers["content-length"] == "104"
    assert answer.headers["set-cookie"] == f"io={sid}; Path=/; HttpOnly; SameSite=Strict"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"


# ---- messages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("revision", "body"),
    [
        (4, "4hello"),
        (4, "4test1\x1e4test2\x1e4test3"),
        (4, "4hello\x1ebAQIDBA=="),
        (3, "6:4hello"),
        (3, "6:4test16:4test26:4test3"),
    ],
)
def test_e014_e015_e016_e023_e024_what_is_posted_is_polled(echo: InProcess, revision: int, body: str) -> None:
    client = Poller(echo, revision)
    answer = client.post(body)
    assert (answer.status, answer.text, answer.headers["content-type"]) == (200, "ok", "text/html")
    assert client.poll() == body


def test_e025_without_binary_support_bytes_are_base64(echo: InProcess) -> None:
    client = Poller(echo, 3, "&b64=1")
    assert client.post("6:4hello10:b4AQIDBA==").text == "ok"
    assert client.poll() == "6:4hello10:b4AQIDBA=="


def test_e026_with_binary_support_bytes_make_the_payload_binary(echo: InProcess) -> None:
    client = Poller(echo, 3)
    assert client.post("6:4hello10:b4AQIDBA==").text == "ok"
    poll = client.get()
    assert poll.answer is not None
    assert poll.answer.body == bytes.fromhex("0006FF3468656C6C6F0105FF0401020304")
    assert poll.answer.headers["content-type"] == "application/octet-stream"


@REVISIONS
def test_e017_e027_what_cannot_be_parsed_ends_the_session(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    poll = client.get()
    assert client.post("abc").status == 400
    assert poll.text == WIRE[revision]["close"]
    assert client.gone


@REVISIONS
def test_e018_e028_two_polls_at_once_end_the_session(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    first, second = client.get(), client.get()
    assert second.answer is not None
    assert (second.answer.status, second.answer.body) == (400, b"")
    assert first.text == WIRE[revision]["close"]
    assert client.gone


@REVISIONS
def test_e019_a_poll_that_is_cut_ends_the_session(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    client.get().cut()
    assert refusal(echo, client.target.partition("?")[2]) in ((400, 1), (200, None))
    assert client.gone


@REVISIONS
def test_e020_e029_messages_of_text_on_a_websocket(echo: InProcess, revision: int) -> None:
    client = Socket(echo, revision)
    client.text("4hello")
    assert client.texts()[-1] == "4hello"


def test_e021_e030_messages_of_bytes_on_a_websocket(echo: InProcess) -> None:
    for revision, data in ((4, b"\1\2\3\4"), (3, b"\4\1\2\3\4")):
        client = Socket(echo, revision)
        client.binary(data)
        assert client.frames()[-1] == data


@REVISIONS
def test_e022_e031_a_frame_that_cannot_be_parsed_closes(echo: InProcess, revision: int) -> None:
    client = Socket(echo, revision)
    client.text("abc")
    assert client.ended


# ---- heartbeat ------------------------------------------------------------------------------------------------


def test_e032_e034_revision_4_is_pinged_and_answers(echo: InProcess) -> None:
    poller, socket = Poller(echo, 4), Socket(echo, 4)
    socket.texts()
    for _ in range(3):
        poll = poller.get()
        echo.advance(4)
        assert poll.text == "2"
        assert socket.texts() == ["2"]
        assert poller.post("3").status == 200
        socket.text("3")


def test_e033_e035_revision_4_that_is_silent_is_given_up(echo: InProcess) -> None:
    poller, socket = Poller(echo, 4), Socket(echo, 4)
    echo.advance(4)
    assert poller.poll() == "2"
    echo.advance(4)
    assert poller.gone
    assert socket.ended


def test_e036_e038_revision_3_pings_and_is_answered(echo: InProcess) -> None:
    poller, socket = Poller(echo, 3), Socket(echo, 3)
    socket.texts()
    for _ in range(3):
        echo.advance(3)
        poll = poller.get()
        assert poller.post("1:2").status == 200
        assert poll.text == "1:3"
        socket.text("2")
        assert socket.texts() == ["3"]


def test_e037_e039_revision_3_that_is_silent_is_given_up(echo: InProcess) -> None:
    poller, socket = Poller(echo, 3), Socket(echo, 3)
    echo.advance(4)
    assert poller.post("1:2").status == 200
    assert not socket.ended
    echo.advance(2)
    assert socket.ended
    echo.advance(4)
    assert poller.post("1:2").status == 400


# ---- closing and upgrade --------------------------------------------------------------------------------------


@REVISIONS
def test_e040_e042_a_client_that_closes_gets_its_poll_back(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    poll = client.get()
    assert client.post(WIRE[revision]["close"]).text == "ok"
    assert poll.text == WIRE[revision]["noop"]
    assert client.gone


@REVISIONS
def test_e041_e043_a_websocket_client_that_closes_is_let_go(echo: InProcess, revision: int) -> None:
    client = Socket(echo, revision)
    client.text("1")
    assert client.ended


@REVISIONS
def test_e044_e045_e046_e156_a_session_goes_over_to_a_websocket(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    held = client.get()
    socket = client.upgrading()
    socket.text("2probe")
    assert socket.texts() == ["3probe"]
    assert held.text == client.poll() == WIRE[revision]["noop"]
    socket.text("5")
    socket.text("4hello")
    assert socket.texts() == ["4hello"]
    assert refusal(echo, client.target.partition("?")[2]) == (400, 3)
    assert client.post(WIRE[revision]["hello"]).json["code"] == 3
    second = client.upgrading()
    assert second.ended and second.status == 101
    socket.text("4still")
    assert socket.texts() == ["4still"]


@REVISIONS
def test_e046_a_second_socket_that_probes_is_closed_and_the_first_goes_on(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    first = client.upgrading()
    first.text("2probe")
    second = client.upgrading()
    assert second.ended
    assert first.texts() == ["3probe"] and not first.ended
    first.text("5")
    first.text("4hello")
    assert first.texts() == ["4hello"]


def test_e047_revision_4_has_no_binary_payloads(echo: InProcess) -> None:
    client = Poller(echo, 4)
    assert client.post("4hello", "application/octet-stream").status == 400
    assert client.gone


@REVISIONS
def test_e155_an_upgrade_that_is_given_up_leaves_the_polling_session(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    socket = client.upgrading()
    socket.text("2probe")
    assert socket.texts() == ["3probe"]
    socket.drop()
    assert client.post(WIRE[revision]["hello"]).text == "ok"
    assert client.poll() == WIRE[revision]["hello"]
    assert client.get().answer is None


@REVISIONS
def test_e155_a_probe_has_ten_seconds(serve: Serve, revision: int) -> None:
    server = serve()
    client = Poller(server, revision)
    socket = client.upgrading()
    socket.text("2probe")
    server.advance(9)
    assert not socket.ended
    server.advance(2)
    assert socket.ended
    assert not client.gone


@REVISIONS
def test_e157_an_upgrade_needs_no_probe(echo: InProcess, revision: int) -> None:
    socket = Poller(echo, revision).upgrading()
    socket.text("5")
    socket.text("4hello")
    assert socket.texts() == ["4hello"]


@REVISIONS
@pytest.mark.parametrize("text", ["4hello", "2", "2prob", "abc", "1", "3probe"])
def test_e158_a_probe_says_nothing_else(echo: InProcess, revision: int, text: str) -> None:
    client = Poller(echo, revision)
    socket = client.upgrading()
    socket.text(text)
    assert socket.ended
    assert not client.gone


@REVISIONS
def test_e154_what_is_sent_during_an_upgrade_comes_once_and_in_order(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    client.say("4a")
    socket = client.upgrading()
    socket.text("2probe")
    client.say("4b")
    assert client.poll() == {3: "2:4a2:4b", 4: "4a\x1e4b"}[revision]
    client.say("4c")
    socket.text("5")
    socket.text("4d")
    assert socket.texts() == ["3probe", "4c", "4d"]


@REVISIONS
def test_e190_a_poll_held_when_the_upgrade_comes_gets_a_noop(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    held = client.get()
    client.upgrading().text("5")
    assert held.text == WIRE[revision]["noop"]


# ---- errors and headers ---------------------------------------------------------------------------------------


def test_e049_the_path_ends_with_a_slash(server: InProcess) -> None:
    assert server.http("GET", "/socket.io?EIO=3&transport=polling").status == 404


def test_e050_an_unknown_session_is_error_1_which_pages_may_read(server: InProcess) -> None:
    target = "/socket.io/?EIO=3&transport=polling&sid=abc"
    answer = server.http("GET", target, headers={"Origin": "http://a.example"})
    assert (answer.status, answer.json) == (400, UNKNOWN)
    assert answer.text == '{"code":1,"message":"Session ID unknown"}'
    assert answer.headers["access-control-allow-origin"] == "http://a.example"
    assert answer.headers["access-control-allow-credentials"] == "true"


@REVISIONS
def test_e051_a_websocket_needs_an_upgrade(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    for sid in ("", f"&sid={client.sid}"):
        assert refusal(echo, f"EIO={revision}&transport=websocket{sid}") == (400, 3)
    assert not client.gone


def test_e052_head_is_no_handshake(server: InProcess) -> None:
    answer = server.http("HEAD", "/socket.io/?EIO=3&transport=polling")
    assert (answer.status, answer.body) == (400, b"")


@REVISIONS
def test_e053_preflights_are_answered_and_touch_nothing(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    for target in (f"/socket.io/?EIO={revision}&transport=polling", client.target):
        asking = {"Origin": "http://a.example", "Access-Control-Request-Headers": "x-a"}
        answer = echo.http("OPTIONS", target, headers=asking)
        assert answer.status == 204
        assert answer.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
        assert answer.headers["access-control-allow-headers"] == "x-a"
        assert answer.headers["access-control-allow-origin"] == "http://a.example"
    assert not client.gone


def test_e054_an_unknown_session_is_refused_to_websockets_too(server: InProcess) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    target = "/socket.io/?EIO=4&transport=websocket&sid=abc"
    answer = server.http("GET", target, headers=headers | {"Sec-WebSocket-Version": "13"})
    assert (answer.status, answer.text) == (400, "Session ID unknown")


@REVISIONS
def test_e055_a_poll_is_answered_with_sixteen_packets_at_most(echo: InProcess, revision: int) -> None:
    client = Poller(echo, revision)
    for number in range(20):
        client.say(f"4{number:02}")
    first, second = client.poll(), client.poll()
    texts = [f"4{number:02}" for number in range(20)]
    if revision == 3:
        texts = [f"3:{text}" for text in texts]
    between = "" if revision == 3 else "\x1e"
    assert (first, second) == (between.join(texts[:16]), between.join(texts[16:]))


def test_e056_text_payloads_of_revision_3_are_ascii(echo: InProcess) -> None:
    client = Poller(echo, 3)
    packet = '42["App\\\\Events\\\\Shipped","orders",{"id":1,"t":"é😀"}]'
    assert client.post(f"{len(packet) + 1}:{packet}").status == 200
    text = client.poll()
    length, _, rest = text.partition(":")
    assert text.isascii() and int(length) == len(rest)
    assert json.loads(rest[2:]) == json.loads(packet[2:])


@pytest.mark.parametrize(("length", "status"), [(54, 200), (53, 400), (57, 400)])
def test_e057_lengths_of_revision_3_count_utf_16_units(echo: InProcess, length: int, status: int) -> None:
    packet = '42["App\\\\Events\\\\Shipped","orders",{"id":1,"t":"é😀"}]'
    assert Poller(echo, 3).post(f"{length}:{packet}").status == status


# ---- rows of faults -------------------------------------------------------------------------------------------


def test_e185_an_empty_packet_of_revision_3_is_nothing(echo: InProcess) -> None:
    client = Poller(echo, 3)
    assert client.post("0:").text == "ok"
    assert client.get().answer is None


@pytest.mark.parametrize("body", ["", "-1:4", "3:4a", "5:4hello", "1:9", "1:2 ", "9999999999999:4"])
def test_e185_faulty_text_payloads_of_revision_3(echo: InProcess, body: str) -> None:
    client = Poller(echo, 3)
    answer = client.post(body)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert client.gone


@pytest.mark.parametrize("body", ["", "9", "4hi\x1e9", "2", "b!!"])
def test_e186_faulty_payloads_of_revision_4(echo: InProcess, body: str) -> None:
    client = Poller(echo, 4)
    assert client.post("3").text == "ok"
    answer = client.post(body)
    assert (answer.status, answer.json["code"]) == (400, 3)
    assert client.gone


@pytest.mark.parametrize("body", ["0001020304", "00FF", "0201FF32", "0009FF32"])
def test_e187_faulty_binary_payloads_of_revision_3(echo: InProcess, body: str) -> None:
    client = Poller(echo, 3)
    assert client.post(bytes.fromhex(body), "application/octet-stream").status == 400
    assert client.gone


def test_e188_packets_that_mean_nothing_on_a_websocket_of_revision_3(echo: InProcess) -> None:
    client = Socket(echo, 3)
    client.texts()
    for text in ("0", "3", "5", "6"):
        client.text(text)
    assert client.texts() == []
    client.text("2x")
    assert client.texts() == ["3"]
    client.text("")
    assert client.ended


@pytest.mark.parametrize("text", ["2", "b4AQI=", ""])
def test_e189_packets_that_close_a_websocket_of_revision_4(echo: InProcess, text: str) -> None:
    client = Socket(echo, 4)
    client.texts()
    for nothing in ("0", "3", "5", "6"):
        client.text(nothing)
    assert client.texts() == [] and not client.ended
    client.text(text)
    assert client.ended


def test_other_methods_leave_the_session_alone(echo: InProcess) -> None:
    client = Poller(echo, 4)
    answer = echo.http("PUT", client.target)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, OPTIONS")
    assert not client.gone


@REVISIONS
@pytest.mark.parametrize("body_bytes", [None, 1_000])
def test_e059_a_body_that_is_too_large_ends_the_session(serve: Serve, revision: int, body_bytes: int | None) -> None:
    server = serve(limits=Limits(body_bytes=body_bytes))
    client = Poller(server, revision)
    if revision == 4:
        client.say("40")
        client.poll()
    poll = client.get()
    assert client.post("x" * 999_900).status == 400, "what fits is read, and is no packet"
    assert poll.text == WIRE[revision]["close"]
    client = Poller(server, revision)
    answer = client.post("4" + "a" * 1_000_000)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (413, "*")
    assert "socketio.max_bytes = 1000000" in answer.text
    assert client.gone


def test_e059_reading_stops_at_the_limit(serve: Serve) -> None:
    server = serve()
    client = Poller(server, 4)
    link = server.link()
    server.feed(link, f"POST {client.target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b"4" * 65_536 + b"\r\n"
    for _ in range(15):
        server.feed(link, chunk)
    assert link.value() == b""
    server.feed(link, chunk)
    assert link.value().startswith(b"HTTP/1.1 413 ")
    assert client.gone
    for _ in range(15):
        server.feed(link, chunk)
    assert len(link.protocol._reading._body) == 0


def test_a_publish_that_is_too_large_is_told_to_the_pages_that_may_know(serve: Serve) -> None:
    server = serve(limits=Limits(body_bytes=1_000), server=server_with(origins=("https://a.test",)))
    for origin, told in (("https://a.test", "https://a.test"), ("https://b.test", None)):
        answer = server.http("POST", "/apps/3/events", b"x" * 1_001, {"Origin": origin})
        assert (answer.status, answer.headers.get("access-control-allow-origin")) == (413, told)


def test_a_handshake_that_is_none_leaves_no_session(server: InProcess) -> None:
    engine = server.doors.respond.__self__._engine
    for version in ("13", "8"):
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": version}
        assert server.http("GET", "/socket.io/?EIO=4&transport=websocket", headers=headers).status in (400, 426)
    assert engine.sessions() == 0


def test_who_opens_sessions_and_joins_none_finds_an_end(server: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broadcaster.web.engineio.UNJOINED", 3)
    target = "/socket.io/?EIO=4&transport=polling"
    assert [server.http("GET", target).status for _ in range(5)] == [200, 200, 200, 503, 503]
    server.advance(80)
    assert server.http("GET", target).status == 200


# ---- who may come in ------------------------------------------------------------------------------------------

FORBIDDEN = {"code": 4, "message": "Forbidden"}
OPENING = "/socket.io/?EIO=4&transport=polling"


@pytest.fixture
def guarded(serve: Serve) -> InProcess:
    return serve(server=server_with(origins=("https://a.test", "b.test:*", "*:8443")))


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.test"}, {"Referer": "https://evil.test/"}, {"Origin": "null"}]
)
def test_pages_of_other_origins_are_refused_and_may_not_read_why(guarded: InProcess, headers: dict[str, str]) -> None:
    answer = guarded.http("GET", OPENING, headers=headers)
    assert (answer.status, answer.json) == (403, FORBIDDEN)
    assert not [name for name in answer.headers if name.startswith("access-control")]
    socket = Socket(guarded, 4, headers=headers)
    assert socket.status == 403 and socket.head_text().endswith("\r\n\r\nForbidden")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://a.test"},
        {"Referer": "https://a.test/page", "Cookie": "a=b"},
        {"Origin": "http://b.test:7"},
        {"Origin": "https://any.test:8443"},
        {},
    ],
)
def test_pages_of_origins_that_are_allowed_and_clients_that_are_no_browsers(
    guarded: InProcess, headers: dict[str, str]
) -> None:
    answer = guarded.http("GET", OPENING, headers=headers)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == headers.get("Origin", "*")
    assert Socket(guarded, 4, headers=headers).texts()[0].startswith("0{")


def test_a_script_that_hides_whose_it_is_is_refused(guarded: InProcess, serve: Serve) -> None:
    assert guarded.http("GET", "/socket.io/?EIO=3&transport=polling&j=0").json == FORBIDDEN
    assert serve().http("GET", "/socket.io/?EIO=3&transport=polling&j=0").status == 200


def test_a_server_that_goes_sends_newcomers_elsewhere_and_keeps_those_it_has(server: InProcess) -> None:
    client = Poller(server, 4)
    server.joined("a")
    server.service.drain()
    for transport, headers in (("polling", {}), ("websocket", {"Upgrade": "websocket", "Connection": "Upgrade"})):
        answer = server.http("GET", f"/socket.io/?EIO=4&transport={transport}", headers=headers)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert "Server is shutting down" in answer.text
    client.say("40")


# ---- heartbeats of less than a second ---------------------------------------------------------------------------

QUICK = SocketIO(ping_interval=0.3, ping_timeout=0.2)


def test_e034_e035_heartbeats_of_less_than_a_second(serve: Serve) -> None:
    server = serve(socketio=QUICK)
    client = Socket(server, 4)
    opening = json.loads(client.texts()[0][1:])
    assert (opening["pingInterval"], opening["pingTimeout"]) == (300, 200)
    for _ in range(3):
        server.advance(0.35, step=0.01)
        assert client.texts() == ["2"]
        client.text("3")
    server.advance(0.6, step=0.01)
    assert client.ended


def test_e034_pings_keep_their_interval_where_more_time_is_given_to_answer(serve: Serve) -> None:
    server = serve(socketio=SocketIO(ping_interval=2, ping_timeout=10))
    client = Socket(server, 4)
    client.texts()
    for _ in range(3):
        server.advance(2.5, step=0.01)
        assert client.texts() == ["2"]
        server.advance(0.1, step=0.01)
        client.text("3")


def test_e035_a_client_has_the_whole_time_to_answer_a_ping(serve: Serve) -> None:
    server = serve(socketio=SocketIO(ping_interval=2, ping_timeout=10))
    client = Socket(server, 4)
    server.advance(11.9)
    assert not client.ended
    server.advance(1.2)
    assert client.ended


def test_e039_a_client_of_revision_3_that_is_silent_for_less_than_a_second(serve: Serve) -> None:
    server = serve(socketio=QUICK)
    client = Socket(server, 3)
    server.advance(0.45, step=0.01)
    assert not client.ended
    server.advance(0.15, step=0.01)
    assert client.ended
