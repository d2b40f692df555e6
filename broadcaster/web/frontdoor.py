"""The first to read a link: HTTP/1.1 requests one after another, each answered in order, until one becomes a WebSocket.

What is refused is told in its turn, after the answers to whatever came before it (RFC 9112 §9.3.2), and is the last
thing told. No request is waited for beyond its time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.settings import Limits
from broadcaster.web.bodies import Bodies, Bounded
from broadcaster.web.forwarded import TrustedProxies
from broadcaster.web.http import Held, Request, Response, TooLarge, encode, text
from broadcaster.web.outbox import Outbox, Turns
from broadcaster.web.reading import Reading, Stage
from broadcaster.web.transports import is_secure, slim
from broadcaster.wheel import Wheel

IDLE_SECONDS = 90.0
"""How long a link may be kept for a next request: no less than SDKs keep theirs (the Ruby SDK: 30 s)."""
BODY_SECONDS = 30.0
LINGER_SECONDS = 2.0
"""How long a refused client may go on sending before it is cut: closing at once would destroy the answer."""
UNBOUNDED = 1e9
"""Seconds that stand for a time limit of 0: some decades."""
ARRIVAL_SECONDS = 1.0
"""How long a link that has just been accepted may take to say something when the process ends."""
PIPELINED = 32
"""Requests that may wait on one link before it is read no further."""

Answer = Response | Deferred[Response]


class Upgrade:
    """What a site answers to a request that becomes something else: ``take`` gets the transport and its outbox.

    Bytes that came after the request are handed to the new protocol's ``dataReceived``.
    """

    __slots__ = ("take",)

    def __init__(self, take: Callable[[Any, Outbox], Protocol]) -> None:
        self.take = take


Respond: TypeAlias = Callable[[Request], Answer | Upgrade]


class FrontDoors(ServerFactory):
    """Opens a `FrontDoor` for each link. ``respond`` answers requests, ``now`` is monotonic seconds."""

    noisy = False

    def __init__(
        self,
        respond: Respond,
        turns: Turns,
        wheel: Wheel,
        clock: Callable[[], float],
        limits: Limits,
        proxies: TrustedProxies,
        bodies: Bodies | None = None,
    ) -> None:
        self.turns = turns
        self.wheel = wheel
        self.clock = clock
        self.proxies = proxies
        self.ending = False
        """Whether the process ends, so that links are closed after their answer."""
        self.adopt(respond, limits, bodies)

    def adopt(self, respond: Respond, limits: Limits, bodies: Bodies | None = None) -> None:
        """Answer all requests by ``respond`` from now on, and bound those of new links by ``limits``."""
        self.respond = respond
        self.head_bytes = limits.handshake_bytes
        self.bodies = bodies or Bounded(limits.largest_body())
        self.patience = (IDLE_SECONDS, limits.handshake_seconds or UNBOUNDED, BODY_SECONDS)
        """Seconds by `Stage`."""

    def end(self) -> None:
        """The process ends: a link is closed after its answer from now on."""
        self.ending = True

    def logPrefix(self) -> str:
        """What Twisted's lines about listening call us."""
        return "broadcaster"

    def buildProtocol(self, addr: IAddress | None) -> FrontDoor:
        """See `ServerFactory`."""
        host = getattr(addr, "host", "").removeprefix("::ffff:")
        return FrontDoor(self, host, getattr(addr, "secure", False))


