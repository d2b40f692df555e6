"""The same event on two ways: once from this server, once back from Pusher. Pure; time is an argument.

Pusher gives an event no name by which to know it again, so that it is known by what it says: of two with the same
channel, name and data, one from either side, the second to come is the first one's shadow.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Literal, TypeAlias

from msgspec import Struct

Side: TypeAlias = Literal["here", "pusher"]

MOST = 100_000
"""Events that may wait for their other half; the oldest are given up beyond that."""


class Half(Struct, frozen=True, eq=False):
    """An event of which one side told; ``since`` when that was."""

    side: Side
    channel: str
    name: str
    data: str
    since: float


class Pairing:
    """Finds pairs among what both sides tell; what stays alone for ``seconds`` is given up."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._alone: dict[tuple[str, str, str], deque[Half]] = {}
        self._order: OrderedDict[int, Half] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def told(self, side: Side, channel: str, name: str, data: str, now: float) -> bool:
        """One side tells an event; whether it is the first to do so."""
        key = (channel, name, data)
        alone = self._alone.get(key)
        if alone and alone[0].side != side:
            self._remove(key, alone[0])
            return False
        half = Half(side, channel, name, data, now)
        self._alone.setdefault(key, deque()).append(half)
        self._order[id(half)] = half
        return True

    def withdraw(self, channel: str, name: str, data: str) -> None:
        """What this side told last will have no other half."""
        key = (channel, name, data)
        alone = self._alone.get(key)
        if alone and alone[-1].side == "here":
            self._remove(key, alone[-1])

    def alone(self, now: float) -> list[Half]:
        """Those that have waited too long for their other half, oldest first; they wait no more."""
        late: list[Half] = []
        for half in self._order.values():
            if half.since + self._seconds > now and len(self._order) - len(late) <= MOST:
                break
            late.append(half)
        for half in late:
            self._remove((half.channel, half.name, half.data), half)
        return late

    def halves(self) -> list[Half]:
        """Those that wait for their other half, oldest first."""
        return list(self._order.values())

    def _remove(self, key: tuple[str, str, str], half: Half) -> None:
        del self._order[id(half)]
        alone = self._alone[key]
        alone.remove(half)
        if not alone:
            del self._alone[key]
