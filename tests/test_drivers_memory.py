"""The driver with no distance."""

from __future__ import annotations

import pytest

from broadcaster.drivers.memory import MemoryDriver, make
from broadcaster.errors import ConfigError, DriverError
from broadcaster.messages import Event


class Sink:
    """Keeps what is delivered."""

    def __init__(self) -> None:
        self.delivered: list[object] = []

    def deliver(self, app_id: str, delivery: object) -> None:
        self.delivered.append((app_id, delivery))


def test_memory_delivers_while_it_publishes() -> None:
    driver, sink = MemoryDriver(), Sink()
    assert driver.start(sink).result is None
    event = Event("e", ("a",), "1")
    assert driver.publish("3", event).result is None
    assert sink.delivered == [("3", event)]


@pytest.mark.parametrize("stopped", (False, True))
def test_memory_that_does_not_run_takes_and_delivers_nothing(stopped: bool) -> None:
    driver, sink = MemoryDriver(), Sink()
    if stopped:
        driver.start(sink)
        driver.stop()
    errors: list[object] = []
    driver.publish("3", Event("e", ("a",), "1")).addErrback(lambda failure: errors.append(failure.value))
    assert [type(error) for error in errors] == [DriverError]
    assert sink.delivered == []


def test_memory_has_no_options() -> None:
    assert isinstance(make(None, {}), MemoryDriver)
    with pytest.raises(ConfigError, match=r"driver\.memory\.size: the memory driver has no options; remove it"):
        make(None, {"size": 1})
