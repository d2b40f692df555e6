"""What becomes of a running server from outside: by signals, the control socket, systemd and a successor."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from socket import AF_UNIX, socket
from time import monotonic
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from broadcaster.claim import Claim
from broadcaster.control import Asking, Control, Refused, Reply
from broadcaster.errors import BroadcasterError
from broadcaster.handover import Handover
from broadcaster.notify import Notifier
from broadcaster.process import obey, started
from broadcaster.relay import Relay
from broadcaster.service import BroadcasterService
from broadcaster.settings import Log, Settings


class Operation(Service):
    """Ends the server, hands it over, has it read its configuration again, and says how it is.

    ``claim`` is None where it runs without a control socket; ``read`` gives the settings as they are now, ``relog`` is
    told how to log.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        service: BroadcasterService,
        claim: Claim | None,
        notifier: Notifier,
        read: Callable[[], Settings],
        relog: Callable[[Log], None],
    ) -> None:
        self._reactor = reactor
        self._service = service
        self._claim = claim
        self._notifier = notifier
        self._read = read
        self._relog = relog
        self._began = monotonic()
        self._ending = False
        self._stopped = False
        self._ready = False
        self._waiting = False
        """Whether it waits for a successor, having been asked to stop."""
        self._handover: Handover | None = None
        self.control = Control(
            {
                "status": self._status,
                "stop": self._stop,
                "reload": self._reload,
                "compare": self._compare,
                "webhooks": self._ask_webhooks,
            }
        )
        if claim is not None:
            handover = Handover(claim, service.listeners, service.local, lambda: self._ending, self._succeeded)
            self._handover = handover
            self.control.verbs |= {
                "takeover": handover.takeover,
                "release": handover.release,
                "taken": handover.taken,
                "carry": handover.carry,
            }
        self._watching = LoopingCall(self._watch)
        self._watching.clock = reactor

    def startService(self) -> None:
        """See `Service`: it begins when the reactor runs, for only then are the signals ours and is anybody served."""
        Service.startService(self)
        if self._claim is not None:
            self.control.listen(self._reactor, self._claim.control)
        self._reactor.callWhenRunning(self._begin)

    def _begin(self) -> None:
        obey(self._reactor, self._terminate, self._stop_now, self._hang_up)
        predecessor = self._claim.served() if self._claim is not None else None
        if predecessor is not None:
            with predecessor:
                self._relay(predecessor)
        if self._notifier.active:
            self._watching.start(min(1.0, (self._notifier.watchdog or 2.0) / 2))

    def _relay(self, predecessor: socket) -> None:
        """What is published here and there from now on is heard there and here, as long as its clients leave."""
        local = self._service.local
        if local is not None:
            predecessor.setblocking(False)
            factory = Factory.forProtocol(partial(Relay, local))
            factory.noisy = False
            self._reactor.adoptStreamConnection(predecessor.fileno(), AF_UNIX, factory)

    def stopService(self) -> Deferred[Any] | None:
        """See `Service`: the addresses are free before the lock is, so that who gets the lock gets them."""
        Service.stopService(self)
        if self._watching.running:
            self._watching.stop()
        claim, self._claim = self._claim, None
        if claim is None:
            return None
        self.control.surrender({})
        if self._handover is not None and self._handover.under_way:
            self._service.listeners.surrender()
            claim.surrender()
            return None
        return self._service.listeners.close().addCallback(lambda _: claim.give_up())

    # ---- the end ----------------------------------------------------------------------------------------------

    def _terminate(self) -> None:
        """SIGTERM."""
        if self._ending:
            self._stop_now()
            return
        self._log.info("SIGTERM: draining")
        self._notifier.tell(STOPPING=1, STATUS="draining")
        self._end(self._service.settings.server.drain_seconds)

    def _stop(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        """Stop, unless this server was started later than who asks, as its successor."""
        since, ours = asked.get("started"), started()
        if isinstance(since, int | float) and ours is not None and since <= ours:
            return {"pid": os.getpid(), "stopping": False}
        if not self._ending:
            seconds = self._service.settings.server.stop_seconds
            self._log.info("asked to stop: draining")
            self._waiting = True
            self._end(seconds, wait=True)
        return {"pid": os.getpid(), "stopping": True}

    def _end(self, seconds: float, wait: bool = False) -> None:
        self._ending = True
        self._service.drain(seconds, wait).addBoth(lambda _: self._stop_now())

    def _stop_now(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._reactor.stop()

    def _succeeded(self, pid: int, successor: Asking) -> None:
        """Somebody else serves from now on."""
        self._log.info("process {pid} has taken over", pid=pid)
        self._notifier.tell(MAINPID=pid)
        self._notifier.leave()
        self._claim = None
        self.control.surrender({"successor": pid}, kept=successor)
        seconds = self._service.settings.server.drain_seconds
        self._service.webhooks.retire(seconds)
        if not self._ending:
            self._end(seconds)
        elif self._waiting:
            self._service.drain(seconds)

    # ---- reading the configuration again ------------------------------------------------------------------------

    def _hang_up(self) -> None:
        """SIGHUP."""
        try:
            self._take()
        except BroadcasterError as error:
            self._log.error("not read again: {error}", error=str(error))

    def _reload(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        try:
            return {"pid": os.getpid(), "source": self._service.settings.source, "unchanged": self._take()}
        except BroadcasterError as error:
            self._log.error("not read again: {error}", error=str(error))
            raise

    def _take(self) -> list[str]:
        if self._ending:
            raise Refused("this server ends: its successor will read the configuration")
        if self._ready:
            self._notifier.tell(RELOADING=1, MONOTONIC_USEC=int(monotonic() * 1_000_000))
        try:
            fixed = self._service.reload(self._read())
            self._relog(self._service.settings.log)
            return fixed
        finally:
            if self._ready:
                self._notifier.tell(READY=1)

    # ---- how it is --------------------------------------------------------------------------------------------

    def _status(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        now = {"pid": os.getpid(), "version": version("broadcaster"), "uptime": monotonic() - self._began}
        return now | self._service.status()

    def _compare(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        return self._service.comparison()

    def _ask_webhooks(self, asked: Mapping[str, Any], asking: Asking) -> Deferred[Reply]:
        return self._service.webhooks.ask(asked)

    def _watch(self) -> None:
        """Tell systemd how it is, and that it is at all."""
        status = self._service.status()
        if status["ready"] and not self._ready:
            self._ready = True
            self._notifier.tell(READY=1, MAINPID=os.getpid())
        words = "ready" if status["ready"] else ", ".join(self._service.unready())
        self._notifier.tell(STATUS=f"{words}; {status['connections']} connections")
        if self._notifier.watchdog is not None and self._service.healthy:
            self._notifier.tell(WATCHDOG=1)
