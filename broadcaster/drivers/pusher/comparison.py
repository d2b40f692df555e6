"""What one side told and the other did not, by channel: the evidence to leave Pusher, or to go back. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from broadcaster.drivers.pusher.pairing import Half, Side

CHANNELS = 1_000
"""Channels that are counted by name; those that come later are counted together."""

OTHERS = "(others)"
LATE = 3.0
"""Seconds after which an event of one side only is worth a word."""

EXAMPLES = 100
"""Events that only one side told and that are named; of more the newest."""


class Comparison:
    """Counts by channel: ``both`` told by both sides, ``here`` and ``pusher`` only by that one."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, int]] = {}
        self._examples: deque[Half] = deque(maxlen=EXAMPLES)

    def both(self, channel: str) -> None:
        """An event was told on both sides."""
        self._count(channel, "both")

    def only(self, half: Half) -> None:
        """An event was told on one side only."""
        self._count(half.channel, half.side)
        self._examples.append(half)

    def report(self, waiting: Iterable[Half], now: float) -> dict[str, Any]:
        """Plain JSON: ``channels`` with their counts, ``total``, ``waiting``, and ``alone`` with what one side lacks.

        ``waiting`` are those whose other half may still come: after `LATE` seconds they are named too, and counted
        as being alone. ``seconds_ago`` says when an event was told.
        """
        halves = list(waiting)
        late = [half for half in halves if now - half.since >= LATE]
        counts = {channel: dict(count) for channel, count in self._counts.items()}
        for half in late:
            _counted(counts, half.channel)[half.side] += 1
        sides: Iterable[str] = ("both", "here", "pusher")
        return {
            "channels": [{"channel": channel, **count} for channel, count in sorted(counts.items())],
            "total": {side: sum(count[side] for count in counts.values()) for side in sides},
            "waiting": len(halves) - len(late),
            "alone": [
                {
                    "side": half.side,
                    "channel": half.channel,
                    "event": half.name,
                    "data": half.data[:200],
                    "seconds_ago": round(now - half.since, 1),
                }
                for half in [*self._examples, *late][-EXAMPLES:]
            ],
        }

    def _count(self, channel: str, what: Side | str) -> None:
        _counted(self._counts, channel)[what] += 1


def _counted(counts: dict[str, dict[str, int]], channel: str) -> dict[str, int]:
    name = channel if channel in counts or len(counts) < CHANNELS else OTHERS
    return counts.setdefault(name, {"both": 0, "here": 0, "pusher": 0})
