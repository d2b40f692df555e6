"""What waits to be forwarded: in order per channel, several calls at a time, bounded. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from msgspec import Struct

from broadcaster.drivers.pusher.calls import BATCH
from broadcaster.messages import Event, Terminated

LOOKAHEAD = 200
"""How far the queue is searched for something that may be sent beside what is under way."""


class Entry(Struct, frozen=True, eq=False):
    """Something to forward, and since when it waits."""

    item: Event | Terminated
    since: float

    def lanes(self) -> tuple[str, ...]:
        """What must not be overtaken: an event's channels, or whatever else is told of a user."""
        return self.item.channels if isinstance(self.item, Event) else (f"user {self.item.user_id}",)


class Waiting:
    """A queue of which several may be under way at once, but of each channel only the first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: deque[Entry] = deque()
        self._under_way: Counter[str] = Counter()
        self._sent: dict[int, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries) + len(self._sent)

    def full(self) -> bool:
        """Whether one more would be too many."""
        return len(self) >= self._size

    def put(self, entry: Entry) -> None:
        """At the end."""
        self._entries.append(entry)

    def drop_oldest(self) -> Entry | None:
        """The first that is not under way, which waits no more; None if all of them are."""
        return self._entries.popleft() if self._entries else None

    def take(self) -> list[Entry]:
        """What may be sent in one call now: events of one channel each, or a single entry; empty if nothing may."""
        taken: list[Entry] = []
        left: list[Entry] = []
        passed: set[str] = set()
        for _ in range(min(LOOKAHEAD, len(self._entries))):
            entry = self._entries.popleft()
            lanes = entry.lanes()
            alone = len(lanes) > 1 or not isinstance(entry.item, Event)
            if any(lane in passed or self._under_way[lane] for lane in lanes) or (alone and taken):
                left.append(entry)
                passed.update(lanes)
                continue
            taken.append(entry)
            if alone or len(taken) == BATCH:
                break
        self._entries.extendleft(reversed(left))
        self._mark(taken)
        return taken

    def done(self, entries: Iterable[Entry]) -> None:
        """They are under way no more, however that ended."""
        for entry in entries:
            del self._sent[id(entry)]
            self._under_way.subtract(entry.lanes())
        self._under_way += Counter()

    def clear(self) -> list[Entry]:
        """All of it, which waits no more."""
        entries = [*self._sent.values(), *self._entries]
        self._sent.clear()
        self._entries.clear()
        self._under_way.clear()
        return entries

    def oldest(self) -> float | None:
        """Since when the one waits that waits longest."""
        first = [self._entries[0].since] if self._entries else []
        return min(first + [entry.since for entry in self._sent.values()], default=None)

    def _mark(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self._sent[id(entry)] = entry
            self._under_way.update(entry.lanes())
