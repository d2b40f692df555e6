"""The composition root: the only place that names concrete classes and says who gets what."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from time import monotonic, time
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, ServerFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.apps import Apps
from broadcaster.auth.prefixes import Prefixes, Watched
from broadcaster.auth.subscription import SignatureAuthorizer
from broadcaster.cache import Cache
from broadcaster.config.listen import is_secure
from broadcaster.counters import Counters
from broadcaster.drain import Drain
from broadcaster.errors import DriverError
from broadcaster.facts import Facts
from broadcaster.hub import Hub
from broadcaster.inheritance import Inherited
from broadcaster.inlet import Inlet
from broadcaster.interfaces import (
    IComparison,
    IDriver,
    IEager,
    IHookStore,
    ILocal,
    IMeasured,
    IReadiness,
    ITenants,
)
from broadcaster.last_events import LocalLastEvents
from broadcaster.listeners import Listeners
from broadcaster.membership import LocalMembership
from broadcaster.metrics import CONTENT_TYPE, Metrics
from broadcaster.plugins import make_drivers
from broadcaster.process import file_limit
from broadcaster.publisher import Publisher
from broadcaster.reconfiguration import Facade, Parts, Reconfiguration, settled
from broadcaster.recovery import Recovery
from broadcaster.settings import Settings
from broadcaster.sharing import shared_by
from broadcaster.subscription_counts import SubscriptionCounts
from broadcaster.switchboard import Switchboard
from broadcaster.ticks import Ticks
from broadcaster.tls.certificates import Certificates
from broadcaster.tls.wrapping import over_tls
from broadcaster.users import Users
from broadcaster.web.admission import Admission
from broadcaster.web.api import Api, Brake
from broadcaster.web.bodies import Bodies
from broadcaster.web.echo import Reception
from broadcaster.web.echo_api import EchoApi
from broadcaster.web.engineio import EngineIO
from broadcaster.web.forwarded import TrustedProxies
from broadcaster.web.frontdoor import Answer, FrontDoors, Respond
from broadcaster.web.http import Request, Response, text
from broadcaster.web.outbox import Turns
from broadcaster.web.parting import part
from broadcaster.web.proxied import Proxied
from broadcaster.web.site import Site
from broadcaster.webhooks.office import Webhooks
from broadcaster.webhooks.sqlite import SqliteStore
from broadcaster.wheel import Wheel

SPARE_FILES = 64
"""Descriptors kept back for logs, listeners and the driver when connections take all others, beside those for asking
the application."""

TICK = 1.0
"""Seconds between two turns of the wheel of deadlines; less where heartbeats are so short that it would be too late."""

DRIVER_SECONDS = 5.0
"""How long the driver may take to stop before the process goes on without it."""


def build(
    reactor: Any,
    settings: Settings,
    clock: Callable[[], float] = monotonic,
    now: Callable[[], float] = time,
    driver: IDriver | None = None,
) -> BroadcasterService:
    """The whole server, neither bound nor started; ``clock`` is monotonic, ``now`` the wall's.

    ``driver`` stands in for the one that the settings would have made. Raises `ConfigError`.
    """
    apps = Apps(settings.apps, settings.source)
    counters = Counters()
    turns = Turns(reactor, settings.slow_client, counters)
    driver = driver or make_drivers(settings.driver, reactor, settings.source)
    tenants = ITenants(driver, None)
    if tenants is not None:
        tenants.tenants({app.id: app.redis_prefix for app in settings.apps})
    shared = shared_by(driver, settings.driver.name, counters)
    users = Users(alone=shared.watch is None)
    cache = Cache({app.id: app.cache_seconds for app in settings.apps})
    hub = Hub(turns.wake, counters, users, cache, clock)
    eager = IEager(driver, None)
    turns.broadcast_with(hub.step, eager.take_in if eager is not None else None)
    last_events = shared.last_events or LocalLastEvents(cache, clock)
    last_events.keep_last(cache.seconds)
    facts = Facts()
    membership, source = shared.membership, shared.facts
    if membership is None:
        membership = source = LocalMembership(hub)
        hub.observe(membership)
    if source is not None:
        source.observe(facts)
    publisher = Publisher(driver, settings.driver.name, counters, clock)
    tick = min(TICK, settings.socketio.ping_interval / 4, settings.socketio.ping_timeout / 4)
    wheel = Wheel(clock(), tick)
    limits = settings.limits
    admission = _admission(settings, apps, hub)
    counted = {app.id for app in settings.apps if app.subscription_count}
    counts = SubscriptionCounts(counted, hub, membership, facts, wheel, clock)
    hub.observe(counts)
    facts.observe(counts)
    kept = IHookStore(driver, None) or SqliteStore(reactor, settings.webhooks_path, now)
    webhooks = Webhooks(reactor, settings, kept, membership, now)
    facts.observe(webhooks)
    prefixes = Prefixes()
    signatures = SignatureAuthorizer(limits)
    authorizer = Watched(signatures, prefixes)
    board = Switchboard(
        hub, users, cache, publisher, membership, shared, facts, authorizer, limits, counters, wheel, clock
    )
    recovery = Recovery(settings.socketio.recovery_seconds)
    certificates = _certificates(settings, now)
    ticks = Ticks(tick, wheel, cache, recovery, publisher, counters, certificates, clock)
    proxies = TrustedProxies(settings.server.trusted_proxies, settings.source)
    expecting: list[Proxied] = []

    def proxied(factory: Factory) -> Proxied:
        expecting.append(Proxied(factory, proxies, limits, wheel, clock, counters))
        return expecting[-1]

    drain = Drain(reactor, hub, lambda: part(wheel, clock()), lambda: engine.drain())
    inlet = Inlet(hub, settings.driver.name, counters)
    service = BroadcasterService(
        reactor, settings, hub, driver, inlet, facts, webhooks, admission, ticks, drain, proxied, certificates
    )
    measured = [each for each in (certificates, IMeasured(driver, None), webhooks) if each is not None]
    service.at_drain(webhooks.drain)
    brake = Brake(hub, turns)
    reception = Reception(reactor, settings.apps, board, recovery, prefixes, settings.socketio.max_bytes)
    service.at_stop(reception.close)
    engine = EngineIO(settings.socketio, apps, admission, turns, wheel, clock, reception)
    began = clock()

    def facade(settings: Settings, apps: Apps, admission: Admission) -> Facade:
        limits = settings.limits
        metrics = Metrics(apps, hub, counters, lambda: not service.unready(), measured)
        shown = settings.metrics.enabled and settings.metrics.listen is None
        api = Api(apps, publisher, membership, limits, brake, last_events, now)
        echo = settings.echo_api
        echo_api = EchoApi(echo, apps, admission, publisher, membership, limits, brake, engine.sessions, clock, began)
        site = Site(
            settings.server,
            apps,
            api,
            admission,
            board,
            limits,
            engine,
            echo_api,
            service.unready,
            partial(_scrape, metrics) if shown else None,
            settings.demo,
        )
        return Facade(apps, admission, site, partial(_only_metrics, metrics))

    def doors(respond: Respond, bodies: Bodies | None = None) -> FrontDoors:
        made = FrontDoors(respond, turns, wheel, clock, limits, proxies, bodies)
        service.at_drain(made.end)
        return made

    def another(settings: Settings) -> Facade:
        apps = Apps(settings.apps, settings.source)
        return facade(settings, apps, _admission(settings, apps, hub))

    first = facade(settings, apps, admission)
    public = [doors(first.site.respond, first.site) for _ in settings.server.listen]
    for description, each in zip(settings.server.listen, public, strict=True):
        service.listen("server.listen", description, each)
    measuring = []
    if settings.metrics.enabled and settings.metrics.listen is not None:
        measuring = [doors(first.only_metrics)]
        service.listen("metrics.listen", settings.metrics.listen, measuring[0])
    parts = Parts(
        hub,
        turns,
        cache,
        counts,
        board,
        signatures,
        recovery,
        certificates,
        proxies,
        reception,
        engine,
        tenants,
        webhooks,
        public,
        measuring,
        expecting,
    )
    service.reconfigure_with(Reconfiguration(parts, another))
    return service


class BroadcasterService(Service):
    """The server as Twisted starts and stops it: `bind` before it is started, `drain` before it is stopped."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        hub: Hub,
        driver: IDriver,
        inlet: Inlet,
        facts: Facts,
        webhooks: Webhooks,
        admission: Admission,
        ticks: Ticks,
        drain: Drain,
        proxied: Callable[[ServerFactory], ServerFactory],
        certificates: Certificates | None,
    ) -> None:
        self.settings = settings
        self.hub = hub
        self.facts = facts
        self.webhooks = webhooks
        self._reactor = reactor
        self._driver = driver
        self._inlet = inlet
        self._readiness = IReadiness(driver, None)
        self.local = ILocal(driver, None)
        self._admission = admission
        self.certificates = certificates
        self.notes = list(settings.notes)
        """What an operator is warned of when it starts."""
        self.listeners = Listeners(reactor, settings.source, proxied)
        self._releases: list[Callable[[], None]] = []
        self._driver_fault: str | None = "the driver has not started"
        self._turning, self._tick = LoopingCall(ticks), ticks.seconds
        self._turning.clock = reactor
        self._drain = drain
        self._drainers: list[Callable[[], None]] = []

    def listen(self, key: str, description: str, factory: Factory) -> None:
        """Have `bind` listen on an endpoint; ``key`` is where the configuration says so."""
        if self.certificates is not None and is_secure(description):
            factory = over_tls(self.certificates, factory, self._reactor)
        self.listeners.add(key, description, factory)

    def at_stop(self, release: Callable[[], None]) -> None:
        """Call ``release`` when the service stops."""
        self._releases.append(release)

    def at_drain(self, begin: Callable[[], None]) -> None:
        """Call ``begin`` when clients begin to be sent away."""
        self._drainers.append(begin)

    def reconfigure_with(self, reconfiguration: Reconfiguration) -> None:
        """Have `reload` done by that."""
        self._reconfiguration = reconfiguration

    def reload(self, wanted: Settings) -> list[str]:
        """Run by ``wanted`` from now on, but for what needs a restart, whose names it gives.

        Raises `ConfigError`, and has changed nothing then.
        """
        settings, fixed = settled(self.settings, wanted)
        self._admission = self._reconfiguration.take(settings).admission
        for note in settings.notes:
            if note not in self.settings.notes:
                self._log.warn("{note}", note=note)
        self.settings = settings
        if fixed:
            self._log.warn("{source}: {names}: needs a restart", source=settings.source, names=", ".join(fixed))
        self._log.info("{source}: read again", source=settings.source)
        return fixed

    def bind(self, inherited: Inherited | None = None) -> None:
        """Take the addresses, or what was ``inherited`` of them; raises `Unlistenable` or `ConfigError`."""
        self.notes += self.listeners.bind(inherited or Inherited())

    def unready(self) -> list[str]:
        """Why this process should get no traffic; empty while it should."""
        reasons = ["shutting down"] if self._admission.draining else []
        return reasons + (self._faults() or ([self._driver_fault] if self._driver_fault else []))

    def _faults(self) -> list[str]:
        """What the driver says of itself; one that cannot say is no better than one that is ill."""
        try:
            return list(self._readiness.faults()) if self._readiness is not None else []
        except Exception as error:
            return [f"driver {self.settings.driver.name} cannot say how it is: {DriverError.of(error)}"]

    @property
    def healthy(self) -> bool:
        """Whether seconds pass here as they should."""
        return bool(self._turning.running)

    def comparison(self) -> dict[str, object]:
        """What the driver has seen on two ways; raises `DriverError` if it sees only one."""
        seen = IComparison(self._driver, None)
        if seen is None:
            raise DriverError('only driver "pusher" compares: see driver.pusher.compare')
        return dict(seen.comparison())

    def status(self) -> dict[str, object]:
        """How it is, for an operator."""
        reasons = self.unready()
        return {
            "source": self.settings.source,
            "driver": self.settings.driver.name,
            "listening": [_spelled(address) for address in self.listeners.addresses],
            "endpoints": self.listeners.endpoints,
            "draining": self._admission.draining,
            "ready": not reasons,
            "reasons": reasons,
            "connections": self.hub.count(),
            "channels": sum(1 for _ in self.hub.occupancy()),
        }

    def startService(self) -> None:
        """See `Service`."""
        Service.startService(self)
        self._turning.start(self._tick, now=False)
        name = self.settings.driver.name
        self._inlet.open()
        started: Deferred[None] = maybeDeferred(self._driver.start, self._inlet)
        self.webhooks.start()
        started.addCallbacks(self._driver_started, partial(self._driver_failed, name))
        self._log.info("{source}: driver {driver}, listening on {listening}{hint}", **self._told())
        for note in self.notes:
            self._log.warn("{note}", note=note)

    def _told(self) -> dict[str, str]:
        listening = ", ".join(self.settings.server.listen)
        told = {"source": self.settings.source, "driver": self.settings.driver.name, "listening": listening}
        return told | {"hint": self._hint()}

    def _hint(self) -> str:
        """For a newcomer, who has the demo: the key, which every page may have, and where to look."""
        app = self.settings.apps[0]
        ports = [address for address in self.listeners.addresses if not isinstance(address, UNIXAddress)]
        if not self.settings.demo or app.bearer or not ports:
            return ""
        scheme = "https" if is_secure(self.settings.server.listen[0]) else "http"
        where = re.sub(r"^(0\.0\.0\.0|\[::\])(?=:)", "localhost", _spelled(ports[0]))
        return f"; app key {app.key}, demo at {scheme}://{where}/demo/"

    def _driver_started(self, _: None) -> None:
        self._driver_fault = None

    def _driver_failed(self, name: str, failure: Failure) -> None:
        self._driver_fault = f"driver {name} did not start"
        self._log.error("driver {name} did not start: {reason}", name=name, reason=str(DriverError.of(failure.value)))

    def drain(self, seconds: float | None = None, wait: bool = False) -> Deferred[None]:
        """Let nobody in any more and send everybody to a successor; fires when the last client is gone.

        It takes ``seconds``, or as long as is configured; said again, so long from then. ``wait``: see `Drain`.
        """
        if not self._admission.draining:
            self._admission.draining = True
            for begin in self._drainers:
                begin()
        return self._drain.spread(self.settings.server.drain_seconds if seconds is None else seconds, wait)

    def stopService(self) -> Deferred[Any]:
        """See `Service`."""
        Service.stopService(self)
        if self._turning.running:
            self._turning.stop()
        self._drain.stop()
        for release in self._releases:
            release()
        closing = self.listeners.close().addCallback(lambda _: self.webhooks.stop())
        return closing.addCallback(lambda _: self._stop_driver()).addErrback(self._driver_stuck)

    def _stop_driver(self) -> Deferred[None]:
        self._inlet.close()
        stopping: Deferred[None] = maybeDeferred(self._driver.stop)
        return stopping.addTimeout(DRIVER_SECONDS, self._reactor, _overdue)

    def _driver_stuck(self, failure: Failure) -> None:
        name = self.settings.driver.name
        self._log.error("driver {name} did not stop: {reason}", name=name, reason=str(DriverError.of(failure.value)))


