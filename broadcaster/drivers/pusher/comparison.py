"""What one side told and the other did not, by channel: the evidence to leave Pusher, or to go back. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from broadcaster.drivers.pusher.pairing import Half, Side

CHANNELS = 1_000
"""Channels that are counted by name; those that come later are counted together."""

OTHERS = "(others)"
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

    def report(self, waiting: int, now: float) -> dict[str, Any]:
        """Plain JSON: ``channels`` with their counts, ``total``, ``alone`` with events that one side lacks.

        ``waiting`` are those whose other half may still come. ``seconds_ago`` says when an event was told.
        """
        counts = sorted(self._counts.items())
        sides: Iterable[str] = ("both", "here", "pusher")
        return {
            "channels": [{"channel": channel, **count} for channel, count in counts],
            "total": {side: sum(count[side] for _, count in counts) for side in sides},
            "waiting": waiting,
            "alone": [
                {
                    "side": half.side,
                    "channel": half.channel,
                    "event": half.name,
                    "data": half.data[:200],
                    "seconds_ago": round(now - half.since, 1),
                }
                for half in self._examples
            ],
        }

    def _count(self, channel: str, what: Side | str) -> None:
        name = channel if channel in self._counts or len(self._counts) < CHANNELS else OTHERS
        counts = self._counts.setdefault(name, {"both": 0, "here": 0, "pusher": 0})
        counts[what] += 1
