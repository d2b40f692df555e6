"""The cases of Socket.IO's official suite (protocol 5), with its application on our sessions, packets and assembler."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from secrets import token_urlsafe

import msgspec
import pytest

from broadcaster.protocols.engineio.packet import Packet, ParseError, Type
from broadcaster.protocols.socketio import Assembler, SocketPacket, SocketType, decode, encode
from broadcaster.settings import SocketIO
from broadcaster.web.engine_link import EngineLink
from tests.conformance.conftest import Serve
from tests.conformance.polling import Poll, Poller, Socket
from tests.inprocess import InProcess

QUICK = SocketIO(ping_interval=0.3, ping_timeout=0.2, connect_seconds=1)
"""As the suite wants it."""

STEP = 0.01


class Suite:
    """The suite's application: says ``auth`` at joining, gives messages back, or acknowledges them."""

    NAMESPACES = ("/", "/custom")

    def __init__(self) -> None:
        self._assembler = Assembler()
        self._joined: set[str] = set()

    @property
    def joined(self) -> bool:
        return bool(self._joined)

    def gone(self, now: float, for_good: bool) -> None:
        self._joined.clear()

    def heard(self, size: int) -> None:
        pass

    def message(self, data: str | bytes, transport: EngineLink) -> None:
        if isinstance(data, bytes):
            whole = self._assembler.binary(data)
            if whole is not None:
                self._packet(*whole, transport)
            return
        packet = self._assembler.text(decode(data, 5))
        if packet is not None:
            self._packet(packet, (), transport)

    def _packet(self, packet: SocketPacket, attachments: tuple[bytes, ...], transport: EngineLink) -> None:
        namespace = packet.namespace
        if packet.type is SocketType.CONNECT:
            self._connect(packet, transport)
        elif namespace not in self._joined:
            raise ParseError("not joined")
        elif packet.type is SocketType.DISCONNECT:
            self._joined.remove(namespace)
        else:
            name, *arguments = msgspec.json.decode(packet.data or b"")
            binary = packet.type is SocketType.BINARY_EVENT
            kind = SocketType.BINARY_EVENT if binary else SocketType.EVENT
            answer: list[object] = ["message-back", *arguments]
            if name == "message-with-ack":
                kind, answer = (SocketType.BINARY_ACK if binary else SocketType.ACK), arguments
            number = packet.id if name == "message-with-ack" else None
            said = SocketPacket(kind, namespace, number, msgspec.json.encode(answer), packet.attachments)
            _say(transport, said, *attachments)

    def _connect(self, packet: SocketPacket, transport: EngineLink) -> None:
        namespace = packet.namespace
        if namespace not in self.NAMESPACES:
            reason = b'{"message":"Invalid namespace"}'
            _say(transport, SocketPacket(SocketType.ERROR, namespace, None, reason))
            return
        self._joined.add(namespace)
        sid = msgspec.json.encode({"sid": token_urlsafe(15)})
        _say(transport, SocketPacket(SocketType.CONNECT, namespace, None, sid))
        auth = b'["auth",%b]' % (packet.data or b"{}")
        _say(transport, SocketPacket(SocketType.EVENT, namespace, None, auth))


def _say(transport: EngineLink, packet: SocketPacket, *attachments: bytes) -> None:
    transport.session.send(Packet(Type.MESSAGE, encode(packet).decode()))
    for each in attachments:
        transport.session.send(Packet(Type.MESSAGE, each))
    transport.flush()


@pytest.fixture
def suite(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    monkeypatch.setattr("broadcaster.web.echo.Reception.greet", lambda *arguments: Suite())
    return serve(socketio=QUICK)


@pytest.fixture
def client(suite: InProcess) -> Socket:
    """Opened, and joined to nothing."""
    client = Socket(suite, 4)
    client.frames()
    return client


@pytest.fixture
def member(client: Socket) -> Socket:
    client.text("40")
    client.frames()
    return client


# ---- connecting -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connect", "namespace", "auth"),
    [
        pytest.param("40", "", "{}", id="E060"),
        pytest.param('40{"token":"123"}', "", '{"token":"123"}', id="E061"),
        pytest.param("40/custom,", "/custom,", "{}", id="E062"),
        pytest.param('40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}', id="E063"),
    ],
)
def test_e060_e061_e062_e063_a_namespace_is_joined(client: Socket, connect: str, namespace: str, auth: str) -> None:
    client.text(connect)
    answer, event = client.texts()
    assert answer.startswith(f"40{namespace}{{")
    assert list(json.loads(answer[len(namespace) + 2 :])) == ["sid"]
    assert event == f'42{namespace}["auth",{auth}]'


def test_e064_there_is_no_such_namespace(client: Socket) -> None:
    client.text("40/random")
    assert client.texts() == ['44/random,{"message":"Invalid namespace"}']


def test_e065_a_first_packet_that_is_none(client: Socket) -> None:
    client.text("4abc")
    assert client.ended


def test_e066_who_does_not_join_in_time(client: Socket) -> None:
    _beat(client, 0.9)
    assert not client.ended
    _beat(client, 0.2)
    assert client.ended


def _beat(client: Socket, seconds: float) -> None:
    """Let time pass, and answer pings meanwhile."""
    for _ in range(round(seconds / 0.05)):
        client.server.advance(0.05, step=STEP)
        if "2" in client.frames():
            client.text("3")


# ---- leaving --------------------------------------------------------------------------------------------------


