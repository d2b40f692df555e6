"""Drivers of Redis in the test's own process, on the real reactor, which the test runs by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, globalLogPublisher

from broadcaster.drivers.redis import make
from broadcaster.drivers.redis.driver import RedisDriver
from broadcaster.messages import Event
from broadcaster.testing import RecordingSink
from tests.sockets import reactor, run_until

QUICK = {"canary_seconds": 0.3, "reply_seconds": 0.5, "connect_seconds": 0.5, "linger_seconds": 0.1}
"""Options with which a test needs not wait long for what takes seconds otherwise."""


class Driving:
    """One process's driver, started; ``lines`` is what it logged from information upwards."""

    def __init__(
        self, url: str, prefixes: dict[str, str | None] | None = None, wait: bool = True, **options: Any
    ) -> None:
        self.driver: RedisDriver = make(reactor, {"url": url, **QUICK, **options})
        self.driver.tenants(prefixes if prefixes is not None else {"3": None})
        self.sink = RecordingSink()
        self.lines: list[str] = []
        self.restored = 0
        self._wait = wait

    def __enter__(self) -> Self:
        globalLogPublisher.addObserver(self._observe)
        self.driver.on_restored(self._restore)
        self.started = self.driver.start(self.sink)
        if self._wait:
            self.wait_until_it_hears()
        return self

    def __exit__(self, *_: object) -> None:
        stopped: list[object] = []
        self.driver.stop().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of the driver")
        globalLogPublisher.removeObserver(self._observe)
        assert stopped == [None]

    def _observe(self, event: dict[str, Any]) -> None:
        if event["log_level"] >= LogLevel.info and event.get("log_namespace", "").startswith("broadcaster"):
            assert "log_failure" not in event, event["log_failure"].getTraceback()
            self.lines.append(event["log_format"].format(**event))

    def _restore(self) -> None:
        self.restored += 1

    @property
    def hears(self) -> bool:
        return not self.driver.faults()

    def wait_until_it_hears(self) -> None:
        try:
            run_until(lambda: self.hears, "hearing Redis")
        except AssertionError as error:
            error.add_note(f"it says: {self.driver.faults()}")
            raise

    def wait_until_it_is_deaf(self) -> None:
        run_until(lambda: not self.hears, "noticing that Redis is away")

    def want(self, channel: str, app_id: str = "3") -> None:
        """Have the channel heard here."""
        result(self.driver.wanted(app_id, channel))

    def publish(self, channel: str | tuple[str, ...], data: str = "1", **more: Any) -> None:
        channels = (channel,) if isinstance(channel, str) else channel
        assert result(self.driver.publish("3", Event("e", channels, data, **more))) is None

    def events(self) -> list[Any]:
        """What was delivered since the last call."""
        found, self.sink.delivered = [delivery for _, delivery in self.sink.delivered], []
        return found

    def wait_for(self, count: int = 1) -> list[Any]:
        """The next deliveries: so many."""
        run_until(lambda: len(self.sink.delivered) >= count, f"{count} deliveries")
        return self.events()


def result(deferred: Deferred[Any]) -> Any:
    """What it fires with; raises what it fails with."""
    results: list[Any] = []
    failures: list[Any] = []
    deferred.addCallbacks(results.append, failures.append)
    run_until(lambda: results or failures, "an answer")
    if failures:
        failures[0].raiseException()
    return results[0]


def laravel(event: Any = "App\\Events\\Shipped", data: Any = 1, socket: Any = None) -> str:
    """What RedisBroadcaster publishes."""
    return json.dumps({"event": event, "data": data, "socket": socket}, separators=(",", ":"))


def failure_of(ask: Callable[[], Deferred[Any]]) -> Exception | None:
    """What it fails with, None if it does not."""
    try:
        result(ask())
    except Exception as error:
        return error
    return None
