"""The contract of shared drivers on an engine in memory: the membership of one process, with several to share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from broadcaster.errors import DriverError
from broadcaster.facts import Fact
from broadcaster.interfaces import IDriver, IEventSink, IFactObserver, IFactSource, IInterest, IMembership
from broadcaster.membership import LocalMembership
from broadcaster.messages import Delivery, Member, Publication
from broadcaster.testing import MembershipContract


@implementer(IFactObserver)
class Engine:
    """What all processes are on; it stands in for the one hub that the membership of one process knows."""

    def __init__(self) -> None:
        self.processes: list[InMemory] = []
        self.acting: InMemory | None = None
        self.counts: Counter[tuple[str, str]] = Counter()
        self.membership = LocalMembership(self)  # type: ignore[arg-type]
        self.membership.observe(self)

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        for process in self.processes:
            if process.sink is not None:
                process.sink.deliver(app_id, delivery)

    announce = deliver

    def told(self, app_id: str, fact: Fact) -> None:
        assert self.acting is not None
        for observer in self.acting.observers:
            observer.told(app_id, fact)

    def subscribers(self, app_id: str, name: str) -> int:
        return self.counts[app_id, name]

    def channels(self, app_id: str, prefix: str = "") -> dict[str, int]:
        return {
            name: count
            for (app, name), count in self.counts.items()
            if count and (app, name[: len(prefix)]) == (app_id, prefix)
        }


@implementer(IDriver, IInterest, IMembership, IFactSource)
class InMemory:
    """One process."""

    def __init__(self, engine: Engine) -> None:
        self.sink: IEventSink | None = None
        self.observers: list[IFactObserver] = []
        self._engine = engine
        self._wanted: list[tuple[str, str]] = []
        self._joined: list[tuple[str, str, str]] = []

    def start(self, sink: IEventSink) -> Deferred[None]:
        self.sink = sink
        self._engine.processes.append(self)
        return succeed(None)

    def stop(self) -> Deferred[None]:
        self.sink = None
        for each in list(self._joined):
            self.leave(*each)
        for each in list(self._wanted):
            self.unwanted(*each)
        return succeed(None)

    def publish(self, app_id: str, publication: Publication) -> Deferred[None]:
        if self.sink is None:
            return fail(DriverError("it is not running"))
        self._engine.deliver(app_id, publication)
        return succeed(None)

    def observe(self, observer: IFactObserver) -> None:
        self.observers.append(observer)

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        self._wanted.append((app_id, channel))
        self._count(app_id, channel, 1)
        return succeed(None)

    def unwanted(self, app_id: str, channel: str) -> None:
        self._wanted.remove((app_id, channel))
        self._count(app_id, channel, -1)

    def _count(self, app_id: str, channel: str, more: int) -> None:
        self._acting()
        self._engine.counts[app_id, channel] += more
        count = self._engine.counts[app_id, channel]
        if more > 0:
            self._engine.membership.subscribed(app_id, channel, count)
        else:
            self._engine.membership.unsubscribed(app_id, channel, count)

    def _acting(self) -> LocalMembership:
        self._engine.acting = self
        return self._engine.membership

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        self._joined.append((app_id, channel, socket_id))
        return self._acting().join(app_id, channel, socket_id, member, limit)

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        if (app_id, channel, socket_id) in self._joined:
            self._joined.remove((app_id, channel, socket_id))
        return self._acting().leave(app_id, channel, socket_id)

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        return self._engine.membership.members(app_id, channel)

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        return self._engine.membership.user_counts(app_id, channels)

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        return self._engine.membership.subscriptions(app_id, channel)

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        return self._engine.membership.channels(app_id, prefix)

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        return self._engine.membership.tell_count(app_id, channel)


class TestInMemory(MembershipContract, TestCase):
    """Whoever dies is noticed at once."""

    def setUp(self) -> None:
        self.engine = Engine()

    def make_driver(self) -> InMemory:
        return InMemory(self.engine)

    def die(self, driver: InMemory) -> None:
        self.engine.processes.remove(driver)
        # Whoever notices tells, and that is a process that lives.
        observers, driver.observers = driver.observers, self.engine.processes[0].observers
        driver.stop()
        driver.observers = observers
