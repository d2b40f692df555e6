"""The control socket: what an operator's commands ask of a running server, one JSON object a line each way.

``{"do": "status"}`` is answered with ``{"ok": true, …}``, or ``{"ok": false, "error": "one line"}``. Only who may open
the socket, which is the owner's alone, can ask; a new question is one entry in `verbs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from socket import socket
from typing import Any, TypeAlias

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from broadcaster.errors import BroadcasterError
from broadcaster.inheritance import UnixPort

LONGEST_LINE = 1_048_576

_encode = msgspec.json.Encoder(enc_hook=str).encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Reply: TypeAlias = dict[str, object]
Verb: TypeAlias = "Callable[[Mapping[str, Any], Asking], Reply | Deferred[Reply] | None]"


class Refused(BroadcasterError):
    """What was asked is not done; ``str()`` is one line that says why."""


class Control(ServerFactory):
    """Answers by ``verbs``: what is asked, as it came, and who asks → the reply, or None where none is expected.

    Each may raise `BroadcasterError`.
    """

    noisy = False

    def logPrefix(self) -> str:
        """What Twisted's lines about listening call us."""
        return "control socket"

    def __init__(self, verbs: dict[str, Verb]) -> None:
        self.verbs = verbs
        self._port: Any = None
        self._open: set[Asking] = set()

    def listen(self, reactor: Any, bound: socket) -> None:
        """Answer whoever connects to ``bound``."""
        self._port = UnixPort(reactor, bound.dup(), self, backlog=64)
        self._port.startListening()

    def surrender(self, news: Reply, kept: Asking | None = None) -> None:
        """A successor listens there now: tell those who wait, who have nothing to wait for any more, and let go.

        ``kept`` is somebody to whom there is more to say.
        """
        port, self._port = self._port, None
        if port is not None:
            port.stopReading()
            port.socket.close()
        for asking in self._open - {kept}:
            asking.reply(news)
            asking.hang_up()

    def buildProtocol(self, addr: object) -> Asking:
        """See `ServerFactory`."""
        return Asking(self)

    def opened(self, asking: Asking) -> None:
        """Somebody connected."""
        self._open.add(asking)

    def closed(self, asking: Asking) -> None:
        """And is gone."""
        self._open.discard(asking)


class Asking(LineOnlyReceiver):
    """One who asks. ``gone`` is called when it has hung up, and may be replaced by a verb."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_LINE
    _log = Logger()

    def __init__(self, control: Control) -> None:
        self.gone: Callable[[], None] = lambda: None
        self._control = control

    def connectionMade(self) -> None:
        """See `Protocol`."""
        self._control.opened(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        self._control.closed(self)
        self.gone()

    def lineReceived(self, line: bytes) -> None:
        """One question."""
        try:
            asked = _decode(line)
            verb = self._control.verbs[asked["do"]]
        except (msgspec.MsgspecError, KeyError, TypeError):
            known = ", ".join(sorted(self._control.verbs))
            self.reply({"ok": False, "error": f'expected an object with "do", one of: {known}'})
            return
        try:
            answer = verb(asked, self)
        except Exception:
            answer = fail()
        if isinstance(answer, Deferred):
            answer.addErrback(self._failed, asked["do"]).addCallback(self.reply)
        elif answer is not None:
            self.reply(answer)

    def _failed(self, failure: Failure, verb: str) -> Reply:
        if failure.check(BroadcasterError):
            return {"ok": False, "error": " ".join(str(failure.value).split())}
        self._log.failure("control: {verb} failed", failure, verb=verb)
        return {"ok": False, "error": "internal error, see the log of the server"}

    def reply(self, reply: Reply) -> None:
        """Say this; a reply to somebody who has gone is dropped."""
        LineOnlyReceiver.sendLine(self, _encode({"ok": True} | reply))

    def send_descriptors(self, descriptors: list[int]) -> None:
        """Have these go with what is said next, which must have more bytes."""
        transport: Any = self.transport
        for descriptor in descriptors:
            transport.sendFileDescriptor(descriptor)

    def hang_up(self) -> None:
        """Nothing more will be said."""
        transport: Any = self.transport
        transport.loseConnection()
