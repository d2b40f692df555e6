"""``/metrics``: what stands there is documented, what is documented stands there, and it means what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate
from prometheus_client.parser import text_string_to_metric_families

from broadcaster.errors import DriverError
from broadcaster.settings import TLS, Driver, Host, Metrics, Server, Webhook, Webhooks
from tests.drivers import ScriptedDriver, raising, serve
from tests.inprocess import APP, Answer, InProcess, app_with
from tests.sockets import certificate

DOCUMENT = Path(__file__).parents[1] / "docs" / "metrics.md"

ROW = re.compile(r"\| `(?P<name>broadcaster_\w+)` \| (?P<kind>\w+) \| (?P<labels>[^|]+) \| (?P<meaning>[^|]+) \|")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[InProcess]:
    pem = tmp_path / "server.pem"
    pem.write_bytes(certificate())
    server = InProcess(
        app_with(webhooks=(Webhook(url="http://back.test/", events=("cache_miss",)),)),
        app_with(id="4", key="other-key", secrets=("other-secret",)),
        server=Server(listen=("tcp:6001", "tls:6443")),
        tls=TLS(certificate=str(pem), hosts=(Host(name="Other.Test", certificate=str(pem)),)),
        webhooks=Webhooks(file=str(tmp_path / "webhooks.sqlite")),
    )
    yield server
    server.stop()


def families(server: InProcess) -> dict[str, Any]:
    """The metrics by the names of the document: those of counters end with ``_total``."""
    answer = server.http("GET", "/metrics")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(answer.text)
    }


def read(server: InProcess, name: str, /, **labels: str) -> float:
    """One number; 0 for a label that has not come up yet."""
    name = f"broadcaster_{name}"
    for family in families(server).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return 0.0


# ---- the document ---------------------------------------------------------------------------------------------


PUSHER = {"app_id": "1", "key": "k", "secret": "s", "host": "127.0.0.1", "compare": True, "deliver": "redis"}


@pytest.fixture
def on_both() -> Iterator[InProcess]:
    """A server on the drivers that have figures of their own."""
    others = {"redis": {"url": "redis+unix:///nowhere"}}
    server = InProcess(driver=Driver(name="pusher", options=PUSHER, others=others))
    yield server
    server.stop()


def test_what_is_there_is_what_is_documented(server: InProcess, on_both: InProcess) -> None:
    server.joined("a")
    server.joined("a").say("pusher:nonsense")
    found = {
        name: (family.type, {label for sample in family.samples for label in sample.labels})
        for name, family in {**families(on_both), **families(server)}.items()
    }
    documented = {
        row["name"]: (row["kind"], set(re.findall(r"`(\w+)`", row["labels"])))
        for row in ROW.finditer(DOCUMENT.read_text())
    }
    assert found == documented


def test_every_metric_says_what_it_means(server: InProcess) -> None:
    assert all(family.documentation for family in families(server).values())


def test_the_documents_expressions_use_only_what_is_there(server: InProcess, on_both: InProcess) -> None:
    there = {sample.name for family in families(on_both).values() for sample in family.samples}
    there |= {sample.name for family in families(server).values() for sample in family.samples}
    server.joined("a").say("pusher:nonsense")
    there |= families(server).keys() | {
        sample.name for family in families(server).values() for sample in family.samples
    }
    assert set(re.findall(r"broadcaster_\w+", DOCUMENT.read_text())) <= there


# ---- how things stand -----------------------------------------------------------------------------------------


def test_connections_channels_and_subscriptions_are_counted_by_app(server: InProcess) -> None:
    first = server.joined("a", "b")
    second = server.joined("a")
    server.joined("a", key="other-key")
    assert [read(server, "connections", app=app) for app in ("3", "4")] == [2, 1]
    assert [read(server, "channels", app=app) for app in ("3", "4")] == [2, 1]
    assert [read(server, "subscriptions", app=app) for app in ("3", "4")] == [3, 1]
    second.drop()
    first.say("pusher:unsubscribe", {"channel": "b"})
    assert [read(server, name, app="3") for name in ("connections", "channels", "subscriptions")] == [1, 1, 1]


def test_an_app_without_connections_has_none(server: InProcess) -> None:
    assert 'broadcaster_connections{app="4"} 0.0\n' in server.http("GET", "/metrics").text


def test_ready_is_what_ready_says(server: InProcess) -> None:
    assert read(server, "ready") == 1
    server.service.drain()
    assert read(server, "ready") == 0
    unready = serve(ScriptedDriver(start=raising(DriverError("no route"))))
    assert read(unready, "ready") == 0
    unready.stop()


def test_lag_is_how_late_the_last_tick_came(server: InProcess) -> None:
    server.advance(3)
    assert read(server, "loop_lag_seconds") == 0
    server.advance(2.5, step=2.5)
    assert read(server, "loop_lag_seconds") == 1.5
    server.advance(2)
    assert read(server, "loop_lag_seconds") == 0


# ---- what happened --------------------------------------------------------------------------------------------


def test_every_event_that_went_to_the_driver_counts(server: InProcess) -> None:
    client = server.joined("private-a")
    server.publish("a")
    server.publish(["a", "b"])
    event = {"name": "e", "channel": "a", "data": "1"}
    server.call("POST", "/batch_events", {"batch": [event, event]})
    server.call("POST", "/channels/a/events", b"1", "name=e")
    client.say("client-e", "1", channel="private-a")
    server.publish("a b")
    client.say("client-e", "1", channel="a")
    assert read(server, "events_published_total") == 6
    assert read(server, "client_events_total") == 1


def test_every_message_to_every_subscriber_is_a_delivery(server: InProcess) -> None:
    clients = [server.joined("a", "b") for _ in range(3)]
    server.publish("a")
    server.publish(["a", "b"])
    assert read(server, "deliveries_total") == sum(len(client.events()) for client in clients) == 9


def test_bytes_are_counted_both_ways(server: InProcess) -> None:
    client = server.joined("a")
    received = read(server, "received_bytes_total")
    before = server.http("GET", "/metrics")
    client.raw(b"\x89\x80mask")
    assert client.link.take() == b"\x8a\x00"
    after = server.http("GET", "/metrics")
    assert sent(after) - sent(before) == len(b"\x8a\x00") + len(before.raw)
    assert read(server, "received_bytes_total") - received == len(b"\x89\x80mask")


def sent(answer: Answer) -> float:
    (number,) = re.findall(r"^broadcaster_sent_bytes_total (.+)$", answer.text, re.MULTILINE)
    return float(number)


def test_who_was_let_in_counts_and_who_was_refused_does_under_the_code(server: InProcess) -> None:
    server.joined("a").drop()
    server.open(key="nobody").events()
    server.open(query="").events()
    assert read(server, "connections_opened_total") == 1
    assert [read(server, "refusals_total", code=code) for code in ("4001", "4008", "4009")] == [1, 1, 0]


def test_refused_commands_count_under_their_code_or_their_kind(server: InProcess) -> None:
    client = server.joined()
    client.say("client-e", "1", channel="a")
    client.say("nonsense")
    client.say("nonsense")
    client.say("pusher:subscribe", {"channel": "private-a", "auth": "x:y"})
    codes = ("4301", "CommandRejected", "SubscriptionRejected")
    assert [read(server, "refusals_total", code=code) for code in codes] == [1, 2, 1]


def test_a_driver_that_fails_is_counted() -> None:
    server = serve(ScriptedDriver(publish=raising(DriverError("no route"))))
    server.publish("a")
    server.publish("a")
    assert (read(server, "driver_failures_total"), read(server, "events_published_total")) == (2, 2)
    server.stop()


def test_a_broadcast_is_timed_from_delivery_to_the_last_subscriber(server: InProcess) -> None:
    server.joined("a")
    server.publish("none")
    assert read(server, "broadcast_seconds_count") == 0
    server.publish("a")
    server.publish("a")
    assert read(server, "broadcast_seconds_count") == 2
    assert read(server, "broadcast_seconds_bucket", le="0.001") == 2
    assert read(server, "broadcast_seconds_sum") == 0


def test_days_to_expiry_are_told_by_name(server: InProcess) -> None:
    ends = load_pem_x509_certificate(certificate()).not_valid_after_utc.timestamp()
    for name in ("server.test", "other.test"):
        assert read(server, "certificate_expiry_days", name=name) == pytest.approx((ends - server.wall) / 86_400)
    server.wall = ends + 43_200
    assert read(server, "certificate_expiry_days", name="server.test") == -0.5


# ---- where it is ----------------------------------------------------------------------------------------------


def test_a_listener_of_its_own_takes_it_away_from_the_others() -> None:
    server = InProcess(metrics=Metrics(listen="tcp:9601"))
    assert server.http("GET", "/metrics").status == 404
    (public, private) = server.service.listeners._wanted
    assert (private.key, private.description) == ("metrics.listen", "tcp:9601")
    assert public.factory is server.doors
    server.doors = private.factory
    assert server.http("GET", "/metrics").text.startswith("# HELP broadcaster_ready ")
    for path in ("/", "/up", "/apps/3/channels", f"/app/{APP.key}"):
        answer = server.http("GET", path)
        assert (answer.status, answer.text) == (404, "Not found: only /metrics is here\n")
    server.stop()


def test_it_can_be_switched_off() -> None:
    server = InProcess(metrics=Metrics(enabled=False, listen="tcp:9601"))
    assert server.http("GET", "/metrics").status == 404
    assert len(server.service.listeners.factories) == 1
    server.stop()
