"""What happened so far, as plain integers that the hot path can afford; `metrics` explains and renders them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from msgspec import Struct

LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds of what `Histogram` tells apart."""


class Histogram:
    """How often something took how long."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCIES) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Once more, and this long."""
        self.counts[bisect_left(LATENCIES, seconds)] += 1
        self.total += seconds


class Measure(Struct, frozen=True):
    """One figure for ``/metrics``: ``name`` as it comes after ``broadcaster_``; a counter only ever grows."""

    name: str
    meaning: str
    value: float
    counter: bool = False
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Counters:
    """One per process; each only ever grows, but for ``loop_lag``."""

    connections: int = 0
    events_published: int = 0
    client_events: int = 0
    deliveries: int = 0
    bytes_sent: int = 0
    writes_dropped: int = 0
    slow_clients: int = 0
    driver_failures: int = 0
    headers_missing: int = 0
    bytes_received: int = 0
    loop_lag: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)
