"""Two servers of one configuration, of which one sends its clients away: each hears what the other's publishers say.

Only where the driver reaches no other process by itself. Over the connection on which the listening sockets were handed
over, one event a line each way; whatever else is said there is no business of the relay's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.interfaces import ILocal
from broadcaster.messages import Event, Publication, Terminated

LONGEST_LINE = 1 << 30
"""Bytes; whoever is at the other end has bounded its events."""

WAITING = 10_000
"""Events that may wait for a server that does not read them, before it is given up."""


class Carried(Struct, omit_defaults=True, tag_field="do", tag="carry"):
    """A publication on its way; ``data`` may hold what is no character. Without an event, the end of a user."""

    app: str
    event: Event | None = None
    data: bytes = b""
    user: str = ""


_encode = msgspec.json.Encoder().encode


def written(app_id: str, publication: Publication) -> bytes:
    """One line, without its end."""
    if isinstance(publication, Terminated):
        return _encode(Carried(app_id, user=publication.user_id))
    event, data = msgspec.structs.replace(publication, data=""), publication.data.encode(errors="surrogatepass")
    return _encode(Carried(app_id, event, data))


def read(said: Mapping[str, Any]) -> tuple[str, Publication]:
    """What a line says; raises `MsgspecError` for one that is none of ours."""
    carried = msgspec.convert(said, Carried)
    if carried.event is None:
        return carried.app, Terminated(carried.user)
    data = carried.data.decode(errors="surrogatepass")
    return carried.app, msgspec.structs.replace(carried.event, data=data)


@implementer(IPushProducer)
class Carrier:
    """Tells the server at the other end of ``link``; see `ILocal`."""

    _log = Logger()

    def __init__(self, link: LineOnlyReceiver, local: ILocal) -> None:
        self._link = link
        self._local = local
        self._waiting: deque[bytes] | None = None
        transport: Any = link.transport
        transport.registerProducer(self, True)
        local.meet(self.carry)

    def carry(self, app_id: str, publication: Publication) -> None:
        """Something was published here."""
        line = written(app_id, publication)
        if self._waiting is None:
            self._say(line)
        elif len(self._waiting) < WAITING:
            self._waiting.append(line)
        else:
            self._log.warn("the server that ends beside this one does not read what is published here: it is given up")
            self.stopProducing()

    def heard(self, said: Mapping[str, Any]) -> None:
        """Something was published there; raises `MsgspecError` if it was something else that was said."""
        app_id, publication = read(said)
        self._local.heard(app_id, publication, self.carry)

    def _say(self, line: bytes) -> None:
        LineOnlyReceiver.sendLine(self._link, line)

    def pauseProducing(self) -> None:
        """See `IPushProducer`."""
        self._waiting = self._waiting or deque()

    def resumeProducing(self) -> None:
        """See `IPushProducer`."""
        waiting, self._waiting = self._waiting, None
        for line in waiting or ():
            self._say(line)

    def stopProducing(self) -> None:
        """See `IPushProducer`: the other one is gone."""
        self._local.part(self.carry)
        self._waiting = None
        transport: Any = self._link.transport
        transport.unregisterProducer()
        transport.loseConnection()


class Relay(LineOnlyReceiver):
    """The successor's end."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_LINE

    def __init__(self, local: ILocal) -> None:
        self._local = local
        self._carrier: Carrier | None = None

    def connectionMade(self) -> None:
        """See `Protocol`."""
        self._carrier = Carrier(self, self._local)

    def lineReceived(self, line: bytes) -> None:
        """An event; or an answer to what was said before there were any."""
        try:
            said = msgspec.json.decode(line, type=dict[str, Any])
            if self._carrier is not None and said.get("do") == "carry":
                self._carrier.heard(said)
        except msgspec.MsgspecError:
            return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`: it has ended."""
        if self._carrier is not None:
            self._local.part(self._carrier.carry)
