"""What is subscribed to at Redis: as much as is wanted, asked for in batches, and again after every loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from broadcaster.drivers.redis.protocol import Listener, RedisConnection, Refused

BATCH = 500
"""Channels in one SUBSCRIBE."""

Hearer = Callable[[bytes], None]
"""Takes the payload of a message; must not raise."""


class State(Enum):
    """How far a channel is with the present connection."""

    NEW = auto()
    ASKED = auto()
    HEARD = auto()
    REFUSED = auto()


class _Channel:
    __slots__ = ("hearer", "state", "waiting", "wanted")

    def __init__(self, hearer: Hearer) -> None:
        self.hearer = hearer
        self.wanted = 0
        self.state = State.NEW
        self.waiting: list[Deferred[None]] = []


class Subscriptions(Listener):
    """The channels that anybody here wants to hear, over whichever connection there is.

    ``settled`` is called when all that is wanted is acknowledged, after each connection and each batch. A channel that
    nobody wants any more stays for ``linger`` seconds: a page that is loaded again comes back to it.
    """

    _log = Logger()

    def __init__(self, reactor: Any, linger: float, settled: Callable[[], None]) -> None:
        self._reactor = reactor
        self._linger = linger
        self._settled = settled
        self._connection: RedisConnection | None = None
        self._channels: dict[bytes, _Channel] = {}
        self._fresh: list[bytes] = []
        self._leaving: dict[bytes, float] = {}
        self._asked: deque[tuple[list[bytes], int]] = deque()
        """Commands that Redis has not answered yet: the channels of a SUBSCRIBE, and how many replies are due."""
        self._missing = 0

    # ---- what is wanted ---------------------------------------------------------------------------------------

    def hear(self, name: bytes, hearer: Hearer) -> Deferred[None]:
        """Want a channel once more; fires when what is published there comes to ``hearer``, the first one given.

        Waits for Redis as long as that takes; fails with `Refused` if Redis does not allow it. May be cancelled, and is
        to be undone by `unhear` in any case.
        """
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel(hearer)
        if not channel.wanted:
            self._leaving.pop(name, None)
        channel.wanted += 1
        if channel.state is State.HEARD:
            return succeed(None)
        if channel.state is State.NEW or channel.state is State.REFUSED:
            self._freshen(name, channel)
        waiting: Deferred[None] = Deferred(channel.waiting.remove)
        channel.waiting.append(waiting)
        return waiting

    def unhear(self, name: bytes) -> None:
        """Want it once less."""
        channel = self._channels.get(name)
        if channel is not None and channel.wanted:
            channel.wanted -= 1
            if not channel.wanted:
                self._leaving[name] = self._reactor.seconds() + self._linger

    def sweep(self) -> None:
        """Let go of what nobody has wanted for long enough; to be called now and then."""
        now, going = self._reactor.seconds(), []
        for name, until in self._leaving.items():
            if until > now:
                break
            going.append(name)
        # What is asked for and not acknowledged stays: its late acknowledgement would be taken for a newer one's.
        going = [name for name in going if self._channels[name].state is not State.ASKED]
        heard = [name for name in going if self._channels[name].state is State.HEARD]
        for name in going:
            del self._leaving[name], self._channels[name]
        if self._connection is not None:
            for batch in _batches(heard):
                self._asked.append(([], len(batch)))
                self._connection.tell("UNSUBSCRIBE", *batch)

    def __len__(self) -> int:
        """How many channels are wanted, or were a moment ago."""
        return len(self._channels)

    # ---- the connection ---------------------------------------------------------------------------------------

    def connected(self, connection: RedisConnection) -> None:
        """There is a new connection: ask for everything over it."""
        self._connection = connection
        self._asked.clear()
        self._fresh = []
        self._missing = 0
        connection.listen(self)
        for channel in self._channels.values():
            channel.state = State.NEW
        self._ask(self._channels)
        self._settle()

    def disconnected(self) -> None:
        """It is gone, and nothing is heard."""
        self._connection = None
        for channel in self._channels.values():
            channel.state = State.NEW

    def ping(self, connection: RedisConnection) -> None:
        """Have Redis answer something."""
        self._asked.append(([], 1))
        connection.tell("PING")

    @property
    def complete(self) -> bool:
        """Whether all that is wanted is heard."""
        return self._connection is not None and not self._missing and not self._fresh

    # ---- Listener ---------------------------------------------------------------------------------------------

    def heard(self, channel: bytes, payload: bytes) -> None:
        """See `Listener`."""
        known = self._channels.get(channel)
        if known is not None:
            try:
                known.hearer(payload)
            except Exception:
                self._log.failure("a message of Redis could not be delivered")

    def acknowledged(self, kind: bytes, name: bytes) -> None:
        """See `Listener`."""
        if self._asked:
            names, due = self._asked.popleft()
            if due > 1:
                self._asked.appendleft((names, due - 1))
        channel = self._channels.get(name) if kind == b"subscribe" else None
        if channel is not None and channel.state is State.ASKED:
            channel.state = State.HEARD
            self._missing -= 1
            waiting, channel.waiting = channel.waiting, []
            for each in waiting:
                each.callback(None)
            self._settle()

    def refused(self, error: Refused) -> None:
        """See `Listener`: the oldest command, as a whole. One channel that may not be heard must not keep others."""
        names, _ = self._asked.popleft() if self._asked else ([], 0)
        asked = [name for name in names if self._channels[name].state is State.ASKED]
        if len(names) > 1:
            for name in asked:
                self._subscribe([name])
        elif asked:
            channel = self._channels[asked[0]]
            channel.state = State.REFUSED
            self._missing -= 1
            self._log.warn("a channel cannot be heard: {reason}", reason=str(error))
            waiting, channel.waiting = channel.waiting, []
            for each in waiting:
                each.errback(error)
            self._settle()

    # ---- asking -----------------------------------------------------------------------------------------------

    def _freshen(self, name: bytes, channel: _Channel) -> None:
        """Ask for it at the end of this turn, together with what else comes in this turn."""
        channel.state = State.NEW
        if self._connection is None:
            return
        if not self._fresh:
            self._reactor.callLater(0, self._flush)
        self._fresh.append(name)

    def _flush(self) -> None:
        fresh, self._fresh = self._fresh, []
        if self._connection is not None:
            self._ask(fresh)

    def _ask(self, names: Iterable[bytes]) -> None:
        new = [name for name in dict.fromkeys(names) if name in self._channels]
        new = [name for name in new if self._channels[name].state is State.NEW]
        self._missing += len(new)
        for batch in _batches(new):
            for name in batch:
                self._channels[name].state = State.ASKED
            self._subscribe(batch)

    def _subscribe(self, batch: list[bytes]) -> None:
        assert self._connection is not None
        self._asked.append((batch, len(batch)))
        self._connection.tell("SUBSCRIBE", *batch)

    def _settle(self) -> None:
        if self.complete:
            self._settled()


def _batches(names: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]
