"""Socket.IO's packets on Engine.IO sessions: joining, what closes and what is ignored, ids, and coming back."""

from __future__ import annotations

import json
import re

import pytest

from broadcaster.settings import SocketIO
from tests.conformance.application import Application
from tests.conformance.conftest import Serve
from tests.conformance.polling import Poller, Socket, event, joined
from tests.inprocess import InProcess, server_with

REVISIONS = pytest.mark.parametrize("revision", [3, 4])


def alive(client: Socket) -> bool:
    """Whether the client still hears what is published."""
    client.text('42["subscribe",{"channel":"alive"}]')
    client.texts()
    client.server.publish("alive", "e", '"yes"')
    return any('"alive","yes"' in text for text in client.texts())


# ---- joining --------------------------------------------------------------------------------------------------


def test_e092_revision_3_is_joined_unasked(server: InProcess) -> None:
    opening, joining = Socket(server, 3).texts()
    assert (opening[0], joining) == ("0", "40")


def test_e093_revision_4_is_joined_when_it_asks(server: InProcess) -> None:
    client = Socket(server, 4)
    (opening,) = client.texts()
    client.text("40")
    (answer,) = client.texts()
    assert json.loads(answer[2:])["sid"] != json.loads(opening[1:])["sid"]


def test_e065_e097_the_first_packet_of_revision_4_is_connect(server: InProcess) -> None:
    for text in ('42["subscribe",{"channel":"a"}]', "4abc"):
        client = Socket(server, 4)
        client.text(text)
        assert client.ended


def test_e066_who_does_not_connect_in_time_is_let_go(serve: Serve) -> None:
    server = serve(socketio=SocketIO(connect_seconds=2))
    silent, there = Socket(server, 4), joined(server, 4)
    server.advance(4)
    assert silent.ended
    assert not there.ended


def test_laravel_echo_connects_with_its_options(server: InProcess) -> None:
    client = Socket(server, 4)
    client.text('40{"headers":{"X-CSRF-TOKEN":"a","Authorization":"Bearer b"}}')
    assert client.texts()[1].startswith('40{"sid":')


def test_e064_e094_there_is_no_other_namespace(server: InProcess) -> None:
    old, new = joined(server, 3), joined(server, 4)
    for text in ("40/x,", "40/x?a=b"):
        old.text(text)
        assert old.texts() == ['44/x,"Invalid namespace"']
    new.text("40/x")
    assert new.texts() == ['44/x,{"message":"Invalid namespace"}']
    assert alive(old) and alive(new)


def test_e067_who_left_the_namespace_is_still_there(server: InProcess) -> None:
    client = joined(server, 4)
    client.text("41")
    assert client.texts() == [] and not client.ended
    server.advance(27)
    assert client.texts() == ["2"]


# ---- what closes, what is ignored -----------------------------------------------------------------------------


def test_e095_e096_connecting_twice(server: InProcess) -> None:
    old, new = joined(server, 3), joined(server, 4)
    old.text("40")
    new.text("40")
    assert alive(old)
    assert new.ended


def test_e098_reserved_names(server: InProcess) -> None:
    for name in ("disconnect", "connect", "disconnecting", "newListener", "connect_error", "removeListener"):
        old, new = joined(server, 3), joined(server, 4)
        old.text(f'42["{name}"]')
        new.text(f'42["{name}"]')
        assert alive(old)
        assert new.ended


@REVISIONS
@pytest.mark.parametrize(
    "text",
    [
        "4abc",
        "47",
        "49[]",
        "42{}",
        '42abc["x"]',
        '42["x"',
        "41{}",
        "42[null]",
        "42[]",
        "42[{}]",
        '45x-["a"]',
        "45-[]",
        "45",
        '450-["e"]',
        '451-["a",{"_placeholder":true,"num":5}]',
        '4511-["a"]',
        "42" + "[" * 400_000,
    ],
    ids=lambda text: text[:12],
)
def test_e073_e074_e075_e099_e100_e103_e104_e106_e108_packets_that_close(
    server: InProcess, revision: int, text: str
) -> None:
    client, other = joined(server, revision), joined(server, revision)
    client.text(text)
    assert client.ended
    assert alive(other)


