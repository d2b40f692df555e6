"""Presence and occupancy of one process by itself: what stands in where a driver shares no membership."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from broadcaster.errors import MembersFull
from broadcaster.facts import ChannelOccupied, ChannelVacated, Facts
from broadcaster.hub import Hub
from broadcaster.interfaces import IFactObserver, IFactSource, IHubObserver, IMembership
from broadcaster.messages import Member, MemberAdded, MemberRemoved, SubscriptionCount
from broadcaster.names import USER_CHANNEL

_OTHERS = ("presence-", USER_CHANNEL)
"""Channels that are occupied by their members, and those that are nobody's business."""


@dataclass(slots=True)
class _Roster:
    """The members of one channel by user, and each user's connections; both with the newest last."""

    members: dict[str, Member] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    tabs: dict[str, dict[str, Member]] = field(default_factory=dict)

    def add(self, member: Member) -> None:
        """One more connection: it stands for its user from now on, but for the info."""
        user_id, socket_id = member.user_id, member.socket_id
        tabs = self.tabs.setdefault(user_id, {})
        # Popped first, since a key that is there already would keep its place.
        self.users.pop(socket_id, None)
        tabs.pop(socket_id, None)
        self.users[socket_id], tabs[socket_id] = user_id, member
        known = self.members.pop(user_id, member)
        self.members[user_id] = replace(member, info=known.info)

    def remove(self, socket_id: str) -> Member | None:
        """One connection less; the member, if it was the user's last."""
        user_id = self.users.pop(socket_id)
        tabs = self.tabs[user_id]
        del tabs[socket_id]
        if not tabs:
            del self.tabs[user_id]
            return self.members.pop(user_id)
        shown = self.members[user_id]
        if shown.socket_id == socket_id:
            newest = next(reversed(tabs.values()))
            self.members[user_id] = replace(newest, info=shown.info)
            order = {each: place for place, each in enumerate(self.users)}
            self.members = dict(sorted(self.members.items(), key=lambda item: order[item[1].socket_id]))
        return None


@implementer(IMembership, IFactSource, IHubObserver)
class LocalMembership:
    """See `IMembership`. Everything is done when the call returns, so nothing can come between."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._rosters: dict[tuple[str, str], _Roster] = {}
        self._facts = Facts()

    def observe(self, observer: IFactObserver) -> None:
        """See `IFactSource`."""
        self._facts.observe(observer)

    def subscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        """See `IHubObserver`."""
        if subscribers == 1 and not channel.startswith(_OTHERS):
            self._facts.told(app_id, ChannelOccupied(channel))

    def unsubscribed(self, app_id: str, channel: str, subscribers: int) -> None:
        """See `IHubObserver`."""
        if subscribers == 0 and not channel.startswith(_OTHERS):
            self._facts.told(app_id, ChannelVacated(channel))

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        roster = self._rosters.get((app_id, channel))
        if roster is not None and roster.users.get(socket_id, member.user_id) != member.user_id:
            self.leave(app_id, channel, socket_id)
        roster = self._rosters.get((app_id, channel)) or _Roster()
        member = replace(member, socket_id=socket_id)
        if member.user_id not in roster.members:
            if limit and len(roster.members) >= limit:
                return fail(MembersFull())
            added = MemberAdded(channel, member)
            self._hub.deliver(app_id, added)
            if not roster.members:
                # The subscription follows at once, and facts are told in this order.
                self._facts.told(app_id, ChannelOccupied(channel))
            self._facts.told(app_id, added)
        roster.add(member)
        self._rosters[app_id, channel] = roster
        return succeed(tuple(roster.members.values()))

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """See `IMembership`."""
        roster = self._rosters.get((app_id, channel))
        if roster is not None and socket_id in roster.users:
            gone = roster.remove(socket_id)
            if gone is not None:
                removed = MemberRemoved(channel, gone)
                self._hub.deliver(app_id, removed)
                self._facts.told(app_id, removed)
            if not roster.members:
                del self._rosters[app_id, channel]
                self._facts.told(app_id, ChannelVacated(channel))
        return succeed(None)

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """See `IMembership`."""
        roster = self._rosters.get((app_id, channel))
        return succeed(tuple(roster.members.values()) if roster else ())

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        """See `IMembership`."""
        rosters = [self._rosters.get((app_id, channel)) for channel in channels]
        return succeed([len(roster.members) if roster else 0 for roster in rosters])

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        return succeed(self._hub.subscribers(app_id, channel))

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """See `IMembership`."""
        return succeed(self._hub.channels(app_id, prefix))

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        """See `IMembership`."""
        count = self._hub.subscribers(app_id, channel)
        if count:
            self._hub.announce(app_id, SubscriptionCount(channel, count))
        return succeed(count)
