"""Presence of one process by itself: what stands in where a driver shares no membership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from broadcaster.errors import MembersFull
from broadcaster.hub import Hub
from broadcaster.interfaces import IMembership
from broadcaster.messages import Member, MemberAdded, MemberRemoved


@dataclass(slots=True)
class _Roster:
    """The members of one channel, and whose connection is whose."""

    members: dict[str, Member] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    tabs: dict[str, int] = field(default_factory=dict)


@implementer(IMembership)
class LocalMembership:
    """See `IMembership`. Everything is done when the call returns, so nothing can come between."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rosters: dict[tuple[str, str], _Roster] = {}

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        roster = self._rosters.get((app_id, channel)) or _Roster()
        user_id = member.user_id
        if user_id not in roster.members:
            if limit and len(roster.members) >= limit:
                return fail(MembersFull())
            roster.members[user_id] = member
            self._hub.deliver(app_id, MemberAdded(channel, member))
        roster.users[socket_id] = user_id
        roster.tabs[user_id] = roster.tabs.get(user_id, 0) + 1
        self._rosters[app_id, channel] = roster
        return succeed(tuple(roster.members.values()))

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`."""
        roster = self._rosters.get((app_id, channel))
        user_id = roster.users.pop(socket_id, None) if roster else None
        if roster is not None and user_id is not None:
            roster.tabs[user_id] -= 1
            if not roster.tabs[user_id]:
                del roster.tabs[user_id], roster.members[user_id]
                self._hub.deliver(app_id, MemberRemoved(channel, user_id))
            if not roster.members:
                del self._rosters[app_id, channel]
        return succeed(None)

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        roster = self._rosters.get((app_id, channel))
        return succeed(tuple(roster.members.values()) if roster else ())

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return succeed(self._hub.subscribers(app_id, channel))

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        return succeed(self._hub.channels(app_id, prefix))
