"""One process of a cluster as the contract of shared drivers sees it: its driver, its clients and what it tells."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.facts import Fact
from broadcaster.interfaces import IDriver, IFactObserver, IFactSource, IInterest, IMembership
from broadcaster.messages import Member, MemberAdded, MemberRemoved
from broadcaster.testing.contract import APP
from broadcaster.testing.sink import RecordingSink


class Listed:
    """A client on a presence channel: the list that it was given, and what it has been told since."""

    def __init__(self, sink: RecordingSink, channel: str, members: Sequence[Member]) -> None:
        self.given = tuple(members)
        self._sink = sink
        self._channel = channel
        self._since = len(sink.delivered)

    def believes(self) -> set[str]:
        """The users whom it shows, as clients keep their lists; whoever comes or goes twice breaks the contract."""
        users = {member.user_id for member in self.given}
        for app_id, change in self._sink.delivered[self._since :]:
            if app_id != APP or not isinstance(change, MemberAdded | MemberRemoved) or change.channel != self._channel:
                continue
            user_id = change.member.user_id
            if isinstance(change, MemberAdded):
                assert user_id not in users, f"{user_id} is announced to a client that has it in its list"
                users.add(user_id)
            else:
                assert user_id in users, f"{user_id} is taken from a client that does not have it"
                users.remove(user_id)
        return users


@implementer(IFactObserver)
class Process:
    """``facts`` is what it told of the app `APP`. `start` comes before anything else."""

    def __init__(self, driver: IDriver) -> None:
        self.driver = driver
        self.sink = RecordingSink()
        self.facts: list[Fact] = []
        self.membership = IMembership(driver)
        self.interest = IInterest(driver)
        source = IFactSource(driver, None)
        self.tells = source is not None
        if source is not None:
            source.observe(self)
        self._markers = 0

    def told(self, app_id: str, fact: Fact) -> None:
        """See `IFactObserver`."""
        if app_id == APP:
            self.facts.append(fact)

    def wanted(self, channel: str, app_id: str = APP) -> Deferred[None]:
        """One more connection subscribes here."""
        return self.interest.wanted(app_id, channel)

    async def join(self, channel: str, socket_id: str, member: Member, limit: int = 0) -> Listed:
        """A connection subscribes to a presence channel here, in the order of the server's own steps."""
        await self.wanted(channel)
        return await self.rejoin(channel, socket_id, member, limit)

    def rejoin(self, channel: str, socket_id: str, member: Member, limit: int = 0) -> Deferred[Listed]:
        """The same for a connection that is subscribed already."""
        joining = self.membership.join(APP, channel, socket_id, member, limit)
        return joining.addCallback(lambda members: Listed(self.sink, channel, members))

    async def leave(self, channel: str, socket_id: str) -> None:
        """It unsubscribes."""
        self.interest.unwanted(APP, channel)
        await self.membership.leave(APP, channel, socket_id)

    async def caught_up(self, channel: str) -> None:
        """Return when all that has happened on a presence channel has been delivered here.

        Somebody joins, since what was delivered before that is answered is contained in the answer, and leaves again.
        """
        self._markers += 1
        marker = Member(f"marker-{id(self)}-{self._markers}")
        await self.join(channel, f"9.{self._markers}{id(self)}", marker)
        await self.leave(channel, f"9.{self._markers}{id(self)}")

    async def users(self, channel: str) -> list[str]:
        """Who is on a presence channel, in order, for anybody who asks here."""
        return [member.user_id for member in await self.membership.members(APP, channel)]
