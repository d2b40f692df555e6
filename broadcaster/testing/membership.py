"""What `broadcaster.interfaces` promises of drivers that share presence and counts, as tests that theirs inherit."""

from __future__ import annotations

import random
from abc import abstractmethod
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import gatherResults, maybeDeferred
from zope.interface.verify import verifyObject

from broadcaster.errors import MembersFull
from broadcaster.facts import ChannelOccupied, ChannelVacated, Fact
from broadcaster.interfaces import IDriver, IInterest, IMembership
from broadcaster.messages import Member, MemberAdded, MemberRemoved, SubscriptionCount
from broadcaster.testing.contract import APP, SharedDriverContract
from broadcaster.testing.process import Listed, Process

ROOM = "presence-a"
ANN, BEN = Member("ann", b'{"n":1}', b'{"user_id":"ann"}'), Member("ben", b"{}", b'{"user_id":"ben"}')


class MembershipContract(SharedDriverContract):
    """`SharedDriverContract`, and presence: for drivers that provide `IMembership`, and so `IInterest`.

    Beside ``make_driver`` say how one of them dies. Each test needs an engine that nobody has joined anything on: a
    fresh one, or a namespace of its own. A driver that provides `IFactSource` is held to that too.
    """

    @abstractmethod
    def die(self, driver: Any) -> Any:
        """Let a started driver fall silent as a process does that is killed: no farewell, no more signs of life.

        It is not stopped afterwards, so whatever it keeps running here must be let go of. May return a Deferred.
        """

    # ---- who is there -----------------------------------------------------------------------------------------

    async def test_it_provides_membership_and_what_that_needs(self) -> None:
        driver = await self._made()
        for interface in (IMembership, IInterest):
            assert verifyObject(interface, interface(driver))

    async def test_members_are_one_list_and_each_is_told_to_those_who_are_there(self) -> None:
        here, there = await self._process(), await self._process()
        ann = await here.join(ROOM, "1.1", ANN)
        ben = await there.join(ROOM, "2.1", BEN)
        assert ann.given == (replace(ANN, socket_id="1.1"),)
        assert ben.given == (replace(ANN, socket_id="1.1"), replace(BEN, socket_id="2.1"))
        await self._catch_up(ROOM, here, there)
        assert _people(ann) == _people(ben) == {"ann", "ben"}
        await there.leave(ROOM, "2.1")
        await self._catch_up(ROOM, here)
        assert _people(ann) == {"ann"}
        assert await here.users(ROOM) == await there.users(ROOM) == ["ann"]
        added, removed = (
            [each for each in _changes(here) if isinstance(each, kind) and each.member.user_id == "ben"]
            for kind in (MemberAdded, MemberRemoved)
        )
        assert added == [MemberAdded(ROOM, replace(BEN, socket_id="2.1"))]
        assert removed == [MemberRemoved(ROOM, replace(BEN, socket_id="2.1"))]

    async def test_a_user_with_connections_to_several_processes_comes_and_goes_once(self) -> None:
        here, there = await self._process(), await self._process()
        witness = await there.join(ROOM, "2.0", BEN)
        for process, socket_id in ((here, "1.1"), (here, "1.2"), (there, "2.1")):
            await process.join(ROOM, socket_id, ANN)
        for process, socket_id in ((here, "1.1"), (there, "2.1")):
            await process.leave(ROOM, socket_id)
        await self._catch_up(ROOM, there)
        assert _people(witness) == {"ann", "ben"}
        await here.leave(ROOM, "1.2")
        await self._catch_up(ROOM, there)
        assert _people(witness) == {"ben"}
        if here.tells:
            told = [type(fact) for fact in _about("ann", here, there)]
            assert told == [MemberAdded, MemberRemoved]

    async def test_many_who_join_at_once_are_told_once_each_and_all_lists_agree(self) -> None:
        processes = [await self._process() for _ in range(3)]
        clients: list[Listed] = []
        for process in processes:
            await gatherResults([process.wanted(ROOM) for _ in range(30)])
        for joined in await gatherResults(
            [
                process.rejoin(ROOM, f"{place}.{tab}", Member(f"user{tab % 10}"))
                for tab in range(30)
                for place, process in enumerate(processes)
            ]
        ):
            clients.append(joined)
        await self._catch_up(ROOM, *processes)
        names = {f"user{number}" for number in range(10)}
        assert all(_people(client) == names for client in clients)
        for place, process in enumerate(processes):
            for tab in range(30):
                await process.leave(ROOM, f"{place}.{tab}")
        assert await processes[0].users(ROOM) == []
        if processes[0].tells:
            for name in sorted(names):
                assert [type(fact) for fact in _about(name, *processes)] == [MemberAdded, MemberRemoved], name

    async def test_a_limit_holds_over_processes_and_not_for_those_who_are_there(self) -> None:
        here, there = await self._process(), await self._process()
        await here.join(ROOM, "1.1", ANN, limit=1)
        await there.wanted(ROOM)
        try:
            await there.rejoin(ROOM, "2.1", BEN, limit=1)
        except MembersFull:
            pass
        else:
            raise AssertionError("join() must fail with MembersFull where the limit is reached")
        assert [member.user_id for member in (await there.rejoin(ROOM, "2.2", ANN, limit=1)).given] == ["ann"]
        await here.leave(ROOM, "1.1")
        await there.leave(ROOM, "2.2")
        assert [member.user_id for member in (await here.join(ROOM, "1.2", BEN, limit=1)).given] == ["ben"]

    async def test_any_coming_and_going_leaves_the_list_right(self) -> None:
        """In the order of the newest connections, with the data of the newest and the info of the first."""
        chance = random.Random(7)
        processes = [await self._process() for _ in range(2)]
        sockets = {f"{place}.{number}": process for place, process in enumerate(processes) for number in range(2)}
        for process in sockets.values():
            await process.wanted(ROOM)
        connections: dict[str, Member] = {}
        infos: dict[str, bytes] = {}
        for number in range(80):
            socket_id = chance.choice(list(sockets))
            user_id = chance.choice(("ann", "ben", "eve", None))
            membership = sockets[socket_id].membership
            if user_id is None:
                await membership.leave(APP, ROOM, socket_id)
                connections.pop(socket_id, None)
            else:
                member = Member(user_id, b"%d" % number, b"[%d]" % number, socket_id)
                await membership.join(APP, ROOM, socket_id, member, 0)
                connections.pop(socket_id, None)
                connections[socket_id] = member
                infos.setdefault(user_id, member.info)
            infos = {user: infos[user] for user in _users(connections)}
            newest = {each.user_id: each for each in connections.values()}
            order = sorted(newest.values(), key=lambda each: list(connections).index(each.socket_id))
            expected = [replace(each, info=infos[each.user_id]) for each in order]
            for process in processes:
                assert list(await process.membership.members(APP, ROOM)) == expected, number

    async def test_leaving_where_one_never_was_is_done_at_once(self) -> None:
        here = await self._process()
        await here.membership.leave(APP, ROOM, "1.1")
        await here.join(ROOM, "1.1", ANN)
        await here.membership.leave(APP, ROOM, "1.2")
        await here.membership.leave(APP, "presence-b", "1.1")
        assert await here.users(ROOM) == ["ann"]

    async def test_who_leaves_before_the_answer_is_not_there(self) -> None:
        here = await self._process()
        await here.wanted(ROOM)
        joining = here.rejoin(ROOM, "1.1", ANN)
        leaving = here.membership.leave(APP, ROOM, "1.1")
        await joining
        await leaving
        assert await here.users(ROOM) == []

    async def test_channels_and_apps_are_told_apart(self) -> None:
        here = await self._process()
        for channel in (ROOM, "presence-a.b", "presence-A"):
            await here.join(channel, "1.1", ANN)
        await here.wanted(ROOM, "other-app")
        await here.membership.join("other-app", ROOM, "1.1", BEN, 0)
        assert await here.users(ROOM) == await here.users("presence-a.b") == ["ann"]
        assert await here.users("presence-b") == []
        assert list(await here.membership.user_counts(APP, [ROOM, "presence-b", "presence-A"])) == [1, 0, 1]

    # ---- how many hear it -------------------------------------------------------------------------------------

    async def test_subscriptions_are_counted_over_processes(self) -> None:
        here, there = await self._process(), await self._process()
        for process, channel in ((here, "a"), (there, "a"), (there, "a"), (there, "private-b.c")):
            await process.wanted(channel)
        for process in (here, there):
            assert await process.membership.subscriptions(APP, "a") == 3
            assert await process.membership.subscriptions(APP, "nobody") == 0
            assert dict(await process.membership.channels(APP, "")) == {"a": 3, "private-b.c": 1}
            assert dict(await process.membership.channels(APP, "private-")) == {"private-b.c": 1}
            assert dict(await process.membership.channels("other-app", "")) == {}
        for process, channel in ((here, "a"), (there, "a"), (there, "private-b.c")):
            process.interest.unwanted(APP, channel)
        assert await there.membership.tell_count(APP, "private-b.c") == 0
        assert await here.membership.tell_count(APP, "a") == 1
        assert dict(await here.membership.channels(APP, "")) == {"a": 1}
        if here.tells:
            told = [(type(fact), fact.channel) for fact in here.facts if isinstance(fact, _EDGES)]
            assert told == [(ChannelOccupied, "a")]
            told = [(type(fact), fact.channel) for fact in there.facts if isinstance(fact, _EDGES)]
            assert told == [(ChannelOccupied, "private-b.c"), (ChannelVacated, "private-b.c")]

    async def test_a_count_is_delivered_wherever_the_channel_is_heard(self) -> None:
        here, there = await self._process(), await self._process()
        for process in (here, there):
            await process.wanted("a")
        assert await here.membership.tell_count(APP, "a") == 2
        for process in (here, there):
            await process.sink.until(lambda process=process: (APP, SubscriptionCount("a", 2)) in process.sink.delivered)  # type: ignore[misc]
        assert await there.membership.tell_count(APP, "nobody") == 0

    # ---- the end ----------------------------------------------------------------------------------------------

    async def test_a_process_that_stops_leaves_nothing(self) -> None:
        here, stopping = await self._process(), await self._process()
        witness = await here.join(ROOM, "1.1", ANN)
        await stopping.join(ROOM, "2.1", BEN)
        await stopping.wanted("a")
        await stopping.driver.stop()
        await self._catch_up(ROOM, here)
        assert _people(witness) == {"ann"}
        assert dict(await here.membership.channels(APP, "")) == {ROOM: 1}

    async def test_a_process_that_dies_is_one_whose_connections_have_left(self) -> None:
        here, there, dying = [await self._process() for _ in range(3)]
        witnesses = [await here.join(ROOM, "1.1", ANN), await there.join(ROOM, "2.1", Member("eve"))]
        await dying.join(ROOM, "3.1", ANN)
        await dying.join(ROOM, "3.2", BEN)
        await dying.wanted("a")
        await maybeDeferred(self.die, dying.driver)
        for process in (here, there):
            await process.sink.until(lambda process=process: _gone("ben", process))  # type: ignore[misc]
        await self._catch_up(ROOM, here, there)
        assert [_people(witness) for witness in witnesses] == [{"ann", "eve"}] * 2
        assert set(await here.users(ROOM)) == {"ann", "eve"}
        if here.tells:
            assert [type(fact) for fact in _about("ben", here, there)] == [MemberRemoved]
            assert _about("ann", there) == []

    # ---- how it is asked --------------------------------------------------------------------------------------

    async def _process(self) -> Process:
        driver: IDriver = await self._made()
        process = Process(driver)
        self.addCleanup(driver.stop)
        await driver.start(process.sink)
        return process

    async def _catch_up(self, channel: str, *processes: Process) -> None:
        for process in processes:
            await process.caught_up(channel)


_EDGES = (ChannelOccupied, ChannelVacated)


def _users(connections: dict[str, Member]) -> set[str]:
    return {member.user_id for member in connections.values()}


def _people(client: Listed) -> set[str]:
    """Whom it shows, without those who joined only to have the test catch up."""
    return {user_id for user_id in client.believes() if not user_id.startswith("marker-")}


def _changes(process: Process) -> list[MemberAdded | MemberRemoved]:
    return [change for _, change in process.sink.delivered if isinstance(change, MemberAdded | MemberRemoved)]


def _gone(user_id: str, process: Process) -> bool:
    return any(isinstance(each, MemberRemoved) and each.member.user_id == user_id for each in _changes(process))


def _about(user_id: str, *processes: Process) -> list[Fact]:
    """What these told about a user; each in its own order, so one process after the other."""
    facts = [fact for process in processes for fact in process.facts]
    return [fact for fact in facts if isinstance(fact, MemberAdded | MemberRemoved) and fact.member.user_id == user_id]
