"""The control socket: one JSON object a line each way, whatever comes in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from broadcaster.control import LONGEST_LINE, Asking, Control, Refused, Reply
from broadcaster.inheritance import bind_unix
from tests.failures import no_failures
from tests.sockets import Peer, reactor, run_until, turn


def echo(asked: Mapping[str, Any], asking: Asking) -> Reply:
    return {"heard": asked.get("word")}


def refuse(asked: Mapping[str, Any], asking: Asking) -> Reply:
    raise Refused("not\ntoday")


def fail(asked: Mapping[str, Any], asking: Asking) -> Reply:
    raise ZeroDivisionError("app-secret")


class Conversation:
    """With a control socket of some verbs."""

    def __init__(self, **verbs: Any) -> None:
        self.control = Control({"echo": echo, "refuse": refuse, "fail": fail} | verbs)
        self.transport = StringTransport()
        self.asking = self.control.buildProtocol(None)
        self.asking.makeConnection(self.transport)

    def say(self, data: bytes) -> list[dict[str, Any]]:
        self.transport.clear()
        self.asking.dataReceived(data)
        return self.heard()

    def heard(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.transport.value().splitlines()]


def test_each_question_has_its_answer() -> None:
    conversation = Conversation()
    asked = b'{"do": "echo", "word": 1}\n{"do": "echo", "word": [2]}\n'
    assert conversation.say(asked) == [{"ok": True, "heard": 1}, {"ok": True, "heard": [2]}]
    assert conversation.say(asked[:9]) == []
    assert conversation.say(asked[9:26]) == [{"ok": True, "heard": 1}]


def test_an_answer_may_come_later() -> None:
    later: Deferred[Reply] = Deferred()
    conversation = Conversation(later=lambda asked, asking: later)
    assert conversation.say(b'{"do": "later"}\n') == []
    later.callback({"word": 1})
    assert conversation.heard() == [{"ok": True, "word": 1}]


def test_a_refusal_is_one_line() -> None:
    assert Conversation().say(b'{"do": "refuse"}\n') == [{"ok": False, "error": "not today"}]


def test_a_fault_is_in_the_log_and_not_in_the_answer() -> None:
    with no_failures() as failures:
        (answer,) = Conversation().say(b'{"do": "fail"}\n')
        assert len(failures) == 1 and "ZeroDivisionError" in failures[0]
        failures.clear()
    assert answer == {"ok": False, "error": "internal error, see the log of the server"}


@pytest.mark.parametrize("junk", [b"", b"nonsense", b"[]", b"1", b'{"do": 1}', b'{"do": []}', b'{"do": "x"}', b"\xff"])
def test_what_is_no_question_is_told_what_one_is(junk: bytes) -> None:
    (answer,) = Conversation().say(junk + b"\n")
    assert answer["ok"] is False
    assert answer["error"].endswith("one of: echo, fail, refuse")


@given(st.binary(max_size=200))
def test_whatever_is_said_is_answered_a_line_for_a_line(junk: bytes) -> None:
    assert len(Conversation().say(junk)) == junk.count(b"\n")


def test_a_line_without_end_is_no_way_to_fill_the_memory() -> None:
    conversation = Conversation()
    assert conversation.say(b"x" * (LONGEST_LINE + 1)) == []
    assert conversation.transport.disconnecting


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[tuple[Control, str]]:
    path = str(tmp_path / "control.sock")
    control = Control({"echo": echo})
    with bind_unix(path, 0o600) as bound:
        bound.listen()
        control.listen(reactor, bound)
        yield control, path
    control.surrender({})
    turn()


def test_only_the_owner_may_talk_to_it(listening: tuple[Control, str]) -> None:
    _, path = listening
    assert Path(path).stat().st_mode & 0o777 == 0o600
    with Peer(path) as peer:
        peer.send(b'{"do": "echo", "word": 1}\n')
        assert json.loads(peer.read_until(lambda data: data.endswith(b"\n"))) == {"ok": True, "heard": 1}


def test_who_waits_is_told_when_there_is_nothing_to_wait_for_and_the_path_stays(listening: tuple[Control, str]) -> None:
    control, path = listening
    with Peer(path) as peer:
        run_until(lambda: control._open, "the connection")
        control.surrender({"successor": 7})
        assert json.loads(peer.read_to_end()) == {"ok": True, "successor": 7}
    assert Path(path).exists()
