"""Runs what may block, one thing after the other, beside the reactor: in a thread where that has any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """One thread, begun when it is first needed."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def call(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Deferred[T]:
        """What ``work`` gives or raises, after all that was called before."""
        if not IReactorThreads.providedBy(self._reactor):
            return maybeDeferred(work, *arguments, **named)
        if self._pool is None:
            self._pool = ThreadPool(1, 1, "webhooks")
            self._pool.start()
        return cast("Deferred[T]", deferToThreadPool(self._reactor, self._pool, work, *arguments, **named))

    def stop(self) -> None:
        """End the thread, once nothing is left to do."""
        if self._pool is not None:
            self._pool.stop()
            self._pool = None
