"""Answers that come the way of events, and so in order with them: what came before is contained in one, no more.

Commands have a connection of their own, so that what Redis replies there says nothing about which events have arrived.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from broadcaster.drivers.redis.protocol import Refused
from broadcaster.drivers.redis.shared.desk import is_lost
from broadcaster.errors import DriverError

Ask = Callable[[str], Deferred[Any]]
"""Runs a script that will answer the request of that name."""


class Inbox:
    """Of one process. Questions wait for Redis, for ``seconds``, and are asked again when it is back."""

    def __init__(self, reactor: Any, seconds: float) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._names = map(str, count(1))
        self._waiting: dict[str, tuple[Ask, Deferred[bytes]]] = {}

    def ask(self, ask: Ask) -> Deferred[bytes]:
        """Fires with the answer; ``ask`` may be called several times. Fails with `DriverError`; may be cancelled."""
        name = next(self._names)
        answer: Deferred[bytes] = Deferred(lambda _: self._forget(name))
        self._waiting[name] = ask, answer
        answer.addTimeout(self._seconds, self._reactor, _overdue)
        self._put(name)
        return answer

    def heard(self, payload: bytes) -> None:
        """An answer came."""
        name, _, rest = payload.partition(b" ")
        waiting = self._waiting.pop(name.decode("latin-1"), None)
        if waiting is not None:
            waiting[1].callback(rest)

    def again(self) -> None:
        """Ask again what has not been answered: the answers may have been missed."""
        for name in list(self._waiting):
            self._put(name)

    async def claim(self, loud: bool) -> bool:
        """See `Holding`: nothing of it is shared, but questions may have been refused meanwhile."""
        self.again()
        return False

    async def mend(self, whole: bool) -> None:
        """See `Holding`: nothing."""

    def _forget(self, name: str) -> None:
        self._waiting.pop(name, None)

    def _put(self, name: str) -> None:
        if name in self._waiting:
            self._waiting[name][0](name).addErrback(self._failed, name)

    def _failed(self, failure: Failure, name: str) -> None:
        error = failure.value
        refused = isinstance(error, Refused) and not is_lost(error)
        if (refused or not isinstance(error, DriverError)) and name in self._waiting:
            self._waiting.pop(name)[1].errback(failure)


def _overdue(result: object, seconds: float) -> None:
    raise DriverError(f"Redis has not answered within {seconds:g} s")
