"""What is measured and what must be shown: each work as options of wsload, with the targets its figures must meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Figures = Mapping[str, float]
"""The medians of one server in one work, by wsload's names."""

WORD = {
    "ours": "broadcaster",
    "soketi": "soketi",
    "uws": "uWebSockets",
    "echo_server": "laravel-echo-server",
    "socketio": "socket.io",
}


@dataclass(frozen=True, slots=True)
class AtLeast:
    """Our figure is at least ``factor`` times that of each of the peers in the same run."""

    figure: str
    factor: float
    peers: tuple[str, ...] = ("soketi",)

    def words(self) -> str:
        return f"≥ {self.factor:g} × {named(self.peers)}"

    def bound(self, medians: Mapping[str, Figures]) -> float | None:
        """None where a peer was not measured, so that nothing can be said."""
        if not all(peer in medians for peer in self.peers):
            return None
        return max(medians[peer][self.figure] for peer in self.peers) * self.factor

    def met(self, medians: Mapping[str, Figures]) -> bool | None:
        bound = self.bound(medians)
        return None if bound is None else medians["ours"][self.figure] >= bound


@dataclass(frozen=True, slots=True)
class AtMostOf:
    """Our figure is at most ``factor`` times that of each of the peers in the same run."""

    figure: str
    factor: float
    peers: tuple[str, ...]

    def words(self) -> str:
        return f"≤ {self.factor:g} × {named(self.peers)}"

    def bound(self, medians: Mapping[str, Figures]) -> float | None:
        """None where a peer was not measured, so that nothing can be said."""
        if not all(peer in medians for peer in self.peers):
            return None
        return min(medians[peer][self.figure] for peer in self.peers) * self.factor

    def met(self, medians: Mapping[str, Figures]) -> bool | None:
        bound = self.bound(medians)
        return None if bound is None else medians["ours"][self.figure] <= bound


@dataclass(frozen=True, slots=True)
class AtMost:
    """Our figure stays under a bound that no peer moves."""

    figure: str
    limit: float
    unit: str

    def words(self) -> str:
        return f"≤ {self.limit:g} {self.unit}"

    def bound(self, medians: Mapping[str, Figures]) -> float | None:
        return self.limit

    def met(self, medians: Mapping[str, Figures]) -> bool | None:
        return medians["ours"][self.figure] <= self.limit


