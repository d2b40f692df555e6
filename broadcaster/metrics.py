"""Prometheus: what the counters mean, and how things stand at the moment of asking."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, groupby

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.logger import Logger

from broadcaster.apps import Apps
from broadcaster.counters import LATENCIES, Counters, Measure
from broadcaster.errors import DriverError
from broadcaster.hub import Hub
from broadcaster.interfaces import IMeasured

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Everything measured here; nothing is kept, all of it is read when asked."""

    _log = Logger()

    def __init__(
        self, apps: Apps, hub: Hub, counters: Counters, ready: Callable[[], bool], measured: Iterable[IMeasured]
    ) -> None:
        self._apps = apps
        self._hub = hub
        self._counters = counters
        self._ready = ready
        self._measured = measured
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        counted = self._counters
        yield GaugeMetricFamily("broadcaster_ready", "1 while ready for traffic", int(self._ready()))
        yield GaugeMetricFamily(
            "broadcaster_loop_lag_seconds", "How late the last tick of a second came", counted.loop_lag
        )
        yield self._latency()
        yield self._by_app("connections", "Open connections", {app.id: self._hub.count(app.id) for app in self._apps})
        channels: Tally[str] = Tally()
        subscriptions: Tally[str] = Tally()
        for app_id, subscribers in self._hub.occupancy():
            channels[app_id] += 1
            subscriptions[app_id] += subscribers
        yield self._by_app("channels", "Occupied channels", channels)
        yield self._by_app("subscriptions", "Subscriptions: connections times channels", subscriptions)
        for name, meaning, value in (
            ("connections_opened", "Connections that were let in", counted.connections),
            ("events_published", "Events handed to the driver, client events among them", counted.events_published),
            ("client_events", "Client events accepted", counted.client_events),
            ("deliveries", "Messages sent to subscribers", counted.deliveries),
            ("received_bytes", "Bytes that came in on WebSockets", counted.bytes_received),
            ("sent_bytes", "Bytes handed to sockets", counted.bytes_sent),
            ("dropped_writes", "Writes that slow clients missed under drop_oldest", counted.writes_dropped),
            ("slow_clients", "Connections given up because they did not read", counted.slow_clients),
            ("proxy_headers_missing", "Links to haproxy: listeners without a PROXY header", counted.headers_missing),
            (
                "driver_failures",
                "Publishes and questions about members that the driver failed",
                counted.driver_failures,
            ),
        ):
            yield CounterMetricFamily(f"broadcaster_{name}", meaning, value)
        refusals = CounterMetricFamily("broadcaster_refusals", "Commands and connections refused", labels=["code"])
        for code, count in sorted(counted.refusals.items()):
            refusals.add_metric([code], count)
        yield refusals
        for measured in self._measured:
            try:
                yield from list(_families(measured.measures()))
            except Exception as error:
                # A driver's are somebody else's code: all other figures are read without them.
                counted.driver_failures += 1
                name = type(measured).__name__
                self._log.error("{name} cannot say how it stands: {error}", name=name, error=DriverError.of(error))

    def _latency(self) -> Metric:
        latency = self._counters.latency
        counts = [str(bound) for bound in LATENCIES] + ["+Inf"]
        buckets = list(zip(counts, accumulate(latency.counts), strict=True))
        meaning = "From an event's delivery to the hub until its last subscriber here was written to"
        family = HistogramMetricFamily("broadcaster_broadcast_seconds", meaning)
        family.add_metric([], buckets=buckets, sum_value=latency.total)
        return family

    def _by_app(self, name: str, meaning: str, values: dict[str, int]) -> Metric:
        family = GaugeMetricFamily(f"broadcaster_{name}", meaning, labels=["app"])
        for app_id, value in values.items():
            family.add_metric([app_id], value)
        return family


def _families(measures: Iterable[Measure]) -> Iterator[Metric]:
    for name, group in groupby(measures, lambda measure: measure.name):
        rows = list(group)
        kind = CounterMetricFamily if rows[0].counter else GaugeMetricFamily
        family = kind(f"broadcaster_{name}", rows[0].meaning, labels=[label for label, _ in rows[0].labels])
        for row in rows:
            family.add_metric([value for _, value in row.labels], row.value)
        yield family
