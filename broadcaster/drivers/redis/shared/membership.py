"""Presence over all processes: this process's connections, and the rosters of the channels that it hears."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from broadcaster.drivers.redis.protocol import Argument, Refused
from broadcaster.drivers.redis.shared.desk import Desk, app_word, is_lost
from broadcaster.drivers.redis.shared.inbox import Inbox
from broadcaster.drivers.redis.shared.lease import Lease
from broadcaster.drivers.redis.shared.occupancy import SEATS
from broadcaster.drivers.redis.shared.roster import Roster
from broadcaster.drivers.redis.shared.scripts import CLAIM, JOIN, LEAVE, LIST, MEMBERS, TELL_COUNT, USER_COUNTS
from broadcaster.drivers.redis.shared.waiting import all_of
from broadcaster.drivers.redis.shared.wire import Added, Moved, Removed, decode_list, listed
from broadcaster.errors import DriverError, MembersFull
from broadcaster.facts import Facts
from broadcaster.interfaces import IMembership
from broadcaster.messages import Delivery, Member, MemberAdded, MemberRemoved

BATCH = 100
"""Connections claimed in one script."""

FULL, LISTED = b"full", b"list"
"""How answers begin, but for the one that says no more than that the connection is there."""

Key = tuple[str, str]


@implementer(IMembership)
class Membership:
    """See `IMembership`. ``hears`` says whether changes arrive here, ``deliver`` hands over what is told."""

    def __init__(
        self,
        desk: Desk,
        inbox: Inbox,
        lease: Lease,
        facts: Facts,
        hears: Callable[[str, str], bool],
        deliver: Callable[[str, Delivery], None],
    ) -> None:
        self._desk = desk
        self._inbox = inbox
        self._lease = lease
        self._facts = facts
        self._hears = hears
        self._deliver = deliver
        self._joined: dict[Key, dict[str, Member]] = {}
        self._joining: set[tuple[str, str, str]] = set()
        self._rosters: dict[Key, Roster] = {}

    # ---- IMembership ------------------------------------------------------------------------------------------

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        return Deferred.fromCoroutine(self._join(app_id, channel, replace(member, socket_id=socket_id), limit))

    async def _join(self, app_id: str, channel: str, member: Member, limit: int) -> Sequence[Member]:
        key, socket_id = (app_id, channel), member.socket_id
        joined = self._joined.setdefault(key, {})
        before = joined.pop(socket_id, None)
        joined[socket_id] = member

        def ask(request: str) -> Deferred[Any]:
            # Where changes arrive and a roster is kept, it will be the list by the time of the answer.
            wanted = not (self._hears(app_id, channel) and key in self._rosters)
            script = self._desk.run(
                JOIN,
                *(self._lease.name, self._desk.inbox, request, app_word(app_id), channel, socket_id),
                *(member.user_id, member.info, member.data, limit, int(wanted)),
            )
            return script.addCallbacks(self._tell_join, self._lost, callbackArgs=(app_id, channel, member))

        self._joining.add((app_id, channel, socket_id))
        try:
            answer = await self._inbox.ask(ask)
        except DriverError:
            if before is None:
                self.leave(app_id, channel, socket_id)
            raise
        finally:
            self._joining.discard((app_id, channel, socket_id))
        if answer == FULL:
            self._forget(key, socket_id)
            raise MembersFull
        if socket_id not in self._joined.get(key, {}):
            # It has left, and Redis may have been asked once more after that.
            self.leave(app_id, channel, socket_id)
            return ()
        if answer.startswith(LISTED):
            members = listed(decode_list(answer[len(LISTED) :]))
            if not self._hears(app_id, channel):
                return tuple(added.member for added in members)
            self._become(key, members, whole=True)
        return self._rosters[key].members()

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`. What Redis does not hear of now is taken out when the lease is renewed."""
        self._forget((app_id, channel), socket_id)
        left = self._desk.run(LEAVE, app_word(app_id), channel, socket_id)
        return left.addCallbacks(self._tell_leave, self._unleft, callbackArgs=(app_id, channel, socket_id))

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        found = self._desk.run(MEMBERS, app_word(app_id), channel)
        return found.addCallback(lambda reply: tuple(added.member for added in listed(decode_list(reply))))

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        """See `IMembership`."""
        return self._desk.run(USER_COUNTS, app_word(app_id), *channels)

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        found = self._desk.call("HGET", self._desk.key("totals", app_word(app_id)), channel)
        return found.addCallback(lambda total: int(total or 0))

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        found = self._desk.call("HGETALL", self._desk.key("totals", app_word(app_id)))
        return found.addCallback(_totals, prefix)

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return self._desk.run(TELL_COUNT, app_word(app_id), channel)

    # ---- what comes of it -------------------------------------------------------------------------------------

    def heard(self, app_id: str, channel: str, told: Added | Moved | Removed) -> None:
        """A channel's members have changed."""
        if isinstance(told, Removed) and self._is_here(app_id, channel, told.user_id):
            # Others took this process for dead. Its clients need not learn of that, since it claims what it has.
            self._lease.lose()
            return
        roster = self._rosters.get((app_id, channel))
        change = roster.heard(told) if roster is not None else None
        if change is not None:
            self._deliver(app_id, change)

    def _is_here(self, app_id: str, channel: str, user_id: str) -> bool:
        return any(
            member.user_id == user_id and (app_id, channel, socket_id) not in self._joining
            for socket_id, member in self._joined.get((app_id, channel), {}).items()
        )

    def _tell_join(self, added: int, app_id: str, channel: str, member: Member) -> None:
        if added == 1:
            self._facts.told(app_id, MemberAdded(channel, member))

    def _tell_leave(self, removed: list[bytes] | None, app_id: str, channel: str, socket_id: str) -> None:
        if removed:
            user_id, info, data = removed
            self._facts.told(app_id, MemberRemoved(channel, Member(user_id.decode(), info, data, socket_id)))

    def _lost(self, failure: Failure) -> Failure:
        if is_lost(failure.value):
            self._lease.lose()
        return failure

    def _unleft(self, failure: Failure) -> None:
        failure.trap(DriverError)
        if failure.check(Refused):
            self._lease.lose()

    def _become(self, key: Key, members: list[Added], whole: bool) -> None:
        roster = self._rosters.get(key)
        if roster is None:
            self._rosters[key] = Roster(key[1], members)
            return
        for change in roster.become(members, whole):
            self._deliver(key[0], change)

    def _forget(self, key: Key, socket_id: str) -> None:
        joined = self._joined.get(key, {})
        joined.pop(socket_id, None)
        if not joined:
            self._joined.pop(key, None)
            self._rosters.pop(key, None)

    # ---- Holding ----------------------------------------------------------------------------------------------

    async def claim(self, loud: bool) -> bool:
        """See `Holding`."""
        missing = False
        for key, joined in list(self._joined.items()):
            members = list(joined.values())
            for start in range(0, len(members), BATCH):
                missing |= await self._claim(key, members[start : start + BATCH], loud)
        return missing

    async def _claim(self, key: Key, members: list[Member], loud: bool) -> bool:
        app_id, channel = key
        arguments: list[Argument] = []
        for member in members:
            arguments += (member.socket_id, member.user_id, member.info, member.data)
        found = await self._desk.run(CLAIM, self._lease.name, app_word(app_id), channel, *arguments)
        missing = False
        for member, state in zip(members, found, strict=True):
            joining = (app_id, channel, member.socket_id) in self._joining
            missing |= bool(state) and not joining
            if state == 2 and (loud or joining):
                self._facts.told(app_id, MemberAdded(channel, member))
            if member.socket_id not in self._joined.get(key, {}):
                # It has left while it was claimed.
                self.leave(app_id, channel, member.socket_id)
        return missing

    async def mend(self, whole: bool) -> None:
        """See `Holding`."""
        await all_of([self._mend(key, whole) for key in list(self._rosters)])

    def _mend(self, key: Key, whole: bool) -> Deferred[None]:
        app_id, channel = key
        arguments = self._desk.inbox, app_word(app_id), channel
        answer = self._inbox.ask(lambda request: self._desk.run(LIST, arguments[0], request, *arguments[1:]))
        return answer.addCallback(self._mended, key, whole)

    def _mended(self, answer: bytes, key: Key, whole: bool) -> None:
        if key in self._rosters:
            self._become(key, listed(decode_list(answer[len(LISTED) :])), whole)


def _totals(reply: list[bytes], prefix: str) -> dict[str, int]:
    names = (name.decode() for name in reply[::2])
    return {
        name: int(total)
        for name, total in zip(names, reply[1::2], strict=True)
        if name != SEATS and name.startswith(prefix)
    }
