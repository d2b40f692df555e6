"""All channels of this process, and who else is alive: whoever falls silent is taken out of every document."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from secrets import token_hex
from typing import Any

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from broadcaster.errors import DriverError
from broadcaster.facts import Fact
from broadcaster.messages import Delivery
from broadcaster_nats.document import Document, without
from broadcaster_nats.link import Link
from broadcaster_nats.options import Options
from broadcaster_nats.place import Place
from broadcaster_nats.store import Key, Store
from broadcaster_nats.wire import Message

FAREWELL = 2.0
"""Seconds that taking itself out of all documents may take a process that stops."""


class Presence:
    """``ready`` is called once the store is there. ``fault`` is why it is not."""

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        link: Link,
        options: Options,
        deliver: Callable[[Key, Delivery], None],
        tell: Callable[[Key, Fact], None],
        ready: Callable[[], None],
    ) -> None:
        self.process = token_hex(8)
        self.fault: str | None = "JetStream is not prepared yet"
        self._reactor = reactor
        self._link = link
        self._lease = options.lease_seconds
        self._store = Store(reactor, link, options)
        self._deliver = deliver
        self._tell = tell
        self._ready = ready
        self._alive = f"{options.namespace}.alive"
        self._places: dict[Key, Place] = {}
        self._subscribed: dict[Key, int] = {}
        self._others: dict[str, float] = {}
        self._tick_seconds = min(1.0, self._lease / 4)
        self._ticked = self._since = 0.0
        self._preparing = False
        self._sweep_due = True
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        link.subscribe(self._alive, self._heard_of)

    def start(self) -> None:
        """Begin to say that this process lives."""
        self._ticked = self._reactor.seconds()
        self._ticking.start(self._tick_seconds, now=False)

    def stop(self) -> Deferred[None]:
        """Leave nothing behind, if NATS is there."""
        if not self._ticking.running:
            return succeed(None)
        self._ticking.stop()
        leaving = []
        for place in self._places.values():
            place.here, place.mine = 0, {}
            leaving.append(place.edit(partial(without, processes=(self.process,))))
        left: Deferred[Any] = gatherResults(leaving if self.fault is None else [], consumeErrors=True)
        left.addTimeout(FAREWELL, self._reactor)
        return left.addBoth(self._gone)

    def die(self) -> None:
        """Say no more, as a process that was killed: for tests."""
        self._ticking.stop()
        self.fault = "dead"

    def _gone(self, _: object) -> None:
        self.fault = "stopped"
        self._link.publish(self._alive, b"-" + self.process.encode()).addErrback(lambda _: None)

    # ---- channels ---------------------------------------------------------------------------------------------

    def place(self, key: Key) -> Place:
        """The channel in this process."""
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(
                self.process, key, self._store, self._deliver, self._tell, lambda: self.fault is None
            )
        return place

    def hear(self, key: Key) -> None:
        """Keep the channel's document up to date from now on."""
        self._subscribed[key] = self._link.subscribe(self._store.told(key), self.place(key).heard)

    def ignore(self, key: Key) -> None:
        """Not any more."""
        self._link.unsubscribe(self._subscribed.pop(key))
        self.place(key).number = None

    async def document(self, key: Key) -> Document:
        """The channel as it is now, in order with deliveries. Fails with `DriverError`."""
        place = self._places.get(key)
        if place is None or not place.here:
            return (await self._store.read(key))[1]
        await place.look()
        return place.document

    async def documents(self, app_id: str, prefix: str) -> dict[str, Document]:
        """Those of an app's channels whose names begin with ``prefix``."""
        return {channel: found for (_, channel), found in (await self._store.all(app_id, prefix)).items()}

    # ---- who is alive -----------------------------------------------------------------------------------------

    def connected(self) -> None:
        """NATS is there, maybe again: what was missed is looked for, and what is here is claimed."""
        self.fault = "JetStream is not prepared yet"
        self._others.clear()
        self._say_alive()
        self._prepare()

    def _prepare(self) -> None:
        if not self._preparing:
            self._preparing = True
            Deferred.fromCoroutine(self._store.prepare()).addCallbacks(self._prepared, self._unprepared)

    def _prepared(self, _: None) -> None:
        self._preparing, self.fault = False, None
        self._since, self._sweep_due = self._reactor.seconds(), True
        for place in self._places.values():
            place.number = None
            place.claim()
        self._ready()

    def _unprepared(self, failure: Any) -> None:
        self._preparing, self.fault = False, str(DriverError.of(failure.value))

    def _say_alive(self) -> None:
        self._link.publish(self._alive, self.process.encode()).addErrback(lambda _: None)

    def _heard_of(self, message: Message) -> None:
        process = message.body.decode()
        if process.startswith("-"):
            self._others.pop(process[1:], None)
        elif process != self.process:
            if process not in self._others:
                # It is new: so that it knows this one before it looks for dead ones.
                self._say_alive()
            self._others[process] = self._reactor.seconds()

    def _tick(self) -> None:
        now = self._reactor.seconds()
        late, self._ticked = now - self._ticked - self._tick_seconds, now
        if late > self._lease / 4:
            # This process was busy: what the others said meanwhile is not read yet.
            self._others = dict.fromkeys(self._others, now)
        if self._link.fault is not None:
            return
        self._say_alive()
        if self.fault is not None:
            self._prepare()
            return
        for key, place in list(self._places.items()):
            place.go_on()
            if place.idle:
                del self._places[key]
        silent = [process for process, heard in self._others.items() if now - heard > self._lease]
        for process in silent:
            del self._others[process]
        if silent or (self._sweep_due and now - self._since > self._lease):
            self._sweep_due = False
            Deferred.fromCoroutine(self._sweep()).addErrback(self._unswept)

    async def _sweep(self) -> None:
        for key, document in (await self._store.all()).items():
            gone = frozenset(document.processes - {self.process, *self._others})
            if gone:
                self.place(key).edit(partial(without, processes=gone), swept=True).addErrback(lambda _: None)

    def _unswept(self, failure: Any) -> None:
        self._sweep_due = True
        if not failure.check(DriverError):
            self._log.failure("dead processes could not be looked for", failure)
