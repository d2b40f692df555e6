"""From facts to letters: what is told in one turn is kept together, and told again to a store that failed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.errors import DriverError
from broadcaster.facts import Fact
from broadcaster.hooks import Entry, Letter, Spot
from broadcaster.interfaces import IFactObserver, IHookStore
from broadcaster.webhooks.happenings import OPPOSITE, Happening, happening
from broadcaster.webhooks.receivers import Receiver

RETURN_SECONDS = 3.0
"""Within which whoever went may come back unnoticed, as a page does that is loaded again (Pusher's figure)."""

MOST_UNKEPT = 100_000
"""Entries that wait in memory for a store that cannot be reached; the oldest go beyond that."""

MOST_AT_ONCE = 2_000
"""Entries that a store is told together."""

_PAIRS = {**OPPOSITE, **{came: went for went, came in OPPOSITE.items()}}


@implementer(IFactObserver)
class Telling:
    """Makes letters of facts for those who want them; ``kept`` is called when there are new ones in the store.

    ``lost`` counts letters that the store could not take for too long.
    """

    _log = Logger()

    def __init__(self, reactor: Any, store: IHookStore, now: Callable[[], float], kept: Callable[[], None]) -> None:
        self.lost = 0
        self._reactor = reactor
        self._store = store
        self._now = now
        self._kept = kept
        self._receivers: dict[str, list[Receiver]] = {}
        self._unkept: deque[Entry] = deque()
        self._call: Any = None
        self._keeping: Deferred[None] | None = None
        self._failing = False

    def tell(self, receivers: Iterable[Receiver]) -> None:
        """From now on make letters for these."""
        self._receivers = {}
        for receiver in receivers:
            self._receivers.setdefault(receiver.app_id, []).append(receiver)

    def told(self, app_id: str, fact: Fact) -> None:
        """See `IFactObserver`."""
        if app_id in self._receivers and (told := happening(app_id, fact)) is not None:
            entry = self._entry(app_id, told)
            if entry is not None:
                self._put(entry)

    def letters(self, app_id: str, told: Happening) -> tuple[Letter, ...]:
        """One for each receiver that wants it."""
        wanted = [each for each in self._receivers.get(app_id, ()) if each.wants(told.name, told.channel)]
        if not wanted:
            return ()
        letter_id, made = os.urandom(16).hex(), self._now()
        event = told.event(letter_id)
        return tuple(Letter(receiver.name, letter_id, event, made) for receiver in wanted)

    def _entry(self, app_id: str, told: Happening) -> Entry | None:
        if told.spot is None:
            letters = self.letters(app_id, told)
            return Entry(letters) if letters else None
        names = (told.name, _PAIRS[told.name])
        if not any(each.wants(name, told.channel) for each in self._receivers[app_id] for name in names):
            return None
        if told.going:
            return Entry(went=told.spot, due=self._now() + RETURN_SECONDS)
        return Entry(self.letters(app_id, told), came=told.spot)

    def _put(self, entry: Entry) -> None:
        if len(self._unkept) >= MOST_UNKEPT:
            self.lost += len(self._unkept.popleft().letters)
        self._unkept.append(entry)
        if self._call is None and self._keeping is None and not self._failing:
            self._call = self._reactor.callLater(0, self.flush)

    def flush(self) -> Deferred[None]:
        """Have the store keep what waits; fires when it has, or could not."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        if self._keeping is None:
            if not self._unkept:
                return succeed(None)
            entries = [self._unkept.popleft() for _ in range(min(len(self._unkept), MOST_AT_ONCE))]
            self._keeping = Deferred()
            keeping = self._store.keep(_in_order(entries))
            keeping.addCallbacks(self._succeeded, self._failed, errbackArgs=(entries,))
            if self._keeping is None:
                return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._keeping.addCallback(lambda _: waiting.callback(None))
        return waiting

    def _succeeded(self, _: None) -> None:
        if self._failing:
            self._failing = False
            self._log.info("webhooks are kept again")
        self._ended()
        self._kept()
        if self._unkept:
            self.flush()

    def _failed(self, failure: Failure, entries: list[Entry]) -> None:
        if not failure.check(DriverError):
            self._log.failure("webhooks: what was told could not be kept", failure)
            self.lost += sum(len(entry.letters) for entry in entries)
            self._ended()
            return
        self._unkept.extendleft(reversed(entries))
        if not self._failing:
            self._failing = True
            words = str(failure.value)
            self._log.error("webhooks cannot be kept ({words}); they wait in memory", words=words)
        self._ended()

    def _ended(self) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.callback(None)

    @property
    def unkept(self) -> int:
        """How many facts are in no store yet."""
        return len(self._unkept)


def _in_order(entries: list[Entry]) -> list[Entry]:
    """A channel is occupied before anybody is on it: in one process the first member is told of before that."""
    coming: dict[Spot, int] = {}
    before: dict[int, int] = {}
    """Which occupation belongs before which member."""
    for place in range(len(entries) - 1, -1, -1):
        spot = entries[place].came or entries[place].went
        if spot is None:
            continue
        channel = Spot(spot.app_id, spot.channel)
        if spot == channel:
            coming.pop(channel, None)
            if entries[place].came is not None:
                coming[channel] = place
        elif entries[place].came is not None and channel in coming:
            before[coming[channel]] = place
    moved = {place: occupied for occupied, place in before.items()}
    ordered: list[Entry] = []
    for place, entry in enumerate(entries):
        if place in moved:
            ordered.append(entries[moved[place]])
        if place not in before:
            ordered.append(entry)
    return ordered
