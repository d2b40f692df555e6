"""The membership of a driver that shares it with other processes, held to what `IMembership` allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.counters import Counters
from broadcaster.errors import DriverError, MembersFull
from broadcaster.interfaces import IMembership
from broadcaster.messages import Member

T = TypeVar("T")


@implementer(IMembership)
class SharedMembership:
    """See `IMembership`; asks the driver called ``name``, and logs what it cannot do.

    A driver is somebody else's code, as for `Publisher`: nothing that it raises may keep a connection from leaving.
    """

    _log = Logger()

    def __init__(self, driver: IMembership, name: str, counters: Counters) -> None:
        self._driver = driver
        self._name = name
        self._counters = counters

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.join(app_id, channel, socket_id, member, limit))

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.leave(app_id, channel, socket_id)).addErrback(lambda _: None)

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.members(app_id, channel))

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.subscriptions(app_id, channel))

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        return self._asked(lambda: self._driver.channels(app_id, prefix))

    def _asked(self, ask: Callable[[], Deferred[T]]) -> Deferred[T]:
        try:
            answer = ask()
            if not isinstance(answer, Deferred):
                raise TypeError(f"the answer is {type(answer).__name__}, not a Deferred")
        except Exception:
            answer = fail()
        return answer.addErrback(self._failed)

    def _failed(self, failure: Failure) -> Failure:
        if failure.check(MembersFull, CancelledError):
            return failure
        self._counters.driver_failures += 1
        error = DriverError.of(failure.value)
        self._log.error("driver {name} failed to share members: {reason}", name=self._name, reason=str(error))
        return Failure(error)
