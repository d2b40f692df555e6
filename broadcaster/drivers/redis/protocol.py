"""One connection to Redis: the only file that knows txredisapi and hiredis.

Of txredisapi only the protocol class is used, which reads replies. Its factories stop trying for ever after a fault
between connect, AUTH and SELECT, never subscribe again, and match the answers to pipelined SUBSCRIBEs wrongly.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias, Union, cast

import hiredis
import txredisapi
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionClosed, ConnectionDone
from twisted.python.failure import Failure

from broadcaster.drivers.redis.tls import words
from broadcaster.errors import DriverError

Reply: TypeAlias = Union[bytes, int, "list[Reply]", None]
Argument: TypeAlias = bytes | str | int | float

_NOT_THE_ONE = ("READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "CLUSTERDOWN")
"""Replies of a Redis that is not, or no longer, the one to talk to."""


class Lost(DriverError):
    """The link went while a reply was due; ``reason`` is why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the link to Redis was lost before it answered: {reason}")


_pack = cast("Callable[[tuple[Argument, ...]], bytes]", hiredis.pack_command)


class Refused(DriverError):
    """Redis answered a command with an error; ``code`` is its first word, e.g. ``NOSCRIPT``."""

    def __init__(self, text: str) -> None:
        self.code = text.partition(" ")[0]
        super().__init__(f"Redis says: {' '.join(text.split())}")


class RedisConnection(txredisapi.RedisProtocol):
    """Commands out, replies in, first in first out; what is published goes to ``heard``.

    After `listen` it is for subscriptions: replies to SUBSCRIBE, UNSUBSCRIBE and PING go to ``acknowledged``, errors
    to ``refused``. ``lost`` fires with the reason when it is over. ``asked`` is when the oldest thing was sent that has
    seen no byte since, None if nothing is waited for.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.lost: Deferred[str] = Deferred()
        self.asked: float | None = None
        self.scripts: set[str] = set()
        """Digests of the scripts that this Redis has been sent over this connection."""
        self.waiting_bytes = 0
        self._clock = clock
        self._pending: deque[tuple[Deferred[Reply], int]] = deque()
        self._listener: Listener | None = None
        self._reason: str | None = None

    @property
    def pending(self) -> int:
        """How many calls wait for their replies."""
        return len(self._pending)

    def call(self, *arguments: Argument) -> Deferred[Reply]:
        """The reply to a command; fails with `Refused`, or with `Lost`."""
        command = _pack(arguments)
        reply: Deferred[Reply] = Deferred()
        self._pending.append((reply, len(command)))
        self.waiting_bytes += len(command)
        self._write(command)
        return reply

    def listen(self, listener: Listener) -> None:
        """From now on this connection is for subscriptions."""
        self._listener = listener

    def tell(self, *arguments: Argument) -> None:
        """Send SUBSCRIBE, UNSUBSCRIBE or PING; after `listen` only."""
        self._write(_pack(arguments))

    def abort(self, reason: str) -> None:
        """Give it up at once."""
        self._reason = self._reason or reason
        if self.transport is not None:
            self.transport.abortConnection()

    def _write(self, command: bytes) -> None:
        transport = self.transport
        transport.write(command)
        if self.asked is None:
            self.asked = self._clock()
            # Twisted would send it in the reactor's next turn only, which is long in coming while there is much to
            # broadcast. What is called while Redis is at work on this leaves together in that turn.
            if isinstance(transport, FileDescriptor) and transport.connected and not transport.disconnecting:
                transport.doWrite()

    def take_in(self) -> None:
        """Read now what has arrived, if anything; the reactor would do it in its next turn. Not over TLS."""
        transport = self.transport
        if isinstance(transport, FileDescriptor) and transport.connected and not transport.disconnecting:
            # What it may return is the end of the link, which the reactor finds by itself.
            transport.doRead()

    # ---- txredisapi and Twisted -------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """See `Protocol`; who we are is said by `Link`."""
        self.connected = 1

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """See `Protocol`."""
        self.asked = None
        try:
            super().dataReceived(data)
        except txredisapi.InvalidData:
            self.abort("what answers is not Redis")
        if self._pending and self.asked is None:
            self.asked = self._clock()

    def tryConvertData(self, data: Reply) -> Reply:
        """Nothing is converted: a payload ``12345`` is no number."""
        return data

    def replyReceived(self, reply: Any) -> None:
        """A whole reply has come."""
        listener = self._listener
        if listener is not None:
            if isinstance(reply, list):
                if reply[0] == b"message":
                    listener.heard(reply[1], reply[2])
                else:
                    listener.acknowledged(reply[0], reply[1])
            elif isinstance(reply, Exception):
                self._refuse(reply, listener.refused)
            return
        if not self._pending:
            self.abort("what answers is not Redis")
            return
        waiting, size = self._pending.popleft()
        self.waiting_bytes -= size
        if isinstance(reply, Exception):
            self._refuse(reply, waiting.errback)
        else:
            waiting.callback(reply)

    def _refuse(self, error: Exception, tell: Callable[[Refused], None]) -> None:
        text = str(error)
        tell(Refused(text))
        for code in _NOT_THE_ONE:
            # Before Redis 7 the reason stands within what is said about a script.
            if text.startswith(code) or f"-{code} " in text:
                self.abort(f"Redis says: {text}")

    def connectionLost(self, why: Failure) -> None:
        """See `Protocol`."""
        self.connected = 0
        self._reason = self._reason or _reason(why)
        pending, self._pending = self._pending, deque()
        self.waiting_bytes = 0
        for waiting, _ in pending:
            waiting.errback(Lost(self._reason))
        self.lost.callback(self._reason)


class Listener:
    """Who takes what comes over a connection for subscriptions."""

    def heard(self, channel: bytes, payload: bytes) -> None:
        """Something was published."""
        raise NotImplementedError

    def acknowledged(self, kind: bytes, name: bytes) -> None:
        """The reply to SUBSCRIBE or UNSUBSCRIBE for one channel, or to a PING."""
        raise NotImplementedError

    def refused(self, error: Refused) -> None:
        """The error that one command was answered with."""
        raise NotImplementedError


def _reason(why: Failure) -> str:
    error = why.value
    if said := words(error):
        return said
    if why.check(ConnectionDone):
        return "Redis closed the link"
    if why.check(ConnectionClosed):
        return why.getErrorMessage().rstrip(".")
    return f"{type(error).__name__}: {error}"
