"""Rarer forms of an answer, and what WebSocket itself says of messages: JSONP, compression, 1009 and 1007."""

from __future__ import annotations

import gzip
import json
from urllib.parse import quote

import pytest

from broadcaster.settings import Limits
from tests.conformance.application import Application
from tests.conformance.conftest import Serve
from tests.conformance.polling import Poll, Poller, Socket, joined
from tests.inprocess import Answer, InProcess, app_with, client_frame

REVISIONS = pytest.mark.parametrize("revision", [3, 4])
FORM = "application/x-www-form-urlencoded"

# ---- JSONP ----------------------------------------------------------------------------------------------------


def callback(answer: Answer | None, index: str) -> str:
    """The payload that a script hands to the client."""
    assert answer is not None and answer.status == 200
    assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
    assert not [name for name in answer.headers if name.startswith("access-control")]
    start, end = f"___eio[{index}](", ");"
    assert answer.text.startswith(start) and answer.text.endswith(end)
    payload: str = json.loads(answer.text[len(start) : -len(end)])
    return payload


class Script:
    """A page that polls by scripts, of revision 3."""

    def __init__(self, server: InProcess, j: str, index: str) -> None:
        self.server, self.j, self.index = server, j, index
        opening = callback(server.http("GET", f"/socket.io/?EIO=3&transport=polling&j={j}"), index)
        assert opening.startswith('97:0{"sid":"') and opening.endswith("}2:40")
        self.target = f"/socket.io/?EIO=3&transport=polling&j={j}&sid={opening[12:32]}"

    def poll(self) -> Poll:
        link = self.server.link()
        self.server.feed(link, f"GET {self.target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        return Poll(self.server, link)

    def post(self, form: str) -> Answer:
        answer = self.server.http("POST", self.target, form.encode(), {"Content-Type": FORM})
        assert answer.headers["content-type"] == "text/html"
        return answer

    def say(self, packet: str) -> None:
        assert self.post("d=" + quote(f"{len(packet)}:{packet}")).text == "ok"


@pytest.mark.parametrize(("j", "index"), [("3", "3"), ("7abc", "7"), ("", "")])
def test_e159_a_session_by_scripts(server: InProcess, j: str, index: str) -> None:
    client = Script(server, j, index)
    answer = client.post("d=1%3A2")
    assert (answer.status, answer.text) == (200, "ok")
    assert callback(client.poll().answer, index) == "1:3"


def test_e159_a_post_of_nothing_is_nothing(server: InProcess) -> None:
    client = Script(server, "0", "0")
    for form in ("", "x=1%3A2"):
        assert client.post(form).text == "ok"
    assert client.poll().answer is None


def test_e159_newlines_and_what_only_looks_like_them(serve: Serve) -> None:
    server = serve(app_with(bearer=True))
    client = Script(server, "0", "0")
    # The client writes a newline as backslash and n, and those two, if they are meant, with one backslash more.
    subscribe = '42["subscribe",\n{"channel":"a\\\\\\nb"}]'.replace("\n{", "\\n{")
    sent = '42["subscribe",\n{"channel":"a\\\\nb"}]'
    assert client.post("d=" + quote(f"{len(sent)}:{subscribe}")).status == 200
    poll = client.poll()
    body = json.dumps({"channel": "a\\nb", "name": "e", "data": "\u2028"}).encode()
    server.http("POST", "/apps/3/events", body, {"Authorization": f"Bearer {app_with().key}"})
    assert poll.text is not None and "\u2028" not in poll.text
    payload = callback(poll.answer, "0")
    assert json.loads(payload.partition(":42")[2]) == ["e", "a\\nb", "\u2028"]


def test_e159_what_ends_lines_of_scripts_is_escaped(server: InProcess) -> None:
    client = Script(server, "0", "0")
    client.say('42["subscribe",{"channel":"a"}]')
    poll = client.poll()
    server.publish("a", "e", json.dumps("\u2028\u2029", ensure_ascii=False))
    assert json.loads(callback(poll.answer, "0").partition(":42")[2]) == ["e", "a", "\u2028\u2029"]
    assert poll.text is not None and poll.text.isascii()


def test_scripts_are_told_bytes_in_base64(application: Application) -> None:
    client, sender = Script(application.server, "0", "0"), joined(application.server, 4)
    client.say('42["subscribe",{"channel":"private-a"}]')
    sender.text('42["subscribe",{"channel":"private-a"}]')
    poll = client.poll()
    whisper = {"channel": "private-a", "event": "client-b", "data": {"_placeholder": True, "num": 0}}
    sender.text("451-" + json.dumps(["client event", whisper]))
    sender.binary(b"\1\2")
    assert callback(poll.answer, "0").endswith("]6:b4AQI=")


# ---- compression ----------------------------------------------------------------------------------------------


@REVISIONS
@pytest.mark.parametrize(("size", "encoding"), [(2_000, "gzip"), (900, None)])
@pytest.mark.parametrize("accepted", ["gzip", "br, GZIP, deflate"])
def test_e160_large_polls_are_compressed_for_who_takes_that(
    server: InProcess, revision: int, size: int, encoding: str | None, accepted: str
) -> None:
    client = Poller(server, revision)
    if revision == 4:
        client.say("40")
        client.poll()
    client.say('42["subscribe",{"channel":"a"}]')
    link = server.link()
    head = f"GET {client.target} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {accepted}\r\n\r\n"
    server.feed(link, head.encode())
    server.publish("a", "e", json.dumps("x" * size))
    answer = Poll(server, link).answer
    assert answer is not None
    assert answer.headers.get("content-encoding") == encoding
    body = gzip.decompress(answer.body) if encoding else answer.body
    assert b"x" * size in body


def test_polls_are_plain_for_who_does_not_say_so(server: InProcess) -> None:
    client = Poller(server, 3)
    client.say('42["subscribe",{"channel":"a"}]')
    server.publish("a", "e", json.dumps("x" * 2_000))
    assert "x" * 2_000 in client.poll()


# ---- messages of a WebSocket ----------------------------------------------------------------------------------


@REVISIONS
def test_e181_a_message_that_is_too_large_closes_with_1009(serve: Serve, revision: int) -> None:
    server = serve(limits=Limits())
    client, other = joined(server, revision), joined(server, revision)
    other.text('42["x","' + "x" * 999_990 + '"]')
    assert other.close_code is None and not other.ended
    client.raw(client_frame(0x1, b"4" + b"x" * 1_000_000))
    client.frames()
    assert client.close_code == 1009


@REVISIONS
def test_e182_compression_is_not_agreed_to(server: InProcess, revision: int) -> None:
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    client = Socket(server, revision, headers=offered)
    client.frames()
    assert client.head.startswith("HTTP/1.1 101 ")
    assert "extensions" not in client.head.lower()


@REVISIONS
def test_e183_a_message_in_fragments_is_one_packet(server: InProcess, revision: int) -> None:
    client = joined(server, revision)
    client.raw(client_frame(0x1, b'42["subscribe",', fin=False))
    client.raw(client_frame(0x0, b'{"channel":', fin=False) + client_frame(0x9, b"ping"))
    client.raw(client_frame(0x0, b'"a"}]'))
    server.publish("a", "e", "1")
    frames = client.link.take()
    assert b'42["e","a",1' in frames and b"\x8a\x04ping" in frames


@REVISIONS
def test_e184_a_message_that_is_no_utf_8_closes_with_1007(server: InProcess, revision: int) -> None:
    client = joined(server, revision)
    client.raw(client_frame(0x1, b'42["\xff"]'))
    client.frames()
    assert client.close_code == 1007
