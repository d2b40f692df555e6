"""Every seam has an implementation, and every implementation is what it says it is."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest
from zope.interface import Interface, implementedBy
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyObject

import broadcaster
from broadcaster import interfaces
from broadcaster.counters import Counters
from broadcaster.drivers.memory import MemoryDriver
from broadcaster.drivers.pusher.options import Options as PusherOptions
from broadcaster.drivers.redis.options import Options
from broadcaster.settings import TLS, Limits, Server, SocketIO
from broadcaster.sharing import Guard
from tests.drivers import ScriptedDriver
from tests.inprocess import InProcess
from tests.sharing import SharingDriver
from tests.sockets import certificate

INTERFACES = [each for each in vars(interfaces).values() if isinstance(each, InterfaceClass) and each is not Interface]


def implementations() -> dict[str, type]:
    """The classes of this package that implement any of its interfaces, by dotted name."""
    found = {}
    for module in pkgutil.walk_packages(broadcaster.__path__, "broadcaster."):
        for name, each in inspect.getmembers(import_module(module.name), inspect.isclass):
            if each.__module__ == module.name and promised(each):
                found[f"{module.name}.{name}"] = each
    return found


def promised(implementation: type) -> list[InterfaceClass]:
    return [each for each in implementedBy(implementation).flattened() if each in INTERFACES]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    pem = tmp_path_factory.mktemp("tls") / "server.pem"
    pem.write_bytes(certificate())
    server = InProcess(server=Server(listen=("tcp:6001", "tls:6443")), tls=TLS(certificate=str(pem)))
    yield server
    server.stop()


def connection(server: InProcess) -> Any:
    server.open()
    return server.service.hub.connections()[-1]


EXAMPLES: dict[str, Callable[[type[Any], InProcess], object]] = {
    "auth.endpoint.EndpointAuthorizer": lambda made, server: made(None, "", None),
    "auth.nobody.Nobody": lambda made, server: made(Limits()),
    "auth.prefixes.Watched": lambda made, server: made(None, None),
    "auth.subscription.SignatureAuthorizer": lambda made, server: made(Limits()),
    "connection.Connection": lambda made, server: connection(server),
    "drivers.memory.MemoryDriver": lambda made, server: made(),
    "drivers.redis.driver.RedisDriver": lambda made, server: made(server.reactor, Options()),
    "drivers.redis.shared.driver.SharingDriver": lambda made, server: made(server.reactor, Options()),
    "drivers.redis.shared.hooks.HookStore": lambda made, server: made(None, ""),
    "drivers.redis.shared.last_events.LastEvents": lambda made, server: made(None, None),
    "drivers.redis.shared.membership.Membership": lambda made, server: made(None, None, None, None, None, None),
    "drivers.redis.shared.watching.Watching": lambda made, server: made(None, None, None, None),
    "drivers.pusher.driver.Interest": lambda made, server: made(None, None),
    "drivers.pusher.driver.PusherDriver": lambda made, server: made(
        server.reactor, PusherOptions(app_id="1", key="k", secret="s")
    ),
    "hub.Hub": lambda made, server: server.service.hub,
    "facts.Facts": lambda made, server: made(),
    "inlet.Inlet": lambda made, server: made(None, "memory", Counters()),
    "last_events.LocalLastEvents": lambda made, server: made(None, lambda: 0.0),
    "membership.LocalMembership": lambda made, server: made(server.service.hub),
    "plugins.DriverMaker": lambda made, server: made("memory", "broadcaster.drivers.memory"),
    "protocols.echo.EchoCodec": lambda made, server: made(4),
    "protocols.pusher.PusherCodec": lambda made, server: made(),
    "sharing.SharedInterest": lambda made, server: made(None, Guard("memory", Counters())),
    "sharing.SharedLastEvents": lambda made, server: made(None, Guard("memory", Counters())),
    "sharing.SharedMembership": lambda made, server: made(None, Guard("memory", Counters())),
    "sharing.SharedSeats": lambda made, server: made(None, Guard("memory", Counters())),
    "sharing.SharedWatch": lambda made, server: made(None, Guard("memory", Counters())),
    "subscription_counts.SubscriptionCounts": lambda made, server: made((), None, None, None, None, lambda: 0.0),
    "testing.process.Process": lambda made, server: made(SharingDriver()),
    "testing.sink.RecordingSink": lambda made, server: made(),
    "tls.certificates.Certificates": lambda made, server: server.service.certificates,
    "web.echo.Guest": lambda made, server: made(None, None, None),
    "web.engine_link.EngineLink": lambda made, server: made(
        "sid", 4, False, "", SocketIO(), None, None, lambda: 0.0, lambda sid: None
    ),
    "web.engine_link.TextLink": lambda made, server: made(
        "sid", 3, True, "", SocketIO(), None, None, lambda: 0.0, lambda sid: None
    ),
    "webhooks.office.Webhooks": lambda made, server: server.service.webhooks,
    "webhooks.sqlite.SqliteStore": lambda made, server: made(None, "", lambda: 0.0),
    "webhooks.telling.Telling": lambda made, server: made(server.reactor, None, lambda: 0.0, None),
    "web.websocket.WebSocket": lambda made, server: connection(server)._transport,
}
"""One object of each implementation, named without the package."""


@pytest.mark.parametrize("name", implementations())
def test_an_implementation_keeps_its_interfaces(server: InProcess, name: str) -> None:
    implementation = implementations()[name]
    example = EXAMPLES[name.removeprefix("broadcaster.")](implementation, server)
    assert type(example) is implementation
    for interface in promised(implementation):
        assert verifyObject(interface, example)


@pytest.mark.parametrize("interface", INTERFACES, ids=lambda interface: interface.__name__)
def test_an_interface_has_an_implementation(interface: InterfaceClass) -> None:
    assert any(interface in promised(each) for each in implementations().values())


def test_a_method_of_the_wrong_form_would_be_found() -> None:
    driver = MemoryDriver()
    driver.publish = lambda app_id: None  # type: ignore[assignment,misc]
    with pytest.raises(Exception, match="publish"):
        verifyObject(interfaces.IDriver, driver)


def test_the_drivers_that_tests_script_are_drivers_too() -> None:
    assert verifyObject(interfaces.IDriver, ScriptedDriver())