def test_e067_what_comes_after_leaving_is_the_next_ping(member: Socket) -> None:
    member.text("41")
    assert member.frames() == []
    member.server.advance(0.4, step=STEP)
    assert member.frames() == ["2"]


def test_e068_leaving_one_namespace_leaves_the_other(member: Socket) -> None:
    member.text("40/custom")
    member.frames()
    member.text("41/custom")
    member.text('42["message","message to main namespace"]')
    assert member.frames() == ['42["message-back","message to main namespace"]']


# ---- messages -------------------------------------------------------------------------------------------------


TWO = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
BYTES = [b"\1\2\3", b"\4\5\6"]


def test_e069_a_message_of_text(member: Socket) -> None:
    member.text('42["message",1,"2",{"3":[true]}]')
    assert member.frames() == ['42["message-back",1,"2",{"3":[true]}]']


def test_e071_a_message_of_text_with_an_acknowledgement(member: Socket) -> None:
    member.text('42456["message-with-ack",1,"2",{"3":[false]}]')
    assert member.frames() == ['43456[1,"2",{"3":[false]}]']


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        pytest.param(f'452-["message",{TWO}]', f'452-["message-back",{TWO}]', id="E070"),
        pytest.param(f'452-789["message-with-ack",{TWO}]', f"462-789[{TWO}]", id="E072"),
    ],
)
def test_e070_e072_a_message_of_bytes(member: Socket, said: str, answered: str) -> None:
    member.text(said)
    for each in BYTES:
        member.binary(each)
    assert member.frames() == [answered, *BYTES]


@pytest.mark.parametrize("said", ["4abc", "42{}", '42abc["message-with-ack",1,"2",{"3":[false]}]'])
def test_e073_e074_e075_what_is_no_packet_closes(member: Socket, said: str) -> None:
    member.text(said)
    assert member.ended


# ---- Engine.IO beneath ------------------------------------------------------------------------------------------


def test_e076_a_handshake_by_polling(suite: InProcess) -> None:
    opening = Poller(suite, 4).open_packet
    assert opening["upgrades"] == ["websocket"]
    assert (opening["pingInterval"], opening["pingTimeout"], opening["maxPayload"]) == (300, 200, 1_000_000)
    assert isinstance(opening["sid"], str)


@pytest.mark.parametrize("query", ["transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"])
def test_e077_e078_a_handshake_without_a_revision_or_a_transport(suite: InProcess, query: str) -> None:
    assert suite.http("GET", f"/socket.io/?{query}").status == 400


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_e079_a_handshake_by_another_method(suite: InProcess, method: str) -> None:
    assert suite.http(method, "/socket.io/?EIO=4&transport=polling").status == 400


def test_e080_a_handshake_by_websocket(suite: InProcess) -> None:
    (text,) = Socket(suite, 4).texts()
    opening = json.loads(text[1:])
    assert (text[0], opening["upgrades"], opening["maxPayload"]) == ("0", [], 1_000_000)


@pytest.mark.parametrize(
    "query", ["transport=websocket", "EIO=abc&transport=websocket", "EIO=4", "EIO=4&transport=abc"]
)
def test_e081_e082_a_websocket_without_a_revision_or_a_transport(suite: InProcess, query: str) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    assert suite.http("GET", f"/socket.io/?{query}", headers=headers).status == 400


def _reads(poll: Poll, text: str) -> bool:
    return poll.text == text


def _await(suite: InProcess, happened: Callable[[], bool], seconds: float = 1) -> None:
    for _ in range(round(seconds / STEP)):
        if happened():
            return
        suite.advance(STEP, step=STEP)
    raise AssertionError("it did not happen")


def test_e083_e084_a_heartbeat_over_polling_and_what_comes_of_none(suite: InProcess) -> None:
    client = Poller(suite, 4)
    client.say("40")
    client.poll()
    for _ in range(3):
        poll = client.get()
        _await(suite, partial(_reads, poll, "2"))
        client.say("3")
    poll = client.get()
    suite.advance(0.6, step=STEP)
    assert poll.answer is not None
    assert client.gone


def test_e085_e086_a_heartbeat_over_websocket_and_what_comes_of_none(client: Socket) -> None:
    client.text("40")
    client.frames()
    for _ in range(3):
        client.server.advance(0.35, step=STEP)
        assert client.frames() == ["2"]
        client.text("3")
    client.server.advance(0.6, step=STEP)
    assert client.ended


def test_e087_a_close_over_polling(suite: InProcess) -> None:
    client = Poller(suite, 4)
    poll = client.get()
    client.say("1")
    assert poll.text == "6"
    assert client.gone


def test_e088_a_close_over_websocket(client: Socket) -> None:
    client.text("1")
    assert client.ended


def test_e089_e090_e091_an_upgrade_and_what_may_not_follow(suite: InProcess) -> None:
    poller = Poller(suite, 4)
    poller.say("40")
    poller.poll()
    socket = poller.upgrading()
    socket.text("2probe")
    assert socket.frames() == ["3probe"]
    poll = poller.get()
    _await(suite, partial(_reads, poll, "6"))
    socket.text("5")
    socket.text('42["message","hello"]')
    assert socket.frames() == ['42["message-back","hello"]']
    refused = poller.get().answer
    assert refused is not None and refused.status == 400
    second = poller.upgrading()
    assert second.ended
    socket.text('42["message","still"]')
    assert socket.frames() == ['42["message-back","still"]']
