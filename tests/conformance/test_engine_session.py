"""An Engine.IO session, whatever happens in whatever order: what is sent arrives once, in order, and it ends once."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broadcaster.protocols.engineio.packet import Packet, Type
from broadcaster.protocols.engineio.session import MOST_PACKETS, EngineSession, Refused, State
from broadcaster.settings import SocketIO

SETTINGS = SocketIO(ping_interval=25, ping_timeout=20)


class Told:
    """Keeps what the session does, and insists on what may be done when."""

    def __init__(self) -> None:
        self.held = False
        self.probing = False
        self.socket = False
        self.delivered: list[str | bytes] = []
        self.heard: list[str | bytes] = []
        self.ends: list[str] = []
        self.hung_up = False

    def answer(self, packets: list[Packet]) -> None:
        assert self.held and packets
        assert len([packet for packet in packets if packet.type not in (Type.CLOSE, Type.NOOP)]) <= MOST_PACKETS
        self.held = False
        self._take(packets)

    def send(self, packets: Iterable[Packet]) -> None:
        assert self.socket
        self._take(list(packets))

    def _take(self, packets: list[Packet]) -> None:
        self.delivered += [packet.data for packet in packets if packet.type is Type.MESSAGE]

    def probed(self) -> None:
        self.probing = True

    def upgraded(self) -> None:
        assert not self.socket
        self.socket = True

    def hang_up(self) -> None:
        assert not self.hung_up
        self.hung_up = True

    def message(self, data: str | bytes, now: float) -> None:
        assert not self.ends
        self.heard.append(data)

    def ended(self, reason: str) -> None:
        self.ends.append(reason)


class Session(RuleBasedStateMachine):
    """Everything that links do to a session."""

    @initialize(revision=st.sampled_from([3, 4]), websocket=st.booleans())
    def open(self, revision: int, websocket: bool) -> None:
        self.now = 0.0
        self.wire = Told()
        self.wire.socket = websocket
        self.session = EngineSession(revision, websocket, SETTINGS, self.wire, self.now)
        self.sent: list[str] = []
        self.posted: list[str] = []

    @property
    def open_(self) -> bool:
        return not self.wire.ends

    @rule()
    def send(self) -> None:
        text = str(len(self.sent))
        if self.open_:
            self.sent.append(text)
        self.session.send(Packet(Type.MESSAGE, text))

    @rule()
    def flush(self) -> None:
        self.session.flush()

    @rule()
    def poll(self) -> None:
        second = self.wire.held
        self.wire.held = True
        try:
            self.session.poll(self.now)
        except Refused:
            # A second poll is refused, and the first is told that it is over.
            assert not second or not self.wire.held
            self.wire.held = False
        else:
            assert not second

    @rule()
    def cut(self) -> None:
        if self.wire.held:
            self.wire.held = False
            self.session.cut(self.now)
            assert not self.open_

    @rule(kind=st.sampled_from([Type.MESSAGE, Type.PONG, Type.NOOP, Type.UPGRADE, Type.PING, Type.CLOSE]))
    def receive(self, kind: Type) -> None:
        packet = Packet(kind, str(len(self.posted)) if kind is Type.MESSAGE else "")
        websocket, listening = self.session.state is State.WEBSOCKET, self.open_
        if websocket:
            self.session.frame(packet, self.now)
        else:
            with suppress(Refused):
                self.session.post([packet], self.now)
        if kind is Type.MESSAGE and listening:
            self.posted.append(str(packet.data))
        if kind is Type.CLOSE:
            assert not self.open_ or not listening

    @rule(packet=st.sampled_from([Packet(Type.PING, "probe"), Packet(Type.UPGRADE, ""), Packet(Type.MESSAGE, "x")]))
    def probe(self, packet: Packet) -> None:
        before = self.session.state
        stays = self.session.probe(packet)
        assert stays is (before in (State.POLLING, State.UPGRADING) and packet.type is not Type.MESSAGE)
        if stays and packet.type is Type.UPGRADE:
            assert self.session.state is State.WEBSOCKET
            assert self.wire.delivered == self.sent

    @rule()
    def abandon(self) -> None:
        self.session.abandon()

    @rule()
    def lose(self) -> None:
        if self.session.state is State.WEBSOCKET:
            self.session.lost(self.now)
            assert not self.open_

    @rule(polite=st.booleans())
    def close(self, polite: bool) -> None:
        (self.session.close if polite else self.session.fail)("forced close", self.now)
        assert not self.open_

    @rule(seconds=st.sampled_from([1.0, 25.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        following = self.session.due(self.now)
        assert following is None or following >= self.now - 100
        if self.session.state is State.CLOSED:
            assert not self.open_

    @invariant()
    def what_is_sent_arrives_once_and_in_order(self) -> None:
        if not hasattr(self, "session"):
            return
        assert self.wire.delivered == self.sent[: len(self.wire.delivered)]
        if self.open_ and self.wire.socket:
            assert self.wire.delivered == self.sent
        assert self.wire.heard == self.posted

    @invariant()
    def it_ends_once_and_holds_what_the_wire_holds(self) -> None:
        if not hasattr(self, "session"):
            return
        assert len(self.wire.ends) <= 1
        assert (self.session.state in (State.CLOSING, State.CLOSED)) is bool(self.wire.ends)
        assert self.session.held is self.wire.held
        assert self.session.waiting >= 0
        if self.wire.ends:
            assert not self.wire.held, "nobody waits for what is over"


Session.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestSession = Session.TestCase
