"""What SIGTERM and SIGINT do: drain and stop, or stop at once; either way with exit status 0.

Twistd's own handlers end with 143, and are set when the reactor starts: ours must come after.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

_log = Logger()


def obey(reactor: Any, drain: Callable[[], Deferred[None]]) -> None:
    """From now on SIGTERM calls ``drain`` and stops the reactor when that fires; SIGINT, or a second one, at once."""
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
