"""Signs of life, in both directions and both forms (P042, P050–P059). Deadlines are met within a second."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Serve
from tests.conformance.expected import ASKED, PONG, error
from tests.inprocess import Client, InProcess, app_with, client_frame


@pytest.fixture(params=[0.0, 0.3])
def client(server: InProcess, request: pytest.FixtureRequest) -> Client:
    """A client without any channel (P059), which came at a second's beginning or within it."""
    server.advance(request.param)
    return server.joined()


class Course:
    """What happens to a silent client: seconds from now to the control ping, from there to what follows."""

    def __init__(self, client: Client, seconds: float = 100) -> None:
        self.pinged = self.asked = self.closed = self.cut = 0.0
        now = client.server.reactor.seconds
        begin = now()
        while now() - begin < seconds and not self.cut:
            client.server.advance(0.1)
            frames = client.events()
            assert frames in ([], [ASKED])
            if client.pings and not self.pinged:
                self.pinged = now() - begin
            if frames:
                assert not self.asked, "asked once"
                self.asked = now() - begin - self.pinged
            if client.close_code is not None and not self.closed:
                self.closed = now() - begin - self.pinged
            if client.link not in client.server.links:
                self.cut = now() - begin - self.pinged - self.closed
        assert len(client.pings) <= 1, "pinged once"


def pong(client: Client) -> None:
    """What every RFC 6455 client does by itself."""
    client.events()
    for payload in client.pings:
        client.raw(client_frame(0xA, payload))
    client.pings.clear()


def within_a_second(seconds: float, promised: float) -> bool:
    return promised - 0.01 <= seconds <= promised + 1.11


@pytest.mark.parametrize(
    "text",
    [
        '{"event":"pusher:ping","data":{}}',
        '{"event":"pusher:ping"}',
        '{"event":"pusher:ping","data":""}',
        '{"event": "pusher:ping", "data": null}',
        '{"event":"pusher:ping","data":"{}"}',
        '{"event":"pusher:ping","data":[[1]]}',
    ],
    ids=["p050-js", "p051-java", "p042-empty", "null", "string", "array"],
)
def test_p050_p051_p042_a_ping_is_answered_whatever_its_data(client: Client, text: str) -> None:
    client.text(text)
    assert client.events() == [PONG]


def test_p050_the_answer_byte_for_byte(client: Client) -> None:
    client.link.take()
    client.text('{"event":"pusher:ping","data":{}}')
    assert client.link.take() == b'\x81\x23{"event":"pusher:pong","data":"{}"}'


@pytest.mark.parametrize("payload", [b"", b"payload", bytes(range(125))])
def test_p052_a_control_ping_is_answered_with_its_payload(client: Client, payload: bytes) -> None:
    client.raw(client_frame(0x9, payload))
    assert client.events() == []
    assert client.pongs == [payload]


def test_p053_silence_is_asked_about_and_a_control_pong_is_enough(client: Client) -> None:
    course = Course(client, 42)
    assert within_a_second(course.pinged, 40)
    pong(client)
    assert not Course(client, 39).pinged
    assert client.close_code is None


@pytest.mark.parametrize("activity_timeout", [1, 120])
def test_p053_the_app_says_how_long_silence_may_be(serve: Serve, activity_timeout: int) -> None:
    client = serve(app_with(activity_timeout=activity_timeout)).joined()
    assert within_a_second(Course(client, 135).pinged, activity_timeout + 10)


def test_p054_then_in_the_dialect_and_its_answer_is_enough_too(client: Client) -> None:
    course = Course(client, 54)
    assert within_a_second(course.asked, 10)
    client.say("pusher:pong", {})
    client.pings.clear()
    course = Course(client, 54)
    assert within_a_second(course.pinged, 40)
    assert within_a_second(course.asked, 10)
    assert not course.closed


def test_p055_who_answers_neither_is_closed_and_cut_five_seconds_later(client: Client) -> None:
    course = Course(client)
    assert within_a_second(course.closed, 30)
    assert (client.close_code, client.close_reason) == (4201, "Pong reply not received")
    assert within_a_second(course.cut, 5)
    assert client.server.service.hub.count() == 0


def test_p055_a_peer_that_answers_the_close_is_let_go_at_once(client: Client) -> None:
    Course(client, 72)
    assert client.close_code == 4201
    client.leave(4201)
    assert client.closed


def test_p055_protocol_5_is_told_by_an_error_as_well(server: InProcess) -> None:
    client = server.joined(query="protocol=5")
    server.advance(72)
    assert client.events() == [ASKED, error("Pong reply not received", 4201)]
    assert client.close_code == 4201


@pytest.mark.parametrize("late", [1, 11, 28])
@pytest.mark.parametrize(
    "frame",
    [
        client_frame(0x1, b'{"event":"pusher:pong","data":{}}'),
        client_frame(0x1, b"not json"),
        client_frame(0x2, b""),
        client_frame(0x9, b""),
        client_frame(0xA, b"something else"),
    ],
    ids=["pong", "junk", "binary", "control ping", "control pong"],
)
def test_any_frame_is_a_sign_of_life(client: Client, frame: bytes, late: float) -> None:
    client.server.advance(41 + late)
    client.raw(frame)
    client.events()
    assert len(client.pings) == 1
    client.pings.clear()
    assert within_a_second(Course(client, 42).pinged, 40)


def test_p056_who_answers_control_pings_only_stays(client: Client) -> None:
    """Swift, Java and .NET never send pusher:pong."""
    asked = 0
    for _ in range(600):
        client.server.advance(1)
        assert client.events() == []
        asked += len(client.pings)
        pong(client)
    assert client.close_code is None
    assert 14 <= asked <= 15


def test_p057_what_is_sent_to_a_peer_is_no_sign_of_its_life(client: Client) -> None:
    client.subscribe("my-channel")
    client.events()
    heard = []
    while client.close_code is None and len(heard) < 100:
        client.server.publish("my-channel")
        client.server.advance(1)
        heard += client.events()
    assert client.close_code == 4201
    assert len(client.pings) == 1
    assert heard.count(ASKED) == 1
    assert 70 <= len(heard) - 1 <= 72


def test_p058_pings_are_never_counted(client: Client) -> None:
    for second in range(60):
        client.raw(client_frame(0x9, b"%d" % second))
        client.say("pusher:ping", {})
        client.server.advance(1)
    assert client.events() == [PONG] * 60
    assert client.pongs == [b"%d" % second for second in range(60)]
    assert client.close_code is None


def test_p058_a_thousand_pings_at_once_are_answered(client: Client) -> None:
    client.raw(client_frame(0x1, b'{"event":"pusher:ping"}') * 1_000)
    assert client.events() == [PONG] * 1_000


def test_p059_channels_make_no_difference(server: InProcess) -> None:
    bare, subscribed = server.joined(), server.joined("my-channel")
    server.advance(41)
    for client in (bare, subscribed):
        assert client.events() == []
        assert len(client.pings) == 1


def test_a_pong_nobody_asked_for_is_not_answered(client: Client) -> None:
    client.say("pusher:pong", {})
    client.say("pusher:pong")
    client.raw(client_frame(0xA, b"x"))
    assert client.events() == []
    assert client.pongs == []


def test_pings_are_answered_while_draining(client: Client) -> None:
    client.server.service.drain()
    client.say("pusher:ping", {})
    assert client.events() == [PONG]
