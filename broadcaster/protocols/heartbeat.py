"""Whether a peer still lives, judged by what is heard from it and never by what is sent to it.

Silence for the activity timeout and ten seconds: a WebSocket ping, which every RFC 6455 client answers by itself.
Ten more: the dialect's own ping, for proxies that eat control frames. Thirty seconds after the first: lost.
Swift, Java and .NET clients never send ``pusher:pong``, so anything heard counts.
"""

from __future__ import annotations

from enum import Enum, auto

GRACE = 10.0
SECOND_TRY = 10.0
LOST = 30.0


class Action(Enum):
    """What the shell must do now."""

    NOTHING = auto()
    PING = auto()
    ASK = auto()
    HANG_UP = auto()


class Heartbeat:
    """One peer's. Times are seconds on the caller's clock; set `heard` at every inbound frame."""

    __slots__ = ("_asked", "_pinged", "heard", "patience")

    def __init__(self, now: float, activity_timeout: float) -> None:
        self.heard = now
        self.patience = activity_timeout + GRACE
        self._pinged: float | None = None
        self._asked = False

    @property
    def deadline(self) -> float:
        """When to `check` for the first time."""
        return self.heard + self.patience

    def check(self, now: float) -> tuple[Action, float]:
        """What to do at ``now``, and when to check again."""
        pinged = self._pinged
        if pinged is None or self.heard >= pinged:
            self._pinged, self._asked = None, False
            if now < self.heard + self.patience:
                return Action.NOTHING, self.heard + self.patience
            self._pinged = now
            return Action.PING, now + SECOND_TRY
        if now >= pinged + LOST:
            return Action.HANG_UP, now
        action = Action.NOTHING
        if not self._asked and now >= pinged + SECOND_TRY:
            self._asked = True
            action = Action.ASK
        following = pinged + (LOST if self._asked else SECOND_TRY)
        # Who is heard meanwhile and falls silent again is noticed in time also where patience is short.
        return action, min(following, now + self.patience)