@REVISIONS
@pytest.mark.parametrize("text", ["42", '4399["x"]', '42["unknown",1]', '427["subscribe",{"channel":"a"}]', "42[7]"])
def test_e100_e105_e149_packets_without_an_answer(server: InProcess, revision: int, text: str) -> None:
    client = joined(server, revision)
    client.text(text)
    assert client.texts() == []
    assert alive(client)


def test_errors_from_a_client(server: InProcess) -> None:
    old, new = joined(server, 3), joined(server, 4)
    old.text('44"x"')
    new.text('44{"message":"x"}')
    assert alive(old)
    assert new.ended


@REVISIONS
def test_e101_text_among_attachments_closes(server: InProcess, revision: int) -> None:
    client = joined(server, revision)
    client.text('451-["a",{"_placeholder":true,"num":0}]')
    assert not client.ended
    client.text('42["a"]')
    assert client.ended


@REVISIONS
def test_e102_an_attachment_out_of_turn_closes(server: InProcess, revision: int) -> None:
    client = joined(server, revision)
    client.binary(b"\4\1")
    assert client.ended


@REVISIONS
def test_attachments_in_turn_are_taken(server: InProcess, revision: int) -> None:
    client = joined(server, revision)
    client.text('452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    client.binary(b"\4\1")
    client.binary(b"\4\2")
    assert alive(client)


@REVISIONS
def test_e107_a_long_id_is_no_fault(server: InProcess, revision: int) -> None:
    for digits in (30, 5000):
        client = joined(server, revision)
        client.text(f'42{"9" * digits}["subscribe",{{"channel":"a"}}]')
        assert client.ended or alive(client)


# ---- ids ------------------------------------------------------------------------------------------------------


def test_e109_the_socket_id_is_not_the_engines_which_is_a_secret(server: InProcess) -> None:
    client = Socket(server, 4)
    client.text("40")
    opening, answer = client.texts()
    socket_id = json.loads(answer[2:])["sid"]
    assert re.fullmatch("[-_A-Za-z0-9]{20}", socket_id)
    assert socket_id != json.loads(opening[1:])["sid"]


@REVISIONS
def test_e110_an_event_leaves_out_the_socket_that_it_names(server: InProcess, revision: int) -> None:
    cause, other = joined(server, revision), joined(server, revision)
    pusher = server.joined("orders")
    for client in (cause, other):
        client.text('42["subscribe",{"channel":"orders"}]')
    assert server.publish("orders", "e", "1", socket_id=cause.socket_id).status == 200
    assert cause.texts() == []
    assert event(other.texts()[0])[:3] == ["e", "orders", 1]
    assert [each["event"] for each in pusher.events()] == ["e"]


# ---- coming back ----------------------------------------------------------------------------------------------


def greeting(server: InProcess, connect: str = "40") -> tuple[Socket, dict[str, str]]:
    client = Socket(server, 4)
    client.text(connect)
    return client, json.loads(client.texts()[1][2:])


def test_e111_e112_e118_channel_events_carry_an_offset_for_revision_4_only(
    server: InProcess,
) -> None:
    new, ids = greeting(server)
    old = joined(server, 3)
    assert list(ids) == ["sid", "pid"]
    for client in (new, old):
        client.text('42["subscribe",{"channel":"orders"}]')
    server.publish("orders", "e", '"text"')
    name, channel, data, offset = event(new.texts()[0])
    assert (name, channel, data) == ("e", "orders", "text")
    assert isinstance(offset, str) and offset != "text"
    assert event(old.texts()[0]) == ["e", "orders", "text"]


@pytest.mark.parametrize("offset", [',"offset":"x"', ""])
def test_e113_e114_a_client_that_was_cut_is_on_its_channels_again(server: InProcess, offset: str) -> None:
    client, ids = greeting(server)
    client.text('42["subscribe",{"channel":"orders"}]')
    client.drop()
    client, _ = greeting(server, f'40{{"pid":"{ids["pid"]}"{offset},"headers":{{}}}}')
    server.publish("orders", "e", "2")
    assert [event(text)[:3] for text in client.texts()] == [["e", "orders", 2]]


def test_e115_a_foreign_private_id_gives_nothing_back(server: InProcess) -> None:
    client, ids = greeting(server, '40{"pid":"abcdefghijklmnopqrst"}')
    assert ids["pid"] != "abcdefghijklmnopqrst"
    server.publish("orders", "e", "2")
    assert client.texts() == []


def test_a_private_id_counts_once(server: InProcess) -> None:
    client, ids = greeting(server)
    client.text('42["subscribe",{"channel":"orders"}]')
    client.drop()
    first, _ = greeting(server, f'40{{"pid":"{ids["pid"]}"}}')
    second, _ = greeting(server, f'40{{"pid":"{ids["pid"]}"}}')
    server.publish("orders", "e", "2")
    assert len(first.texts()) == 1
    assert second.texts() == []


def test_e116_a_client_that_comes_back_too_late_begins_anew(server: InProcess) -> None:
    client, ids = greeting(server)
    client.text('42["subscribe",{"channel":"orders"}]')
    client.drop()
    server.advance(121)
    client, _ = greeting(server, f'40{{"pid":"{ids["pid"]}"}}')
    server.publish("orders", "e", "2")
    assert client.texts() == []


def test_e119_who_said_goodbye_begins_anew(server: InProcess) -> None:
    client, ids = greeting(server)
    client.text('42["subscribe",{"channel":"orders"}]')
    client.text("41")
    client.drop()
    client, _ = greeting(server, f'40{{"pid":"{ids["pid"]}"}}')
    server.publish("orders", "e", "2")
    assert client.texts() == []


def test_e120_a_member_that_was_cut_leaves_and_joins_again(application: Application) -> None:
    server = application.server
    application.members("presence-room", 1, 2, 1)
    client, ids = greeting(server)
    client.text('42["subscribe",{"channel":"presence-room"}]')
    other = joined(server, 3)
    other.text('42["subscribe",{"channel":"presence-room"}]')
    other.texts()
    client.drop()
    assert [event(text)[0] for text in other.texts()] == ["presence:leaving"]
    client = Socket(server, 4)
    client.text(f'40{{"pid":"{ids["pid"]}"}}')
    told = client.texts()[1:]
    assert told[0].startswith("40{") and event(told[1])[0] == "presence:subscribed"
    assert [member["user_id"] for member in event(told[1])[2]] == [1, 2]
    assert len(event(told[1])) == 3
    assert [event(text)[0] for text in other.texts()] == ["presence:joining"]


def test_pollers_are_told_what_sockets_are(server: InProcess) -> None:
    old, new = Poller(server, 3), Poller(server, 4)
    new.say("40")
    assert new.poll().startswith('40{"sid":')
    for client in (old, new):
        client.say('42["subscribe",{"channel":"orders"}]')
    polls = [client.get() for client in (old, new)]
    server.publish("orders", "App\\Events\\Shipped", '{"t":"é😀"}')
    assert polls[0].text == '62:42["App\\\\Events\\\\Shipped","orders",{"t":"\\u00e9\\ud83d\\ude00"}]'
    assert polls[1].text is not None and '{"t":"é😀"}' in polls[1].text


def test_e191_a_connection_that_is_ended_over_polling_is_told_at_the_next_poll(serve: Serve) -> None:
    server = serve(server=server_with(drain_seconds=0))
    held, later, never = Poller(server, 3), Poller(server, 3), Poller(server, 3)
    poll = held.get()
    server.service.drain()
    server.advance(20)
    assert poll.text == "1:1"
    assert later.poll() == "1:61:1"
    assert held.gone and later.gone
    server.advance(12)
    assert never.gone


def test_e192_draining_closes_every_transport_and_tells_nobody_to_stay_away(serve: Serve) -> None:
    server = serve()
    poller, sockets = Poller(server, 3), [joined(server, revision) for revision in (3, 4)]
    poll = poller.get()
    server.service.drain()
    server.advance(31)
    assert poll.text == "1:1"
    for socket in sockets:
        assert socket.texts() == []
        assert socket.ended
