"""Drivers by name: those that come with the server, and one that somebody put into a ``twisted/plugins`` of theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import broadcaster
import twisted.plugins
from broadcaster.drivers.memory import MemoryDriver
from broadcaster.errors import ConfigError
from broadcaster.interfaces import IDriver, IDriverMaker
from broadcaster.plugins import DriverMaker, driver_maker
from broadcaster.settings import Driver
from tests.inprocess import InProcess

PLUGIN = """
from broadcaster.plugins import DriverMaker

carrier = DriverMaker("carrier", "carrier_of_ours")
"""

DRIVER = '''
from broadcaster.drivers.memory import MemoryDriver
from broadcaster.errors import ConfigError


class Carrier(MemoryDriver):
    """Carries events as memory does, and knows what it was configured with."""

    def __init__(self, reactor, options):
        super().__init__()
        self.reactor = reactor
        self.options = options


def make(reactor, options):
    if "broken" in options:
        import no_such_module_anywhere
    if "empty" in options:
        return None
    if "speed" in options and not isinstance(options["speed"], int):
        raise ConfigError("broadcaster.toml", "driver.carrier.speed", "it is no number", "write e.g. 7")
    return Carrier(reactor, options)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a distribution with a driver of its own puts on the path; Twisted keeps its cache beside the plugin."""
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "carrier_plugin.py").write_text(PLUGIN)
    (tmp_path / "carrier_of_ours.py").write_text(DRIVER)
    return tmp_path


@pytest.fixture
def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """It is on the path of this process until the test ends."""
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(twisted.plugins, "__path__", [*twisted.plugins.__path__, str(folder / "twisted" / "plugins")])
    yield
    for module in ("twisted.plugins.carrier_plugin", "carrier_of_ours"):
        sys.modules.pop(module, None)


def test_the_drivers_that_come_with_the_server_are_found() -> None:
    assert isinstance(driver_maker("memory", "here").make(None, {}), MemoryDriver)


def test_a_driver_of_ones_own_is_found_by_its_name(installed: None) -> None:
    maker = driver_maker("carrier", "here")
    assert IDriverMaker.providedBy(maker)
    driver = maker.make(None, {})
    assert IDriver.providedBy(driver)
    assert type(driver).__name__ == "Carrier"


def test_it_is_imported_only_when_it_is_asked_for(installed: None) -> None:
    driver_maker("memory", "here").make(None, {})
    assert "carrier_of_ours" not in sys.modules
    driver_maker("carrier", "here")
    assert "carrier_of_ours" not in sys.modules


def test_a_server_runs_on_it_with_its_own_table_of_options(installed: None) -> None:
    server = InProcess(driver=Driver(name="carrier", options={"speed": 7}))
    driver = server.service._driver
    assert (driver.reactor, driver.options) == (server.reactor, {"speed": 7})
    client = server.joined("a")
    assert server.publish("a").status == 200
    assert [event["data"] for event in client.events()] == ["1"]
    server.stop()


def test_what_it_says_about_its_options_is_said(installed: None) -> None:
    with pytest.raises(
        ConfigError, match=r"broadcaster\.toml: driver\.carrier\.speed: it is no number; write e\.g\. 7"
    ):
        InProcess(driver=Driver(name="carrier", options={"speed": "fast"}), source="broadcaster.toml")


@pytest.mark.parametrize(
    ("option", "reason"),
    (
        ("broken", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("empty", "TypeError: make() returned NoneType, which is no IDriver"),
    ),
)
def test_what_cannot_be_made_is_one_line_that_names_the_driver(installed: None, option: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        InProcess(driver=Driver(name="carrier", options={option: True}), source="broadcaster.toml")
    assert str(caught.value) == (
        f"broadcaster.toml: driver.name: driver 'carrier' cannot be made: {reason}; install it whole, or name another"
    )


def test_a_name_that_is_nearly_right_is_told_the_right_one(installed: None) -> None:
    with pytest.raises(ConfigError) as caught:
        driver_maker("carier", "broadcaster.toml")
    assert str(caught.value) == "broadcaster.toml: driver.name: there is no driver 'carier'; did you mean 'carrier'?"


def test_any_other_name_is_told_what_there_is(installed: None) -> None:
    with pytest.raises(ConfigError) as caught:
        driver_maker("telepathy", "broadcaster.toml")
    line = str(caught.value)
    assert line.startswith("broadcaster.toml: driver.name: there is no driver 'telepathy'; installed are: carrier, ")
    assert "memory" in line


def test_a_maker_hands_reactor_and_options_on(installed: None) -> None:
    reactor, options = object(), {"speed": 1}
    driver = DriverMaker("any", "carrier_of_ours").make(reactor, options)
    assert (driver.reactor, driver.options) == (reactor, options)


@pytest.mark.real
def test_pythonpath_is_all_that_it_needs(folder: Path) -> None:
    script = """
from broadcaster.plugins import driver_maker
from broadcaster.settings import EMBEDDED
from broadcaster.service import build
from msgspec.structs import replace
from broadcaster.settings import Driver
from twisted.internet.testing import MemoryReactorClock

print(type(driver_maker("carrier", "here").make(None, {})).__name__)
build(MemoryReactorClock(), replace(EMBEDDED, driver=Driver(name="carrier")))
"""
    path = os.pathsep.join((str(folder), str(Path(broadcaster.__file__).parents[1])))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "Carrier\n", "")