def _admission(settings: Settings, apps: Apps, hub: Hub) -> Admission:
    return Admission(apps, hub, settings.server, settings.server.max_connections or _capacity(settings))


def _capacity(settings: Settings) -> int:
    """How many clients the file limit leaves room for; one at least, since 0 would be no bound."""
    questions = sum(app.auth.requests for app in settings.apps if app.auth is not None)
    return max(1, file_limit() - SPARE_FILES - questions)


def _certificates(settings: Settings, now: Callable[[], float]) -> Certificates | None:
    """Those of ``[tls]`` where a listener needs them: nobody reads the files of a table that is not in use."""
    listen = (*settings.server.listen, settings.metrics.listen or "")
    return Certificates(settings.tls, settings.source, now) if any(map(is_secure, listen)) else None


def _spelled(address: Any) -> str:
    if isinstance(address, UNIXAddress):
        return f"unix:{os.fsdecode(address.name or b'')}"
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.port}"


def _overdue(result: object, seconds: float) -> None:
    raise DriverError(f"{seconds:g} seconds are over")


def _scrape(metrics: Metrics) -> Response:
    return Response(200, metrics.render(), CONTENT_TYPE)


def _only_metrics(metrics: Metrics, request: Request) -> Answer:
    return _scrape(metrics) if request.path == "/metrics" else text(404, "Not found: only /metrics is here")
