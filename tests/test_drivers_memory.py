"""The driver with no distance."""

from __future__ import annotations

import pytest
from twisted.trial.unittest import TestCase

from broadcaster.drivers.memory import MemoryDriver, make
from broadcaster.errors import ConfigError
from broadcaster.messages import Event
from broadcaster.testing import DriverContract, RecordingSink


class TestMemory(DriverContract, TestCase):
    """Held to what every driver is held to."""

    def make_driver(self) -> MemoryDriver:
        return MemoryDriver()


def test_memory_delivers_while_it_publishes() -> None:
    driver, sink = MemoryDriver(), RecordingSink()
    assert driver.start(sink).result is None
    event = Event("e", ("a",), "1")
    assert driver.publish("3", event).result is None
    assert sink.delivered == [("3", event)]


def test_memory_has_no_options() -> None:
    assert isinstance(make(None, {}), MemoryDriver)
    with pytest.raises(ConfigError, match=r"driver\.memory\.size: unknown key; it has no options"):
        make(None, {"size": 1})
