"""What concerns the whole process and therefore only a process of our own: signals, file limit, garbage collection."""

from __future__ import annotations

import gc
import os
import resource
import signal
from collections.abc import Callable
from typing import Any


def obey(
    reactor: Any, terminate: Callable[[], None], interrupt: Callable[[], None], hang_up: Callable[[], None]
) -> None:
    """From now on SIGTERM calls ``terminate``, SIGINT ``interrupt`` and SIGHUP ``hang_up``, in a turn of the reactor.

    Twistd's own handlers end with 143 and are set when the reactor starts, so this must be called when it runs.
    """
    signal.signal(signal.SIGTERM, lambda *_: reactor.callFromThread(terminate))
    signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(interrupt))
    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(hang_up))


def started() -> float | None:
    """When this process was started, in seconds since the machine was; None where the kernel does not say."""
    try:
        with open("/proc/self/stat", "rb") as stream:
            # The name in parentheses may hold anything; after it comes field 3, and the start is field 22.
            fields = stream.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


GC_THRESHOLDS = (20_000, 20, 20)
"""Rarer than Python's (700, 10, 10): nearly everything here goes with its last reference, and a search costs."""


def file_limit() -> int:
    """How many descriptors this process may have once `settle` was called."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def poll_directly(reactor: Any) -> None:
    """Let Twisted's epoll reactor serve its sockets without a logging context around each read and write.

    That context names the transport in lines of the old logging API, which nothing here uses, and costs 2 µs of each
    read. ``_doReadOrWrite`` catches and logs whatever a transport raises by itself. Any other reactor stays as it is.
    """
    if not _is_epoll(reactor):
        return
    poll, selectables, serve = reactor._poller.poll, reactor._selectables, reactor._doReadOrWrite

    def do_poll(timeout: float | None) -> None:
        try:
            ready = poll(-1 if timeout is None else timeout, len(selectables))
        except InterruptedError:
            return
        for descriptor, event in ready:
            selectable = selectables.get(descriptor)
            if selectable is not None:
                serve(selectable, descriptor, event)

    reactor.doIteration = do_poll


def _is_epoll(reactor: object) -> bool:
    # By name: the module can be imported on Linux only.
    return type(reactor).__module__ == "twisted.internet.epollreactor"


def settle() -> None:
    """Take all the descriptors there are, and leave what was loaded so far out of garbage collection.

    A full collection walks every object: without the modules' it stays short while connections come and go.
    """
    resource.setrlimit(resource.RLIMIT_NOFILE, (file_limit(), file_limit()))
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
