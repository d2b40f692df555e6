"""Taking on a configuration that was read again: all of it that can change while clients stay, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from broadcaster.apps import Apps
from broadcaster.auth.subscription import SignatureAuthorizer
from broadcaster.cache import Cache
from broadcaster.connection import Connection
from broadcaster.hub import Hub
from broadcaster.interfaces import ITenants
from broadcaster.recovery import Recovery
from broadcaster.settings import Settings
from broadcaster.subscription_counts import SubscriptionCounts
from broadcaster.switchboard import Switchboard
from broadcaster.tls.certificates import Certificates, found
from broadcaster.web.admission import Admission
from broadcaster.web.echo import Reception
from broadcaster.web.engineio import EngineIO
from broadcaster.web.forwarded import TrustedProxies
from broadcaster.web.frontdoor import FrontDoors, Respond
from broadcaster.web.outbox import Turns
from broadcaster.web.proxied import Proxied
from broadcaster.web.site import Site
from broadcaster.webhooks.office import Webhooks
from broadcaster.webhooks.receivers import receivers_of

GONE = (4001, "Application does not exist")
DISABLED = (4003, "Application disabled")


@dataclass(frozen=True, slots=True)
class Facade:
    """What is made of the settings and keeps nothing, so that it is simply made anew."""

    apps: Apps
    admission: Admission
    site: Site
    only_metrics: Respond


@dataclass(frozen=True, slots=True)
class Parts:
    """What lives as long as the process, and keeps some of the settings. ``measuring`` serves only the metrics."""

    hub: Hub
    turns: Turns
    cache: Cache
    counts: SubscriptionCounts
    board: Switchboard
    signatures: SignatureAuthorizer
    recovery: Recovery
    certificates: Certificates | None
    proxies: TrustedProxies
    reception: Reception
    engine: EngineIO
    tenants: ITenants | None
    webhooks: Webhooks
    doors: list[FrontDoors]
    measuring: list[FrontDoors]
    proxied: list[Proxied]


class Reconfiguration:
    """``facade`` makes what keeps nothing."""

    def __init__(self, parts: Parts, facade: Callable[[Settings], Facade]) -> None:
        self._parts = parts
        self._facade = facade

    def take(self, settings: Settings) -> Facade:
        """Have the server run by ``settings``. Raises `ConfigError`, and has changed nothing then."""
        parts, source = self._parts, settings.source
        facade = self._facade(settings)
        proxies = TrustedProxies(settings.server.trusted_proxies, source)
        receivers_of(settings.apps, source)
        certificates = found(settings.tls, source) if parts.certificates is not None else {}
        # From here on nothing fails.
        if parts.certificates is not None:
            parts.certificates.adopt(certificates, source)
        parts.proxies.adopt(proxies)
        parts.turns.slow_client = settings.slow_client
        parts.cache.adopt({app.id: app.cache_seconds for app in settings.apps})
        parts.counts.adopt({app.id for app in settings.apps if app.subscription_count})
        parts.recovery.seconds = settings.socketio.recovery_seconds
        parts.board.limits = settings.limits
        parts.signatures.limits = settings.limits
        if parts.tenants is not None:
            parts.tenants.tenants({app.id: app.redis_prefix for app in settings.apps})
        parts.webhooks.reload(settings)
        parts.reception.adopt(settings.apps, settings.socketio.max_bytes)
        parts.engine.adopt(settings.socketio, facade.apps, facade.admission)
        for doors in parts.doors:
            doors.adopt(facade.site.respond, settings.limits, facade.site)
        for doors in parts.measuring:
            doors.adopt(facade.only_metrics, settings.limits)
        for proxied in parts.proxied:
            proxied.adopt(settings.limits)
        self._tell_clients(facade.apps)
        return facade

    def _tell_clients(self, apps: Apps) -> None:
        for connection in self._parts.hub.connections():
            if not isinstance(connection, Connection):
                continue
            app = apps.by_id(connection.app.id)
            if app is None:
                connection.close(*GONE)
            elif not app.enabled:
                connection.close(*DISABLED)
            else:
                connection.app = app


def settled(running: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """``wanted`` without what needs a restart, and the names of what that is."""
    server = replace(wanted.server, listen=running.server.listen, control=running.server.control)
    metrics = replace(wanted.metrics, listen=running.metrics.listen)
    webhooks = replace(wanted.webhooks, file=running.webhooks.file, timeout_seconds=running.webhooks.timeout_seconds)
    names = {
        "server.listen": wanted.server.listen != running.server.listen,
        "server.control": wanted.server.control != running.server.control,
        "metrics.listen": wanted.metrics.listen != running.metrics.listen,
        "webhooks.file": wanted.webhooks.file != running.webhooks.file,
        "webhooks.timeout_seconds": wanted.webhooks.timeout_seconds != running.webhooks.timeout_seconds,
        "driver": wanted.driver != running.driver,
    }
    kept = replace(wanted, server=server, metrics=metrics, webhooks=webhooks, driver=running.driver)
    return kept, [name for name, differs in names.items() if differs]
