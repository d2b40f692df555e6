"""Rates and ceilings. Pure: time is an argument."""

from __future__ import annotations

from collections import deque

from broadcaster.settings import Limits


class TokenBucket:
    """Lets through ``rate`` things a second, at most that many at once; 0 lets everything through."""

    __slots__ = ("_filled", "_tokens")

    def __init__(self) -> None:
        self._tokens = -1.0
        self._filled = 0.0

    def take(self, rate: float, now: float) -> bool:
        """Whether one more may pass at ``now`` (seconds); what is refused costs nothing."""
        if rate <= 0:
            return True
        if self._tokens < 0:
            self._tokens = rate
        else:
            self._tokens = min(rate, self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Tally:
    """Counts things over the last ``seconds``; in a list of at most ``most`` moments."""

    __slots__ = ("_moments", "_seconds")

    def __init__(self, most: int, seconds: float) -> None:
        self._moments: deque[float] = deque(maxlen=most)
        self._seconds = seconds

    def one_too_many(self, now: float) -> bool:
        """Count one more at ``now``; whether that makes more than ``most``."""
        moments = self._moments
        full = len(moments) == moments.maxlen and now - moments[0] < self._seconds
        moments.append(now)
        return full


def named(text: str, limits: Limits, name: str) -> str:
    """``text`` with the setting that a user could change, as every refusal by a limit ends."""
    return f"{text} (limits.{name} = {getattr(limits, name)})"


def data_too_large(size: int, limits: Limits) -> str | None:
    """Why an event's data of ``size`` bytes is refused, or None; Pusher's words."""
    if limits.event_bytes and size > limits.event_bytes:
        text = f"The data content of this event exceeds the allowed maximum ({limits.event_bytes} bytes)"
        return named(text, limits, "event_bytes")
    return None


def event_name_too_long(name: str, limits: Limits) -> str | None:
    """Why an event's name is refused, or None."""
    if limits.event_name_length and len(name) > limits.event_name_length:
        return named(f"Event name exceeds {limits.event_name_length} characters", limits, "event_name_length")
    return None
