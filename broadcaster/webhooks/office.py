"""All of the webhooks of a process: what is told is kept, and sent if this process is the one that sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.counters import Measure
from broadcaster.errors import DriverError
from broadcaster.facts import Fact
from broadcaster.hooks import Backlog
from broadcaster.interfaces import IFactObserver, IHookStore, IMeasured, IMembership
from broadcaster.posting import Poster
from broadcaster.settings import Settings
from broadcaster.webhooks.batches import expired
from broadcaster.webhooks.leaving import Leaving
from broadcaster.webhooks.letters import answer
from broadcaster.webhooks.receivers import receivers_of
from broadcaster.webhooks.sending import Sending
from broadcaster.webhooks.telling import Telling

TICK = 0.5
"""Seconds between two looks at what other processes have kept, and at who is due."""

FLUSH_SECONDS = 3.0
"""How long the last letters may take when the server stops."""


@implementer(IFactObserver, IMeasured)
class Webhooks:
    """Does nothing, and opens no file, until an app has a webhook."""

    _log = Logger()

    def __init__(
        self, reactor: Any, settings: Settings, store: IHookStore, membership: IMembership, now: Callable[[], float]
    ) -> None:
        self._reactor = reactor
        self._settings = settings.webhooks
        self._store = store
        self._now = now
        self._telling = Telling(reactor, store, now, self._wake)
        self._leaving = Leaving(store, membership, self._telling.letters, now)
        self._poster = Poster(reactor, settings.webhooks.timeout_seconds, 1)
        self._sendings: dict[str, Sending] = {}
        self._backlogs: Mapping[str, Backlog] = {}
        self._started = False
        self._owns = False
        self._draining = False
        self._retired = False
        self._ticking: Deferred[None] | None = None
        self._turning = LoopingCall(self._tick)
        self._turning.clock = reactor
        self.reload(settings)

    def reload(self, settings: Settings) -> None:
        """Tell these receivers from now on; what waits for others waits until it is too old. Raises `ConfigError`."""
        receivers = {receiver.name: receiver for receiver in receivers_of(settings.apps, settings.source)}
        self._settings = settings.webhooks
        for name in self._sendings.keys() - receivers.keys():
            self._sendings.pop(name).halt()
        for name, receiver in receivers.items():
            if name in self._sendings:
                self._sendings[name].receiver, self._sendings[name].settings = receiver, settings.webhooks
            else:
                parts = self._reactor, receiver, self._store, self._poster, settings.webhooks, self._now
                self._sendings[name] = Sending(*parts)
        self._telling.tell(receivers.values())
        self._begin()

    # ---- from start to end --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Send what is kept, from now on."""
        self._started = True
        self._begin()

    def drain(self) -> None:
        """The clients go: whether they are gone for good is for the next server to say."""
        self._draining = True

    def retire(self, seconds: float) -> None:
        """A successor runs: it sends from now on, and clients have ``seconds`` to go over to it."""
        self._retired = True
        if self._turning.running:
            self._disown(self._now() + seconds)

    def stop(self) -> Deferred[None]:
        """Send what waits if that is quick; the rest stays for the next start."""
        self._started = False
        if not self._turning.running:
            return self._end()
        self._turning.stop()
        ending = self._telling.flush().addCallback(lambda _: self._settled())
        ending.addTimeout(FLUSH_SECONDS, self._reactor).addErrback(lambda _: None)
        return ending.addCallback(lambda _: self._end())

    def _settled(self) -> Deferred[Any]:
        if self._owns:
            self._wake()
        return gatherResults([sending.settled() for sending in self._sendings.values()])

    def _end(self) -> Deferred[None]:
        if self._ticking is not None:
            self._ticking.cancel()
        self._disown(None)
        closing = gatherResults([self._poster.close(), self._store.close()], consumeErrors=True)
        return closing.addBoth(lambda _: None)

    def _begin(self) -> None:
        if self._started and self._sendings and not self._turning.running:
            self._turning.start(TICK)

    def _disown(self, due: float | None) -> None:
        self._owns = False
        for sending in self._sendings.values():
            sending.halt()
        self._store.disown(due).addErrback(lambda _: None)

    # ---- what is told, and sent ---------------------------------------------------------------------------------

    def told(self, app_id: str, fact: Fact) -> None:
        """See `IFactObserver`."""
        self._telling.told(app_id, fact)

    def _wake(self) -> None:
        if self._owns:
            for sending in self._sendings.values():
                sending.wake()

    def _tick(self) -> None:
        if self._ticking is None:
            self._ticking = Deferred()
            self._ticking = Deferred.fromCoroutine(self._look())
            self._ticking.addErrback(self._unseen).addBoth(self._looked)

    def _looked(self, _: object) -> None:
        self._ticking = None

    def _unseen(self, failure: Failure) -> None:
        """The store, or what is shared, is away: the letters wait, and their senders say so."""
        if not failure.check(DriverError, CancelledError):
            self._log.failure("webhooks: a look at the store failed", failure)

    async def _look(self) -> None:
        await self._telling.flush()
        if self._retired:
            return
        owns = await self._store.own()
        if self._owns and not owns:
            for sending in self._sendings.values():
                sending.halt()
        self._owns = owns
        if not owns:
            self._backlogs = {}
            return
        if self._store.shared or not self._draining:
            while await self._leaving.settle():
                pass
            await self._leaving.look_after()
        self._backlogs = await self._store.backlogs()
        for name, backlog in self._backlogs.items():
            await self._bound(name, backlog)
        self._wake()

    async def _bound(self, name: str, backlog: Backlog) -> None:
        """Give up what is too much for one receiver, or too old for one that is not configured any more."""
        sending, settings = self._sendings.get(name), self._settings
        if sending is None:
            old = expired(await self._store.first(name, 1_000), self._now(), settings.retry_seconds)
            if old:
                reason = "no webhook of the configuration is for it"
                await self._store.give_up(name, old, reason, self._now(), settings.given_up)
            return
        excess = backlog.letters - settings.waiting if settings.waiting else 0
        while excess > 0:
            kept = await self._store.first(name, min(excess, 1_000))
            if not kept:
                return
            reason = f"more than {settings.waiting} wait"
            await self._store.give_up(name, kept, reason, self._now(), settings.given_up)
            excess -= len(kept)
            sending.given_up += len(kept)

    # ---- how it is ----------------------------------------------------------------------------------------------

    def ask(self, asked: Mapping[str, Any]) -> Deferred[dict[str, object]]:
        """The control socket's ``webhooks``: see `letters`."""
        answering = Deferred.fromCoroutine(answer(self._store, asked, self._now()))
        return answering.addBoth(self._answered)

    def _answered(self, result: Any) -> Any:
        self._wake()
        return result

    def measures(self) -> Iterable[Measure]:
        """See `IMeasured`; what waits is told by the process that sends."""
        if not self._sendings:
            return
        now, nothing = self._now(), Backlog(0, 0.0)
        rows = [
            (sending, (("app", sending.receiver.app_id), ("receiver", sending.receiver.name.partition(" ")[2])))
            for sending in self._sendings.values()
        ]
        for sending, labels in rows:
            waiting = self._backlogs.get(sending.receiver.name, nothing).letters
            yield Measure("webhooks_waiting", "Events that wait for a receiver", waiting, labels=labels)
        for sending, labels in rows:
            backlog = self._backlogs.get(sending.receiver.name)
            age = max(0.0, now - backlog.oldest) if backlog is not None else 0.0
            yield Measure("webhooks_oldest_seconds", "Age of the oldest event that waits", age, labels=labels)
        for sending, labels in rows:
            yield Measure("webhooks_sent", "Events that a receiver has taken", sending.sent, True, labels)
        for sending, labels in rows:
            yield Measure("webhooks_failed", "Requests that a receiver did not take", sending.failed, True, labels)
        for sending, labels in rows:
            yield Measure("webhooks_given_up", "Events given up", sending.given_up, True, labels)
        yield Measure("webhooks_unkept", "Facts in memory only, since the store fails", self._telling.unkept)
        yield Measure("webhooks_lost", "Events lost, since the store failed for too long", self._telling.lost, True)
        yield Measure("webhooks_durable", "1 while what is kept survives the process", int(self._store.durable))
