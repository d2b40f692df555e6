"""What a driver shares with other processes, held to what the interfaces allow.

A driver is somebody else's code, as for `Publisher`: whatever it raises becomes a `DriverError`, logged once each, and
nothing may keep a connection from leaving.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.counters import Counters
from broadcaster.errors import DriverError, MembersFull
from broadcaster.interfaces import IDriver, IFactSource, IInterest, ILastEvents, IMembership, ISeats, IWatch
from broadcaster.messages import LastEvent, Member

T = TypeVar("T")


class Guard:
    """Asks the driver called ``name``, and logs what it cannot do."""

    _log = Logger()

    def __init__(self, name: str, counters: Counters) -> None:
        self._name = name
        self._counters = counters

    def asked(self, what: str, ask: Callable[[], Deferred[T]]) -> Deferred[T]:
        """The answer; fails with `DriverError`, or with what interfaces allow beside it."""
        try:
            answer = ask()
            if not isinstance(answer, Deferred):
                raise TypeError(f"the answer is {type(answer).__name__}, not a Deferred")
        except Exception:
            answer = fail()
        return answer.addErrback(self._failed, what)

    def told(self, what: str, tell: Callable[[], None]) -> None:
        """Let the driver know; whatever comes of that."""
        try:
            tell()
        except Exception:
            self._failed(Failure(), what)

    def _failed(self, failure: Failure, what: str) -> Failure:
        if failure.check(MembersFull, CancelledError):
            return failure
        self._counters.driver_failures += 1
        error = DriverError.of(failure.value)
        self._log.error("driver {name} failed to {what}: {reason}", name=self._name, what=what, reason=str(error))
        return Failure(error)


@implementer(IMembership)
class SharedMembership:
    """See `IMembership`."""

    def __init__(self, driver: IMembership, guard: Guard) -> None:
        self._driver = driver
        self._guard = guard

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.join(app_id, channel, socket_id, member, limit))

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.leave(app_id, channel, socket_id)).addErrback(lambda _: None)

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.members(app_id, channel))

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.user_counts(app_id, channels))

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.subscriptions(app_id, channel))

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.channels(app_id, prefix))

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.tell_count(app_id, channel))

    def _asked(self, ask: Callable[[], Deferred[T]]) -> Deferred[T]:
        return self._guard.asked("share members", ask)


@implementer(IInterest)
class SharedInterest:
    """See `IInterest`."""

    def __init__(self, driver: IInterest, guard: Guard) -> None:
        self._driver = driver
        self._guard = guard

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        """See `IInterest`."""
        return self._guard.asked("listen to a channel", lambda: self._driver.wanted(app_id, channel))

    def unwanted(self, app_id: str, channel: str) -> None:
        """See `IInterest`."""
        self._guard.told("leave a channel", lambda: self._driver.unwanted(app_id, channel))


@implementer(IWatch)
class SharedWatch:
    """See `IWatch`."""

    def __init__(self, driver: IWatch, guard: Guard) -> None:
        self._driver = driver
        self._guard = guard

    def watch(self, app_id: str, user_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """See `IWatch`."""
        return self._guard.asked("watch users", lambda: self._driver.watch(app_id, user_ids))

    def unwatch(self, app_id: str, user_ids: Sequence[str]) -> None:
        """See `IWatch`."""
        self._guard.told("unwatch users", lambda: self._driver.unwatch(app_id, user_ids))


@implementer(ILastEvents)
class SharedLastEvents:
    """See `ILastEvents`."""

    def __init__(self, driver: ILastEvents, guard: Guard) -> None:
        self._driver = driver
        self._guard = guard

    def keep_last(self, seconds: Callable[[str], int]) -> None:
        """See `ILastEvents`."""
        self._driver.keep_last(seconds)

    def last(self, app_id: str, channel: str) -> Deferred[LastEvent | None]:
        """See `ILastEvents`."""
        return self._guard.asked("recall the last event", lambda: self._driver.last(app_id, channel))


@implementer(ISeats)
class SharedSeats:
    """See `ISeats`."""

    def __init__(self, driver: ISeats, guard: Guard) -> None:
        self._driver = driver
        self._guard = guard

    def seat(self, app_id: str, limit: int) -> Deferred[bool]:
        """See `ISeats`."""
        return self._guard.asked("count connections", lambda: self._driver.seat(app_id, limit))

    def unseat(self, app_id: str) -> None:
        """See `ISeats`."""
        self._guard.told("count connections", lambda: self._driver.unseat(app_id))


@dataclass(frozen=True, slots=True)
class Shared:
    """What of it a driver shares; None stands for what a process then has for itself."""

    membership: IMembership | None
    facts: IFactSource | None
    interest: IInterest | None
    watch: IWatch | None
    last_events: ILastEvents | None
    seats: ISeats | None


def shared_by(driver: IDriver, name: str, counters: Counters) -> Shared:
    """All that ``driver`` claims to share."""
    guard = Guard(name, counters)
    membership, interest, watch = IMembership(driver, None), IInterest(driver, None), IWatch(driver, None)
    last_events, seats = ILastEvents(driver, None), ISeats(driver, None)
    return Shared(
        SharedMembership(membership, guard) if membership is not None else None,
        IFactSource(driver, None),
        SharedInterest(interest, guard) if interest is not None else None,
        SharedWatch(watch, guard) if watch is not None else None,
        SharedLastEvents(last_events, guard) if last_events is not None else None,
        SharedSeats(seats, guard) if seats is not None else None,
    )
