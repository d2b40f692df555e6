"""A channel of one process: its subscribers, and the walks that carry messages to them.

Broadcasting does not visit anybody: messages gather on the channel, and the next *walk* takes all of them to the
subscribers at once, as one envelope. So what is published while a walk over ten thousand subscribers is under way
costs one more write per subscriber, not one per event and subscriber; that is where the server's speed is from.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from broadcaster.interfaces import ISubscriber
from broadcaster.messages import Envelope, Message

STRIDE = 64
"""Subscribers served at one step of a walk: small enough that others wait well under a millisecond."""


class Walk:
    """One envelope under way to the subscribers that the channel had when it set out."""

    __slots__ = ("_differing", "_envelope", "_position", "_targets")

    def __init__(self, targets: list[ISubscriber], envelope: Envelope, differing: dict[str, Envelope | None]) -> None:
        self._targets = targets
        self._envelope = envelope
        self._differing = differing
        self._position = 0

    def step(self) -> tuple[int, bool]:
        """Serve the next few: (messages delivered, whether subscribers are left)."""
        start = self._position
        targets = self._targets[start : start + STRIDE]
        self._position = start + len(targets)
        envelope, differing = self._envelope, self._differing
        missed = 0
        for target in targets:
            own = differing.get(target.socket_id, envelope) if differing else envelope
            if own is not envelope:
                missed += len(envelope.messages) - (len(own.messages) if own is not None else 0)
            if own is not None:
                target.send(own)
        return len(targets) * len(envelope.messages) - missed, self._position < len(self._targets)

    def leave_out(self, socket_id: str) -> None:
        """Serve that subscriber no more: it has left."""
        self._differing[socket_id] = None


class Channel:
    """Subscribers in the order of their coming, by socket id, and what waits to be told to them."""

    __slots__ = (
        "_excluded",
        "_late",
        "_mark",
        "_pending",
        "_walk",
        "name",
        "pending_characters",
        "since",
        "subscribers",
        "walk_since",
    )

    def __init__(self, name: str, mark: Callable[[Channel], None]) -> None:
        self.name = name
        self.subscribers: dict[str, ISubscriber] = {}
        self.pending_characters = 0
        self.since = self.walk_since = 0.0
        """When the first of what waits came, and the first of what the present or last walk carries."""
        self._mark = mark
        self._pending: list[Message] = []
        self._excluded: list[tuple[int, str]] = []
        self._late: dict[str, int] = {}
        self._walk: Walk | None = None

    def subscribe(self, subscriber: ISubscriber) -> None:
        """Let it hear whatever is broadcast from now on, and nothing from before."""
        self.subscribers[subscriber.socket_id] = subscriber
        if self._pending:
            self._late[subscriber.socket_id] = len(self._pending)

    def unsubscribe(self, subscriber: ISubscriber) -> None:
        """Let it hear nothing more, not even what is under way."""
        socket_id = subscriber.socket_id
        self.subscribers.pop(socket_id, None)
        self._late.pop(socket_id, None)
        if self._walk is not None:
            self._walk.leave_out(socket_id)

    def broadcast(self, message: Message, size: int = 0, exclude: str | None = None) -> None:
        """Tell all subscribers but ``exclude``; ``size`` in characters is what `pending_characters` counts it as."""
        if exclude is not None and exclude in self.subscribers:
            self._excluded.append((len(self._pending), exclude))
        self._pending.append(message)
        self.pending_characters += size
        if len(self._pending) == 1:
            self._mark(self)

    @property
    def pending(self) -> int:
        """How many messages wait for the next walk."""
        return len(self._pending)

    @property
    def walking(self) -> bool:
        """Whether a walk is under way, so that `step` will be called anyhow."""
        return self._walk is not None

    def step(self) -> tuple[int, bool]:
        """Take the walk a step on, or set out: (messages delivered, whether anything is left to do).

        Called by the hub again and again, in turn with other channels, for as long as something is left.
        """
        if self._walk is None:
            self._walk = self._set_out()
        try:
            delivered, more = self._walk.step()
        except BaseException:
            # What cannot be told to one can be told to nobody: the walk ends, the channel goes on.
            self._walk = None
            raise
        if more:
            return delivered, True
        self._walk = None
        return delivered, bool(self._pending)

    def _set_out(self) -> Walk:
        messages = self._pending
        self.walk_since = self.since
        differing: dict[str, Envelope | None] = {}
        if self._excluded or self._late:
            missed: dict[str, set[int]] = {}
            for index, socket_id in self._excluded:
                missed.setdefault(socket_id, set()).add(index)
            for socket_id in missed.keys() | self._late.keys():
                skipped = missed.get(socket_id, ())
                late = self._late.get(socket_id, 0)
                own = tuple(m for i, m in enumerate(islice(messages, late, None), late) if i not in skipped)
                differing[socket_id] = Envelope(own) if own else None
        self._pending, self._excluded, self._late, self.pending_characters = [], [], {}, 0
        return Walk(list(self.subscribers.values()), Envelope(tuple(messages)), differing)
