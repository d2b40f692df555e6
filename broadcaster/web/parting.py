"""Letting go of links when the process ends: those on which nothing is under way at once, the others in their time."""

from __future__ import annotations

from broadcaster.web.frontdoor import FrontDoor
from broadcaster.web.proxied import Preface
from broadcaster.wheel import Wheel


def part(wheel: Wheel, now: float) -> int:
    """Close all links on ``wheel`` that are idle; how many of the others have to be waited for.

    Every link that speaks HTTP is on the wheel, for it is bounded in time.
    """
    return sum([timed.part(now) for timed in wheel if isinstance(timed, FrontDoor | Preface)])
