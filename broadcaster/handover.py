"""Handing the listening sockets to a successor, in a conversation over the control socket.

It asks with ``takeover``, and is sent the lock, the control socket and all that is listened on, which both have then.
When it serves it says ``taken``, and from then on it alone has them. If it is gone before that, nothing has happened.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from broadcaster.claim import Claim
from broadcaster.control import Asking, Refused, Reply
from broadcaster.interfaces import ILocal
from broadcaster.listeners import Listeners
from broadcaster.relay import LONGEST_LINE, Carrier


class Handover:
    """The giving side; ``ending`` says whether this server ends, ``succeeded`` is told the pid of its successor.

    Where ``local`` is not None the conversation goes on, as a relay of what is published.
    """

    def __init__(
        self,
        claim: Claim,
        listeners: Listeners,
        local: ILocal | None,
        ending: Callable[[], bool],
        succeeded: Callable[[int, Asking], None],
    ) -> None:
        self._local = local
        self._carrier: Carrier | None = None
        self._claim = claim
        self._listeners = listeners
        self._ending = ending
        self._succeeded = succeeded
        self._taker: Asking | None = None

    @property
    def under_way(self) -> bool:
        """Whether somebody has the sockets but does not serve yet, so that they must be left as they are."""
        return self._taker is not None

    def takeover(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        """Give, if this server ends or the other one insists, to one at a time."""
        if self._taker is not None:
            error = "another server is just taking over"
            return {"ok": False, "state": "busy", "error": error}
        if not self._ending() and asked.get("force") is not True:
            return {"ok": False, "state": "running", "error": f"a server runs already (pid {os.getpid()})"}
        given = self._listeners.descriptors
        asking.send_descriptors([self._claim.lock, self._claim.control.fileno(), *[fd for _, fd in given]])
        self._taker = asking
        asking.gone = self._abandoned
        return {"pid": os.getpid(), "listeners": [description for description, _ in given]}

    def release(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        """Close what stands in the way of what the successor will listen on instead."""
        self._check(asking)
        unwanted = [fd for description, fd in self._listeners.descriptors if description in asked.get("listeners", ())]
        self._listeners.surrender(unwanted)
        return {}

    def taken(self, asked: Mapping[str, Any], asking: Asking) -> Reply:
        """The successor serves."""
        self._check(asking)
        self._taker = None
        asking.gone = lambda: None
        self._listeners.surrender()
        self._claim.surrender()
        if self._local is not None:
            asking.MAX_LENGTH = LONGEST_LINE
            self._carrier = Carrier(asking, self._local)
            asking.gone = self._carrier.stopProducing
        self._succeeded(int(asked.get("pid", 0)), asking)
        return {}

    def carry(self, asked: Mapping[str, Any], asking: Asking) -> None:
        """The successor has something published, and clients of ours are to hear it too."""
        if self._carrier is not None:
            self._carrier.heard(asked)

    def _check(self, asking: Asking) -> None:
        if asking is not self._taker:
            raise Refused("nothing was handed over here")

    def _abandoned(self) -> None:
        self._taker = None
