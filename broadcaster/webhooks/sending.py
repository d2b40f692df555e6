"""One receiver: its letters go out in their order, one POST at a time, and again until it has taken them."""

from __future__ import annotations

from collections.abc import Callable
from random import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.errors import DriverError
from broadcaster.hooks import Kept
from broadcaster.interfaces import IHookStore
from broadcaster.posting import Poster, words_for
from broadcaster.settings import Webhooks
from broadcaster.webhooks.batches import Batch, expired, pause
from broadcaster.webhooks.receivers import Receiver

AWAY = 2
"""Failures in a row after which a receiver counts as away."""


class Refused(Exception):
    """An answer that is not 2xx."""


class Sending:
    """Works while `wake` finds something. Counts only grow: ``sent`` and ``given_up`` events, ``failed`` POSTs."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        receiver: Receiver,
        store: IHookStore,
        poster: Poster,
        settings: Webhooks,
        now: Callable[[], float],
    ) -> None:
        self.receiver = receiver
        self.settings = settings
        self.sent = 0
        self.failed = 0
        self.given_up = 0
        self._reactor = reactor
        self._store = store
        self._poster = poster
        self._now = now
        self._batch: Batch | None = None
        self._done: list[str] = []
        """Places of what has been taken, which the store has not forgotten yet."""
        self._failures = 0
        self._away_since: float | None = None
        self._working: Deferred[None] | None = None
        self._stint = 0
        """Whose work goes on: one that was halted may not."""
        self._again = False
        self._waiting: list[Deferred[None]] = []

    def wake(self) -> None:
        """There may be something to send."""
        self._again = True
        if self._working is None:
            # It may wake us again before it first waits, hence something stands there already.
            self._working = Deferred()
            self._working = Deferred.fromCoroutine(self._work(self._stint))
            self._working.addErrback(self._broken).addBoth(self._ended, self._stint)

    def halt(self) -> None:
        """Send nothing more, and take back what is under way: it is sent again by whoever comes next."""
        self._stint += 1
        working, self._working = self._working, None
        self._batch = None
        if working is not None:
            working.cancel()
        self._release()

    def settled(self) -> Deferred[None]:
        """Fires when nothing is left to do; at once if the receiver fails, since that could take for ever."""
        if self._working is None or self._failures:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def _broken(self, failure: Failure) -> None:
        if not failure.check(DriverError, CancelledError):
            self._log.failure("webhooks: sending to {url} failed", failure, url=self.receiver.shown)

    def _ended(self, _: object, stint: int) -> None:
        if stint == self._stint:
            self._working = None
            self._release()

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    # ---- the work -----------------------------------------------------------------------------------------------

    async def _work(self, stint: int) -> None:
        """Fails with `DriverError` when the store does; whoever wakes us next goes on with it."""
        while stint == self._stint:
            if self._done:
                places, self._done = self._done, []
                try:
                    await self._store.done(self.receiver.name, places)
                except DriverError:
                    self._done = places + self._done
                    raise
            if self._batch is None:
                self._again = False
                self._batch = await self._next()
            if stint != self._stint or (self._batch is None and not self._again):
                return
            if self._batch is not None:
                await self._try(self._batch, stint)

    async def _next(self) -> Batch | None:
        """The oldest letters that are not too old."""
        while True:
            kept = await self._store.first(self.receiver.name, self.settings.batch or 1_000)
            old = expired(kept, self._now(), self.settings.retry_seconds)
            if old:
                await self._give_up(old)
            elif kept:
                return Batch(kept)
            else:
                return None

    async def _give_up(self, kept: list[Kept]) -> None:
        reason = f"older than {self.settings.retry_seconds:g} s"
        await self._store.give_up(self.receiver.name, kept, reason, self._now(), self.settings.given_up)
        self.given_up += len(kept)

    async def _try(self, batch: Batch, stint: int) -> None:
        body = batch.body(self._now())
        try:
            status, words = await self._poster.post(self.receiver.url, self.receiver.signed(body), body)
            if not 200 <= status < 300:
                raise Refused(f"{status} {' '.join(words.decode(errors='replace').split())[:100]}".strip())
        except Exception as error:
            if stint != self._stint:
                return
            await self._failed(error, batch)
        else:
            if stint == self._stint:
                self._taken(batch)

    def _taken(self, batch: Batch) -> None:
        self.sent += len(batch.kept)
        self._done += [each.place for each in batch.kept]
        self._batch = None
        self._failures = 0
        if self._away_since is not None:
            seconds, self._away_since = self._now() - self._away_since, None
            self._log.info(
                "webhooks: {url} takes them again after {seconds:.1f} seconds", url=self.receiver.shown, seconds=seconds
            )

    async def _failed(self, error: Exception, batch: Batch) -> None:
        self.failed += 1
        self._failures += 1
        if self._failures == AWAY:
            self._away_since = self._now()
            self._log.error(
                "webhooks: {url} does not take them ({words}); they wait and are tried again",
                url=self.receiver.shown,
                words=words_for(error),
            )
        self._release()
        await deferLater(self._reactor, pause(self._failures, random()))
        old = expired(batch.kept, self._now(), self.settings.retry_seconds)
        if old:
            await self._give_up(old)
            left = [each for each in batch.kept if each not in old]
            self._batch = Batch(left) if left else None
