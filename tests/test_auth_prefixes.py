"""A forgotten key prefix is told once for each app, with the keys that would mend it."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.logger import LogLevel, capturedLogs

from broadcaster.auth.prefixes import Prefixes
from broadcaster.names import is_prefixed
from broadcaster.settings import Auth
from tests.inprocess import InProcess, app_with


def warnings(events: list[dict[str, Any]]) -> list[str]:
    return [event["log_format"].format(**event) for event in events if event["log_level"] is LogLevel.warn]


def test_each_app_is_told_once() -> None:
    prefixes = Prefixes()
    with capturedLogs() as events:
        for app_id, channel in (
            ("1", "orders"),
            ("1", "private-a"),
            ("1", "laravel_database_private-a"),
            ("1", "laravel_database_presence-b"),
            ("2", "x-presence-\n"),
        ):
            prefixes.look_at(app_id, channel)
    first, second = warnings(events)
    assert first.startswith("app 1: a client asks for 'laravel_database_private-a', ")
    for key in ("driver.redis.prefix", "redis_prefix", "databaseConfig.redis.keyPrefix"):
        assert key in first
    assert second.startswith("app 2: a client asks for 'x-presence-\\n', ")


@pytest.mark.parametrize(
    ("channel", "prefixed"),
    [
        ("private-a", False),
        ("presence-a", False),
        ("private-x-presence-", False),
        ("privateer", False),
        ("my-private-a", True),
        ("x_presence-a", True),
        ("cache-private-a", True),
    ],
)
def test_what_stands_before_is_a_prefix(channel: str, prefixed: bool) -> None:
    assert is_prefixed(channel) is prefixed


def test_clients_of_both_protocols_are_looked_at() -> None:
    server = InProcess(app_with(auth=Auth(host=("http://127.0.0.1:1",))), app_with(id="4", key="other"))
    with capturedLogs() as events:
        server.open(key="other").subscribe("db_private-a", auth="")
        opening = server.http("GET", "/socket.io/?EIO=3&transport=polling").text
        sid = opening.partition('"sid":"')[2].partition('"')[0]
        packet = b'42["subscribe",{"channel":"db_private-a"}]'
        server.http("POST", f"/socket.io/?EIO=3&transport=polling&sid={sid}", b"%d:%b" % (len(packet), packet))
        server.stop()
    assert [line.partition(":")[0] for line in warnings(events) if "db_private-a'" in line] == ["app 4", "app 3"]
