"""Waiting for several things at once, and failing as the first that fails."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure


def all_of(waiting: Iterable[Deferred[Any]]) -> Deferred[None]:
    """Fires when all have; cancels all when it is cancelled."""
    return gatherResults(list(waiting), consumeErrors=True).addCallbacks(lambda _: None, _first)


def _first(failure: Failure) -> Failure:
    """What failed, not that it was one of several."""
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
