"""Whispers with bytes in them, which only clients of Socket.IO can have: from each way of sending to each of them."""

from __future__ import annotations

import base64

import pytest

from broadcaster.settings import Limits, SocketIO
from tests.conformance.application import Application
from tests.conformance.conftest import Serve
from tests.conformance.polling import Poller, Socket, joined
from tests.inprocess import app_with

REVISIONS = pytest.mark.parametrize("revision", [3, 4])
CHANNEL = "private-bin"
SUBSCRIBE = f'42["subscribe",{{"channel":"{CHANNEL}"}}]'
DATA = '{"f":{"_placeholder":true,"num":0},"text":"é"}'
WHISPER = f'451-["client event",{{"channel":"{CHANNEL}","event":"client-b","data":{DATA}}}]'
BYTES = b"\1\2\xff"
ENCODED = base64.b64encode(BYTES).decode()
FRAME = {3: b"\4" + BYTES, 4: BYTES}


def heard(revision: int) -> str:
    """The event as subscribers are told it; revision 4's with an offset."""
    offset = ',"0"' if revision == 4 else ""
    return f'451-["client-b","{CHANNEL}",{DATA}{offset}]'


def _escaped(text: str) -> str:
    return text.replace("é", "\\u00e9")


def _text_payload(*packets: str) -> bytes:
    return "".join(f"{len(packet)}:{packet}" for packet in packets).encode()


def _binary_payload(text: bytes) -> bytes:
    length = bytes(int(digit) for digit in str(len(text)))
    return b"\0%b\xff%b\1\4\xff%b" % (length, text, FRAME[3])


def whisper(sender: Socket) -> None:
    sender.text(WHISPER)
    sender.binary(FRAME[sender.revision])


@pytest.fixture
def sender(application: Application) -> Socket:
    return member(application, 4)


def member(application: Application, revision: int) -> Socket:
    client = joined(application.server, revision)
    client.text(SUBSCRIBE)
    return client


@REVISIONS
@pytest.mark.parametrize("other", [3, 4])
def test_e193_bytes_follow_the_whisper_in_the_form_of_each_revision(
    application: Application, revision: int, other: int
) -> None:
    sender, hearer = member(application, revision), member(application, other)
    whisper(sender)
    assert hearer.frames() == [heard(other), FRAME[other]]
    assert sender.frames() == []


def test_e193_without_binary_frames_bytes_are_base64(application: Application, sender: Socket) -> None:
    client = Socket(application.server, 3, "&b64=1")
    client.text(SUBSCRIBE)
    client.frames()
    application.server.publish(CHANNEL, "before", "1")
    whisper(sender)
    assert client.frames() == ['42["before","private-bin",1]', heard(3), f"b4{ENCODED}"]
    client.text(WHISPER)
    client.text(f"b4{ENCODED}")
    assert sender.frames()[1:] == [heard(4), BYTES]


@pytest.mark.parametrize(
    ("revision", "query", "body"),
    [
        (4, "", f"{heard(4)}\x1eb{ENCODED}".encode()),
        (3, "", _binary_payload(heard(3).encode())),
        (3, "&b64=1", _text_payload(_escaped(heard(3)), f"b4{ENCODED}")),
    ],
)
def test_e193_bytes_in_a_poll(application: Application, sender: Socket, revision: int, query: str, body: bytes) -> None:
    client = Poller(application.server, revision, query)
    if revision == 4:
        client.say("40")
        client.poll()
    client.say(SUBSCRIBE)
    poll = client.get()
    whisper(sender)
    assert poll.answer is not None
    assert poll.answer.body == body


def test_bytes_that_were_posted_are_heard(application: Application, sender: Socket) -> None:
    old, new = (Poller(application.server, revision) for revision in (3, 4))
    new.say("40")
    for client in (old, new):
        client.say(SUBSCRIBE)
    posts = [
        old.post(_text_payload(WHISPER, f"b4{ENCODED}")),
        old.post(_binary_payload(WHISPER.encode()), "application/octet-stream"),
        new.post(f"{WHISPER}\x1eb{ENCODED}"),
    ]
    assert [post.status for post in posts] == [200] * 3
    assert sender.frames() == [heard(4), BYTES] * 3


def test_several_attachments_keep_their_order_and_events_theirs(application: Application, sender: Socket) -> None:
    hearer = member(application, 3)
    two = '{"a":{"_placeholder":true,"num":1},"b":{"_placeholder":true,"num":0}}'
    sender.text(f'452-["client event",{{"channel":"{CHANNEL}","event":"client-b","data":{two}}}]')
    sender.binary(b"zero")
    sender.binary(b"")
    application.server.publish(CHANNEL, "after", "1")
    assert hearer.frames() == [f'452-["client-b","{CHANNEL}",{two}]', b"\4zero", b"\4", f'42["after","{CHANNEL}",1]']


def test_clients_of_pushers_do_not_hear_bytes_and_hear_the_rest(application: Application, sender: Socket) -> None:
    pusher = application.server.joined(CHANNEL)
    whisper(sender)
    application.server.publish(CHANNEL, "after", "1")
    assert [event["event"] for event in pusher.events()] == ["after"]


@REVISIONS
def test_whispers_with_bytes_keep_the_rules_of_others(application: Application, revision: int) -> None:
    stranger, hearer = joined(application.server, revision), member(application, revision)
    whisper(stranger)
    stranger.text(WHISPER.replace("client-b", "other"))
    stranger.binary(FRAME[revision])
    stranger.text('461-7[{"_placeholder":true,"num":0}]')
    stranger.binary(FRAME[revision])
    stranger.text(f'451-["subscribe",{{"channel":"{CHANNEL}","auth":{{"_placeholder":true,"num":0}}}}]')
    stranger.binary(FRAME[revision])
    assert hearer.frames() == []
    whisper(stranger)
    assert len(hearer.frames()) == 2
    assert not stranger.ended


def test_bytes_count_as_data_of_the_event(serve: Serve, application: Application) -> None:
    sender, hearer = member(application, 4), member(application, 4)
    assert application.server.settings.limits.event_bytes == 10_240
    sender.text(WHISPER)
    sender.binary(b"x" * 10_240)
    assert hearer.frames() == []
    whisper(sender)
    assert len(hearer.frames()) == 2


def test_attachments_of_too_many_bytes_close_the_session(serve: Serve) -> None:
    server = serve(app_with(), limits=Limits(), socketio=SocketIO(max_bytes=1_000))
    client = joined(server, 4)
    client.text('453-["e",{"_placeholder":true,"num":0}]')
    client.binary(b"x" * 600)
    assert not client.ended
    client.binary(b"x" * 600)
    assert client.ended
