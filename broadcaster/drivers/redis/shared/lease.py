"""The lease under which a process shares what it has: kept by saying that it lives, and taken anew when it was lost.

Whoever says nothing for two thirds of ``lease_seconds`` counts as dead, and any other process sweeps what it has left:
so all is done when ``lease_seconds`` are over. A name that counted as dead is never used again: a process that comes
back takes a new one, claims under it what it has in memory, and has the rest of the former one swept.
"""

from __future__ import annotations

from secrets import token_hex
from typing import Any, Protocol
from urllib.parse import unquote

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from broadcaster.drivers.redis.shared.desk import Desk
from broadcaster.drivers.redis.shared.scripts import BEAT, SWEEP
from broadcaster.errors import DriverError
from broadcaster.facts import ChannelVacated, Facts, SubscriptionsLost
from broadcaster.messages import Member, MemberRemoved
from broadcaster.names import USER_CHANNEL

BEATS = 6
"""Signs of life in ``lease_seconds``; the lease is as long as four of them."""

BITE = 200
"""How much of what a dead process has left is swept at once: a millisecond or so of Redis's time."""


class Holding(Protocol):
    """A part of what this process shares."""

    async def claim(self, loud: bool) -> bool:
        """Share all of it under the lease's new name; whether some of it was missing, other than what is new.

        ``loud``: others have told that it is gone, so what is shared again is told again.
        """

    async def mend(self, whole: bool) -> None:
        """Tell what was missed of the others; what is gone only if Redis is ``whole``, since it may come back."""


class Lease:
    """``name`` is the process's present one. ``held`` is false while it must be taken anew."""

    _log = Logger()

    def __init__(self, reactor: Any, desk: Desk, seconds: float, process: str, facts: Facts) -> None:
        self.held = False
        self._reactor = reactor
        self._desk = desk
        self._seconds = seconds
        self._facts = facts
        self._process = process
        self._renewals = 0
        self._formers: list[str] = []
        self._epoch: bytes | None = None
        self._since = 0.0
        self._holdings: list[Holding] = []
        self._renewing = False
        self._again = False
        self._sweeping: set[str] = set()
        self._mending: Any = None
        self._beating = LoopingCall(self._beat)
        self._beating.clock = reactor

    @property
    def name(self) -> str:
        """How the process is called at present."""
        return f"{self._process}.{self._renewals}"

    @property
    def formers(self) -> str:
        """The names that it has had and of which something may be left, apart by blanks."""
        return " ".join(self._formers)

    def covers(self, holding: Holding) -> None:
        """Claim and mend that too, in the order of these calls."""
        self._holdings.append(holding)

    def start(self) -> None:
        """Begin to say that the process lives."""
        self._beating.start(self._seconds / BEATS, now=False)

    def stop(self) -> Deferred[None]:
        """Leave nothing behind; fires also if Redis is away."""
        if not self._beating.running:
            return succeed(None)
        self._beating.stop()
        self.held = False
        self._mend_no_more()
        return Deferred.fromCoroutine(self._farewell()).addErrback(lambda _: None)

    def lose(self) -> None:
        """A script said that this process counts as dead."""
        if self.held:
            self.renew()

    def renew(self) -> None:
        """Take a new name and share everything again."""
        self.held = False
        if self._renewing:
            self._again = True
            return
        self._renewing = True
        Deferred.fromCoroutine(self._renew()).addErrback(self._not_renewed).addBoth(self._renewed)

    def _not_renewed(self, failure: Any) -> None:
        # Redis is away again: whoever brings it back begins anew, or the next beat does.
        if not failure.check(DriverError):
            self._log.failure("what this process shares could not be claimed", failure)

    def _renewed(self, _: object) -> None:
        self._renewing = False
        if self._again and self._beating.running:
            self._again = False
            self.renew()

    # ---- life -------------------------------------------------------------------------------------------------

    def _beat(self) -> None:
        if not self._renewing:
            if self.held:
                self._desk.run(BEAT, self.name, self._milliseconds, "", "").addCallbacks(self._beaten, lambda _: None)
            else:
                self.renew()

    @property
    def _milliseconds(self) -> int:
        return int(self._seconds * 1000 * 4 / BEATS)

    def _beaten(self, reply: list[Any]) -> None:
        if not reply[0] or reply[1] != self._epoch:
            if self.held:
                self._log.warn("Redis does not know this process any more: what it shares is claimed anew")
                self.renew()
            return
        # Whoever has not been there for a while cannot know whether the others were dead, or Redis was.
        if self._reactor.seconds() - self._since >= self._seconds * 4 / BEATS:
            for name in reply[3]:
                self._bury(name.decode())

    def _bury(self, name: str) -> None:
        if name not in self._sweeping:
            self._sweeping.add(name)
            sweeping = Deferred.fromCoroutine(self._sweep(name, force=False))
            sweeping.addErrback(lambda _: None).addBoth(lambda _: self._sweeping.discard(name))

    async def _sweep(self, name: str, force: bool) -> None:
        done, told = 0, 0
        while not done:
            done, facts = await self._desk.run(SWEEP, name, int(force), BITE)
            told += len(facts)
            for fact in facts:
                self._tell(*(part.decode() for part in fact))
        if told and not force:
            self._log.info("process {name} is dead: what it shared is taken back, {told} things", name=name, told=told)

    def _tell(self, kind: str, app: str, channel: str, *member: str) -> None:
        app_id = unquote(app)
        if kind == "removed":
            user_id, info, data, socket_id = member
            removed = Member(user_id, info.encode(), data.encode(), socket_id)
            self._facts.told(app_id, MemberRemoved(channel, removed))
        elif channel and not channel.startswith(USER_CHANNEL):
            self._facts.told(app_id, ChannelVacated(channel) if kind == "vacated" else SubscriptionsLost(channel))

    # ---- a new name -------------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        former = self.name if self._renewals else ""
        if former:
            self._formers.append(former)
        self._renewals += 1
        epoch = token_hex(8)
        _, stands, dead, _ = await self._desk.run(BEAT, self.name, self._milliseconds, epoch, former)
        flushed = self._epoch is not None and stands != self._epoch
        self._epoch, self._since = stands, self._reactor.seconds()
        missing = False
        for holding in self._holdings:
            missing |= await holding.claim(bool(dead))
        self.held = not self._again
        whole = not (flushed or missing) or bool(dead)
        if not whole:
            self._log.warn("Redis had lost what this process shares: it is shared again")
        await self._clear()
        await self._mend(whole)
        if not whole and not self._again and self._beating.running:
            self._mend_no_more()
            delay = self._seconds
            self._mending = self._reactor.callLater(delay, lambda: Deferred.fromCoroutine(self._mend_later()))

    def _mend_no_more(self) -> None:
        if self._mending is not None and self._mending.active():
            self._mending.cancel()

    async def _mend_later(self) -> None:
        """By now the others have shared theirs again: who is missing is gone."""
        try:
            await self._mend(True)
        except DriverError:
            self.renew()

    async def _mend(self, whole: bool) -> None:
        for holding in self._holdings:
            await holding.mend(whole)

    async def _clear(self) -> None:
        """What is left under former names is what was given up meanwhile."""
        for former in list(self._formers):
            await self._sweep(former, force=True)
            self._formers.remove(former)

    async def _farewell(self) -> None:
        for name in (*self._formers, self.name):
            await self._sweep(name, force=True)
