"""Drivers by name: how a distribution offers one, and how the configured one is found."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, cast

from twisted.plugin import IPlugin, getPlugins
from zope.interface import implementer

from broadcaster.errors import ConfigError, DriverError
from broadcaster.interfaces import IDriver, IDriverMaker, IForwarder
from broadcaster.settings import Driver


@implementer(IPlugin, IDriverMaker)
class DriverMaker:
    """The driver called ``name``, made by ``make(reactor, options)`` of ``module``, imported when it is asked for.

    An instance at the top of a module in ``twisted/plugins/`` is all that a driver of one's own needs to be found.
    """

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self._module = module

    def make(self, reactor: Any, options: Mapping[str, Any]) -> IDriver:
        """See `IDriverMaker`."""
        return cast(IDriver, import_module(self._module).make(reactor, options))


def make_drivers(wanted: Driver, reactor: Any, source: str) -> IDriver:
    """The driver that the configuration names, standing on another one if it says so. Raises `ConfigError`."""
    driver = make_driver(driver_maker(wanted.name, source), reactor, wanted.options, source)
    forwarder = IForwarder(driver, None)
    if forwarder is not None and forwarder.beneath != "none":
        name = forwarder.beneath
        forwarder.stand_on(make_driver(driver_maker(name, source), reactor, wanted.others.get(name, {}), source))
    return driver


def driver_maker(name: str, source: str) -> IDriverMaker:
    """The maker of the driver that the configuration calls ``name``; raises `ConfigError` if nobody offers it."""
    makers = {maker.name: maker for maker in getPlugins(IDriverMaker)}
    if name in makers:
        return makers[name]
    nearest = get_close_matches(name, makers, 1)
    known = ", ".join(sorted(makers))
    remedy = f"did you mean {nearest[0]!r}?" if nearest else f"installed are: {known}"
    raise ConfigError(source, "driver.name", f"there is no driver {name!r}", remedy)


def make_driver(maker: IDriverMaker, reactor: Any, options: Mapping[str, Any], source: str) -> IDriver:
    """The driver that ``maker`` makes; raises `ConfigError` for whatever keeps it from that, and for none at all."""
    try:
        driver = maker.make(reactor, options)
        if not IDriver.providedBy(driver):
            raise TypeError(f"make() returned {type(driver).__name__}, which is no IDriver")
    except ConfigError as error:
        raise ConfigError(source, error.key, error.problem, error.remedy) from None
    except Exception as error:
        problem = f"driver {maker.name!r} cannot be made: {DriverError.of(error)}"
        raise ConfigError(source, "driver.name", problem, "install it whole, or name another") from error
    return driver
