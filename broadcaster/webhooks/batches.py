"""What goes in one POST: the oldest letters together; the same bytes each time, unless they were too old. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from broadcaster.hooks import Kept

FRESH_SECONDS = 240.0
"""A body older than this is made anew: Python's SDK refuses one of more than 300 s."""

LARGEST_BODY = 262_144
"""Bytes after which no further event goes into a body."""

_PAUSES = (1.0, 60.0)
"""Seconds: the first pause after a failure, and the longest."""


class Batch:
    """Letters that are told together; not empty."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        sizes = accumulate(len(each.letter.event) for each in kept)
        self.kept = [
            kept[0],
            *(each for each, size in zip(kept[1:], list(sizes)[1:], strict=True) if size <= LARGEST_BODY),
        ]
        self._body = b""
        self._made = 0.0

    def body(self, now: float) -> bytes:
        """The bytes to send at ``now``, by the wall's clock."""
        if not self._body or not 0 <= now - self._made < FRESH_SECONDS:
            self._made = now
            events = b",".join(each.letter.event for each in self.kept)
            self._body = b'{"time_ms":%d,"events":[%b]}' % (int(now * 1000), events)
        return self._body


def pause(failures: int, jitter: float) -> float:
    """Seconds until the next try after so many failures in a row; ``jitter`` is between 0 and 1."""
    first, longest = _PAUSES
    return min(longest, first * 2.0 ** min(failures - 1, 16)) * (0.75 + jitter / 2)


def expired(kept: Sequence[Kept], now: float, seconds: float) -> list[Kept]:
    """Those made more than ``seconds`` ago (0: they never expire)."""
    return [each for each in kept if now - each.letter.made > seconds] if seconds else []