@implementer(IHalfCloseableProtocol)
class FrontDoor(Protocol):
    """One link, for as long as it speaks HTTP."""

    _log = Logger()

    def __init__(self, doors: FrontDoors, address: str, secure: bool) -> None:
        self.spoke: int | None = None
        self._doors = doors
        self._address = address
        self._secure = secure
        self._serving = False
        self._busy = False
        self._held: Held | None = None
        self._paused = False
        self._ended = False

    # ---- the link ---------------------------------------------------------------------------------------------

    def connectionMade(self) -> None:
        """See `Protocol`."""
        doors = self._doors
        transport: Any = self.transport
        self._outbox = Outbox(transport, doors.turns)
        client = partial(doors.proxies.client, self._address, self._secure or is_secure(transport))
        self._reading = Reading(doors.head_bytes, doors.bodies.most, client)
        set_no_delay = getattr(transport, "setTcpNoDelay", None)
        if set_no_delay is not None and self._address:
            # A unix socket has an address as well when a PROXY header told one, but nothing to delay.
            with suppress(OSError):
                set_no_delay(True)
        self._wait(Stage.HEAD)

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        reading = self._reading
        steps = reading.steps
        reading.feed(data)
        if reading.steps != steps:
            self._wait(reading.stage)
        self._serve()

    def due(self, now: float) -> float | None:
        """See `Timed`: the time for the head, the body, the next request or the goodbye is over."""
        if self._busy:
            return now + IDLE_SECONDS
        if now < self._deadline:
            return self._deadline
        if self._reading.over:
            transport: Any = self.transport
            transport.abortConnection()
        else:
            self._reading.over = True
            self._outbox.close()
        return now + LINGER_SECONDS

    def _wait(self, stage: Stage) -> None:
        doors = self._doors
        self._deadline = doors.clock() + doors.patience[stage]
        # A link that only waits longer than before is on the wheel already, and asked there for its true deadline.
        if stage is not Stage.IDLE:
            doors.wheel.set(self, self._deadline)

    def readConnectionLost(self) -> None:
        """See `IHalfCloseableProtocol`: no more requests, but the answers are still wanted."""
        self._ended = True
        if not self._busy:
            self._outbox.close()

    def writeConnectionLost(self) -> None:
        """See `IHalfCloseableProtocol`."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        self._doors.wheel.clear(self)
        self._outbox.stopProducing()
        self._give_up()
        if self._held is not None:
            self._held.cancel()

    def part(self, now: float) -> bool:
        """The process ends: close the link if nothing is under way on it; whether it has to be waited for."""
        reading = self._reading
        if self._busy or reading.ready or (reading.stage is not Stage.IDLE and not reading.over):
            return True
        if not reading.over:
            arrived = self._deadline - self._doors.patience[Stage.HEAD]
            if reading.steps == 0 and now < arrived + ARRIVAL_SECONDS:
                return True
            self._give_up()
            self._outbox.close()
        return not self._outbox.idle

    # ---- answers ----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        # Answers that are there at once come back here; one loop takes them all, however many were pipelined.
        if self._serving:
            return
        self._serving = True
        ready = self._reading.ready
        while ready and not self._busy:
            said, keep_alive = ready.popleft()
            if isinstance(said, Request):
                self._ask(said, keep_alive)
            elif isinstance(said, TooLarge):
                self._turn_away(self._doors.bodies.too_large(said))
            elif isinstance(said, Response):
                self._turn_away(said)
            else:
                self._outbox.write(said)
        self._serving = False
        self._pace()

    def _pace(self) -> None:
        """Read no more than a bounded number of requests ahead of their answers."""
        reading = self._reading
        full = self._busy and (len(reading.ready) >= PIPELINED or reading.rest is not None)
        transport: Any = self.transport
        if full != self._paused and not transport.disconnecting:
            self._paused = full
            transport.pauseProducing() if full else transport.resumeProducing()

    def _ask(self, request: Request, keep_alive: bool) -> None:
        try:
            answer = self._doors.respond(request)
        except Exception:
            self._log.failure("{method} {path} failed", method=request.method, path=request.path)
            answer = text(500, "Internal error")
        if isinstance(answer, Upgrade):
            self._upgrade(answer)
        elif isinstance(answer, Response):
            self._answer(answer, request, keep_alive)
        else:
            self._busy = True
            if isinstance(answer, Held):
                self._held = answer
            answer.addErrback(self._failed, request)
            answer.addCallback(self._answered, request, keep_alive)

    def _failed(self, failure: Failure, request: Request) -> Response:
        if failure.check(CancelledError):
            return text(500, "The client has gone")
        self._log.failure("{method} {path} failed", failure, method=request.method, path=request.path)
        return text(500, "Internal error")

    def _answered(self, response: Response, request: Request, keep_alive: bool) -> None:
        polls = self._held is not None
        self._busy = False
        self._held = None
        self._deadline = self._doors.clock() + IDLE_SECONDS
        self._answer(response, request, keep_alive, polls)
        self._serve()

    def _answer(self, response: Response, request: Request, keep_alive: bool, polls: bool = False) -> None:
        keep_alive = keep_alive and not (self._ended and not self._reading.ready)
        if self._doors.ending and not polls:
            # The next request is for the successor; but who polls is told when to go, and reaches us on this link only.
            keep_alive = False
        self._outbox.write(encode(response, keep_alive, request.method == "HEAD"))
        if not keep_alive:
            self._give_up()
            self._outbox.close()

    def _upgrade(self, upgrade: Upgrade) -> None:
        rest = self._reading.rest
        self._give_up()
        if self._ended:
            self._outbox.close()
            return
        self._doors.wheel.clear(self)
        protocol = upgrade.take(self.transport, self._outbox)
        slim(self.transport)
        if rest:
            protocol.dataReceived(rest)

    def _give_up(self) -> None:
        self._reading.end()

    def _turn_away(self, response: Response) -> None:
        """What the client still sends is thrown away for a while: closing at once would destroy the answer."""
        self._give_up()
        self._outbox.write(encode(response, keep_alive=False))
        self._outbox.half_close()
        self._deadline = self._doors.clock() + LINGER_SECONDS
        self._doors.wheel.set(self, self._deadline)
