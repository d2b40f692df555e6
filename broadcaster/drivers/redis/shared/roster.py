"""The members of one presence channel, as those who hear it in this process have been told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from broadcaster.drivers.redis.shared.wire import Added, Moved, Removed
from broadcaster.messages import Member, MemberAdded, MemberRemoved

Change = MemberAdded | MemberRemoved


class Roster:
    """``channel`` is its name."""

    def __init__(self, channel: str, members: Iterable[Added]) -> None:
        self._channel = channel
        self._members = {added.user_id: added for added in members}

    def members(self) -> tuple[Member, ...]:
        """In the order of their newest connections."""
        return tuple(added.member for added in sorted(self._members.values(), key=lambda added: added.number))

    def heard(self, told: Added | Moved | Removed) -> Change | None:
        """What is to be told, if anything."""
        known = self._members.get(told.user_id)
        if isinstance(told, Added):
            self._members[told.user_id] = told
            return MemberAdded(self._channel, told.member) if known is None else None
        if known is None:
            return None
        if isinstance(told, Moved):
            self._members[told.user_id] = replace(known, data=told.data, socket_id=told.socket_id, number=told.number)
            return None
        del self._members[told.user_id]
        return MemberRemoved(self._channel, known.member)

    def become(self, members: Iterable[Added], whole: bool) -> Iterator[Change]:
        """Be that list; what is to be told. Without ``whole`` nobody is missing for certain."""
        now = {added.user_id: added for added in members}
        before, self._members = self._members, now if whole else self._members | now
        for user_id, added in before.items():
            if user_id not in now and whole:
                yield MemberRemoved(self._channel, added.member)
        for user_id, added in now.items():
            if user_id not in before:
                yield MemberAdded(self._channel, added.member)
