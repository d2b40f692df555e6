"""Polls, posts, probes and WebSockets of one session in any order, over the whole server: events come once, in order.

And a WebSocket's bytes, however they are cut, mean the same.
"""

from __future__ import annotations

import re
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from broadcaster.protocols.engineio.session import State
from broadcaster.testing.client import Client
from tests.conformance.polling import Poll, Poller, Socket
from tests.inprocess import APP, InProcess, client_frame

SUBSCRIBE = '42["subscribe",{"channel":"a"}]'
_TOLD = re.compile(r'\["e","a",(\d+)')


class Links(RuleBasedStateMachine):
    """One client; ``heard`` is what it was told, ``published`` what it should be told."""

    @initialize(revision=st.sampled_from([3, 4]))
    def open(self, revision: int) -> None:
        self.server = InProcess()
        self.client = Poller(self.server, revision)
        if revision == 4:
            self.client.say("40")
            self.client.poll()
        self.client.say(SUBSCRIBE)
        self.polls: list[Poll] = []
        self.socket: Socket | None = None
        self.heard: list[int] = []
        self.published: list[int] = []
        self.link = self.server.doors.respond.__self__._engine._links[self.client.sid]

    @property
    def alive(self) -> bool:
        return self.link.session.state not in (State.CLOSING, State.CLOSED)

    @rule()
    def publish(self) -> None:
        if self.alive:
            self.published.append(len(self.published))
            self.server.publish("a", "e", str(self.published[-1]))

    @rule()
    def poll(self) -> None:
        self.polls.append(self.client.get())

    @rule()
    @precondition(lambda self: self.polls)
    def cut(self) -> None:
        self.listen()
        if self.polls:
            self.polls.pop().cut()

    # What ends a session is rare, so that others go far.
    @rule(packet=st.sampled_from(["3", "3", "3", "6", '42["x"]', '42["x"]', SUBSCRIBE, SUBSCRIBE, "1", "44"]))
    def post(self, packet: str) -> None:
        body = f"{len(packet)}:{packet}" if self.client.revision == 3 else packet
        assert self.client.post(body).status in (200, 400)

    @rule()
    @precondition(lambda self: self.socket is None)
    def probe(self) -> None:
        self.socket = self.client.upgrading()

    @rule(text=st.sampled_from(["2probe", "2probe", "5", "5", "5", "3", '42["x"]', "nonsense"]))
    @precondition(lambda self: self.socket is not None)
    def say(self, text: str) -> None:
        assert self.socket is not None
        self.socket.text(text)

    @rule()
    @precondition(lambda self: self.socket is not None)
    def drop(self) -> None:
        assert self.socket is not None
        self.listen()
        self.socket.drop()
        self.socket = None

    @rule(seconds=st.sampled_from([1.0, 1.0, 1.0, 12.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.server.advance(seconds, step=1.0)

    def listen(self) -> None:
        """Take what was told since."""
        for poll in list(self.polls):
            answer = poll.answer
            if answer is not None:
                self.polls.remove(poll)
                assert answer.status in (200, 400)
                self.heard += map(int, _TOLD.findall(answer.text))
        if self.socket is not None and self.socket.head_text().startswith("HTTP/1.1 101"):
            for frame in self.socket.texts():
                self.heard += map(int, _TOLD.findall(frame))

    @invariant()
    def events_come_once_and_in_order(self) -> None:
        if hasattr(self, "link"):
            self.listen()
            assert self.heard == self.published[: len(self.heard)]
            if not self.alive:
                assert not self.server.service.hub.count(), "whose session is over is nobody any more"

    def teardown(self) -> None:
        if not hasattr(self, "link"):
            return
        for _ in range(len(self.published)):
            if self.alive and self.link.session.state is not State.WEBSOCKET and not self.polls:
                self.polls.append(self.client.get())
            self.listen()
        if self.alive:
            assert self.heard == self.published
        self.server.stop()


Links.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestLinks = Links.TestCase


# ---- bytes ----------------------------------------------------------------------------------------------------

_WHISPER = '451-["client event",{"channel":"private-a","event":"client-b","data":{"_placeholder":true,"num":0}}]'


def _stream(revision: int) -> bytes:
    texts = [SUBSCRIBE, "41"] if revision == 3 else ["40", SUBSCRIBE, "40/x", "41"]
    frames = [client_frame(0x1, text.encode()) for text in texts[:-1]]
    frames.append(client_frame(0x1, b'42["subscribe",', fin=False) + client_frame(0x0, b'{"channel":"b"}]'))
    frames += [client_frame(0x1, _WHISPER.encode()), client_frame(0x2, b"\4bytes"), client_frame(0x9, b"?")]
    frames += [client_frame(0x1, b"44"), client_frame(0x8, b"")]
    return b"".join(frames)


@settings(deadline=None)
@given(st.sampled_from([3, 4]), st.lists(st.integers(0, 600), max_size=12))
def test_a_websockets_bytes_mean_the_same_however_they_are_cut(revision: int, places: list[int]) -> None:
    stream = _stream(revision)
    assert _answer(revision, stream, []) == _answer(revision, stream, sorted(places))


def _answer(revision: int, stream: bytes, places: list[int]) -> bytes:
    """All that is answered, but for the ids."""
    server = InProcess(APP)
    client: Client = Socket(server, revision)
    start = 0
    for place in [*places, len(stream)]:
        if place > start:
            client.raw(stream[start:place])
            start = place
    with suppress(ValueError):
        server.turn()
    answer = re.sub(rb'"[-\w]{20}"', b'"id"', client.link.value())
    server.stop()
    return answer
