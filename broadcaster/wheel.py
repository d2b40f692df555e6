"""One wheel for all the deadlines of a process, so that ten thousand idle connections cost no timer each.

Pure: whoever owns it calls `turn` about once per grain, which is a second; deadlines are as exact as that.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Protocol


class Timed(Protocol):
    """Something with a deadline; it is on the wheel at most once."""

    spoke: int | None
    """Where on the wheel it is; the wheel's own, None at first."""

    def due(self, now: float) -> float | None:
        """The deadline has come; gives the next one, or None to leave the wheel. Must not raise."""


class Wheel:
    """Deadlines in seconds on the clock of the caller; ``grain`` seconds are between two spokes."""

    def __init__(self, now: float, grain: float = 1.0) -> None:
        self._grain = grain
        self._spokes: dict[int, dict[Timed, None]] = {}
        self._turned = int(now / grain)

    def set(self, timed: Timed, deadline: float) -> None:
        """Call ``timed.due`` at the first turn after ``deadline``; a deadline set before is forgotten."""
        self.clear(timed)
        spoke = max(ceil(deadline / self._grain), self._turned + 1)
        timed.spoke = spoke
        self._spokes.setdefault(spoke, {})[timed] = None

    def clear(self, timed: Timed) -> None:
        """Forget its deadline, if it has one."""
        if timed.spoke is not None:
            items = self._spokes.get(timed.spoke)
            if items is not None:
                items.pop(timed, None)
                if not items:
                    del self._spokes[timed.spoke]
            timed.spoke = None

    def __iter__(self) -> Iterator[Timed]:
        """All that have a deadline."""
        return iter([timed for items in self._spokes.values() for timed in items])

    def turn(self, now: float) -> None:
        """Serve every deadline up to ``now``; what some raised against their promise is raised when all are served."""
        failures: list[Exception] = []
        reached = now / self._grain
        for spoke in sorted(spoke for spoke in self._spokes if spoke <= reached):
            for timed in self._spokes.pop(spoke, ()):
                if timed.spoke != spoke:
                    continue
                timed.spoke = None
                try:
                    following = timed.due(now)
                except Exception as failure:
                    failures.append(failure)
                    continue
                if following is not None:
                    self.set(timed, following)
        self._turned = int(reached)
        if failures:
            raise ExceptionGroup("deadlines", failures)