def named(peers: tuple[str, ...]) -> str:
    return " and ".join(WORD[peer] for peer in peers)


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the table. ``shown`` names the figures worth a line, each with the words that say what it is.

    Every server takes part that speaks the ``dialect``.
    """

    name: str
    title: str
    load: Mapping[str, int]
    shown: Mapping[str, str]
    targets: tuple[AtLeast | AtMostOf | AtMost, ...]
    warm_up: Mapping[str, int] = field(default_factory=dict)
    aside: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    dialect: str = "pusher"

    @property
    def tls(self) -> bool:
        return self.dialect.endswith("_tls")

    def shortened(self) -> Work:
        """The same shape with a fifth of the events: for a first look, not for a figure to be told."""
        load = {**self.load, "msgs": self.load["msgs"] // 5}
        return replace(self, load=load)


WARM = {"conns": 100, "msgs": 1000, "parallel": 4}
"""Events sent beforehand, uncounted: a just-in-time compiler shall be measured when it is done."""

ECHOES = ("echo_server", "socketio")

WORKS = (
    Work(
        "fanout",
        "1,000 subscribers, one publisher",
        {"conns": 1000, "msgs": 500},
        {"deliv_per_s": "deliveries/s", "p50_ms": "ms, p50"},
        (AtLeast("deliv_per_s", 1.3),),
        WARM,
    ),
    Work(
        "fanout8",
        "1,000 subscribers, 8 publishers",
        {"conns": 1000, "msgs": 1000, "parallel": 8},
        {"deliv_per_s": "deliveries/s", "p50_ms": "ms, p50"},
        (AtLeast("deliv_per_s", 4),),
        WARM,
    ),
    # Slow enough that no server can join events into one write: what a single delivery costs. The rates above do not
    # tell, since a server that answers a publisher before its event is out is sent the next ones meanwhile.
    Work(
        "paced",
        "1,000 subscribers, 20 events a second",
        {"conns": 1000, "msgs": 100, "rate": 20, "parallel": 8},
        {"us_cpu_per_deliv": "µs of CPU a delivery", "p50_ms": "ms, p50", "p99_ms": "ms, p99"},
        (),
        WARM,
    ),
    Work(
        "big",
        "10,000 subscribers, one publisher; another channel meanwhile",
        {"conns": 10_000, "msgs": 200, "sources": 8},
        {"aside_p99_ms": "ms, p99 of the other channel", "deliv_per_s": "deliveries/s"},
        (AtMost("aside_p99_ms", 50, "ms"),),
        WARM,
        {"conns": 5, "rate": 200, "msgs": 20_000, "parallel": 64},
    ),
    Work(
        "publish",
        "signed HTTP publishes, 8 at once, one subscriber",
        {"conns": 1, "msgs": 20_000, "parallel": 8},
        {"deliv_per_s": "publishes/s", "us_cpu_per_deliv": "µs of CPU a publish"},
        (AtLeast("deliv_per_s", 2),),
        WARM,
    ),
    # soketi closes each API connection whether asked or not: this is what is left when nobody gains by keeping one.
    Work(
        "publish_close",
        "the same, each publish on a connection of its own",
        {"conns": 1, "msgs": 10_000, "parallel": 8},
        {"deliv_per_s": "publishes/s", "us_cpu_per_deliv": "µs of CPU a publish"},
        (),
        WARM,
        flags=("--pub-close",),
    ),
    Work(
        "accept",
        "5,000 connections that subscribe",
        {"conns": 5000, "msgs": 0, "sources": 8},
        {"conn_per_s": "connections/s", "kb_per_conn": "kB each"},
        (AtLeast("conn_per_s", 1), AtMost("kb_per_conn", 10, "kB")),
    ),
    Work(
        "tls_fanout",
        "TLS, 1,000 subscribers, one publisher",
        {"conns": 1000, "msgs": 500},
        {"deliv_per_s": "deliveries/s", "us_cpu_per_deliv": "µs of CPU a delivery", "p50_ms": "ms, p50"},
        (AtLeast("deliv_per_s", 1),),
        WARM,
        dialect="pusher_tls",
    ),
    Work(
        "tls_fanout8",
        "TLS, 1,000 subscribers, 8 publishers",
        {"conns": 1000, "msgs": 1000, "parallel": 8},
        {"deliv_per_s": "deliveries/s", "us_cpu_per_deliv": "µs of CPU a delivery", "p50_ms": "ms, p50"},
        (AtLeast("deliv_per_s", 2),),
        WARM,
        dialect="pusher_tls",
    ),
    Work(
        "tls_paced",
        "TLS, 1,000 subscribers, 20 events a second",
        {"conns": 1000, "msgs": 100, "rate": 20, "parallel": 8},
        {"us_cpu_per_deliv": "µs of CPU a delivery", "p50_ms": "ms, p50", "p99_ms": "ms, p99"},
        (),
        WARM,
        dialect="pusher_tls",
    ),
    Work(
        "tls_idle",
        "TLS, 2,000 connections that subscribe",
        {"conns": 2000, "msgs": 0, "settle-ms": 3000},
        {"kb_per_conn": "kB each"},
        (AtMost("kb_per_conn", 30, "kB"),),
        dialect="pusher_tls",
    ),
    Work(
        "echo_fanout",
        "Socket.IO over WebSocket, 1,000 subscribers, one publisher",
        {"conns": 1000, "msgs": 500},
        {"deliv_per_s": "deliveries/s", "p50_ms": "ms, p50"},
        (AtLeast("deliv_per_s", 2, ECHOES),),
        WARM,
        dialect="echo",
    ),
    Work(
        "echo_fanout8",
        "Socket.IO over WebSocket, 1,000 subscribers, 8 publishers",
        {"conns": 1000, "msgs": 1000, "parallel": 8},
        {"deliv_per_s": "deliveries/s", "p50_ms": "ms, p50"},
        (AtLeast("deliv_per_s", 4, ECHOES),),
        WARM,
        dialect="echo",
    ),
    Work(
        "echo_paced",
        "Socket.IO over WebSocket, 1,000 subscribers, 20 events a second",
        {"conns": 1000, "msgs": 100, "rate": 20, "parallel": 8},
        {"us_cpu_per_deliv": "µs of CPU a delivery", "p50_ms": "ms, p50", "p99_ms": "ms, p99"},
        (),
        WARM,
        dialect="echo",
    ),
    Work(
        "echo_accept",
        "Socket.IO over WebSocket, 5,000 connections that subscribe",
        {"conns": 5000, "msgs": 0, "sources": 8},
        {"conn_per_s": "connections/s", "kb_per_conn": "kB each"},
        (AtLeast("conn_per_s", 2, ECHOES), AtMostOf("kb_per_conn", 0.5, ECHOES)),
        dialect="echo",
    ),
    Work(
        "polling",
        "Socket.IO polling, 1,000 subscribers, one publisher",
        {"conns": 1000, "msgs": 200},
        {"deliv_per_s": "deliveries/s", "us_cpu_per_deliv": "µs of CPU a delivery", "kb_per_conn": "kB each"},
        (AtLeast("deliv_per_s", 1, ("socketio",)),),
        WARM,
        dialect="polling",
    ),
    Work(
        "polling_paced",
        "Socket.IO polling, 1,000 subscribers, 2 events a second",
        {"conns": 1000, "msgs": 20, "rate": 2, "parallel": 8},
        {"us_cpu_per_deliv": "µs of CPU a delivery", "p50_ms": "ms, p50", "p99_ms": "ms, p99"},
        (),
        WARM,
        dialect="polling",
    ),
)
