"""What happened so far, as plain integers that the hot path can afford; `metrics` explains and renders them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """One per process; each only ever grows."""

    connections: int = 0
    events_published: int = 0
    client_events: int = 0
    deliveries: int = 0
    bytes_sent: int = 0
    writes_dropped: int = 0
    slow_clients: int = 0
    driver_failures: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
