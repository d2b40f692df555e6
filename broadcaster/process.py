"""What concerns the whole process and therefore only a process of our own: signals, file limit, garbage collection."""

from __future__ import annotations

import gc
import resource
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

_log = Logger()


def obey(reactor: Any, drain: Callable[[], Deferred[None]]) -> None:
    """From now on SIGTERM calls ``drain`` and stops the reactor when that fires; SIGINT, or a second one, at once.

    Either way the exit status is 0. Twistd's own handlers end with 143 and are set when the reactor starts, so this
    must be called when it runs.
    """
    draining = False

    def term() -> None:
        nonlocal draining
        if draining:
            stop()
            return
        draining = True
        _log.info("SIGTERM: draining")
        drain().addBoth(lambda _: stop())

    def stop() -> None:
        if reactor.running:
            reactor.stop()

    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(term))
    signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(stop))


def file_limit() -> int:
    """How many descriptors this process may have once `settle` was called."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def settle() -> None:
    """Take all the descriptors there are, and leave what was loaded so far out of garbage collection.

    A full collection walks every object: without the modules' it stays short while connections come and go.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit(), file_limit()))
    gc.collect()
    gc.freeze()
