"""Presence of one process: who is listed, in which order, and that coming and going are told once each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broadcaster.errors import MembersFull
from broadcaster.membership import LocalMembership
from broadcaster.messages import Delivery, Member, MemberAdded, MemberRemoved


class Hub:
    """Keeps what is told, and has some subscriptions."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Delivery]] = []

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        self.told.append((app_id, delivery))

    def subscribers(self, app_id: str, name: str) -> int:
        return {("3", "presence-a"): 2}.get((app_id, name), 0)

    def channels(self, app_id: str, prefix: str = "") -> dict[str, int]:
        return {prefix + app_id: 2}


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def membership(hub: Any) -> LocalMembership:
    return LocalMembership(hub)


ANN, BEN = Member("ann", b'{"n":1}'), Member("ben", b'{"n":2}')


def join(
    membership: LocalMembership, socket_id: str, member: Member, limit: int = 0, channel: str = "presence-a"
) -> Any:
    """Who is in the list that the joiner gets, or the failure."""
    seen: list[Any] = []
    joining = membership.join("3", channel, socket_id, member, limit)
    joining.addCallbacks(seen.append, lambda failure: seen.append(failure.value))
    return seen[0]


def ids(membership: LocalMembership, channel: str = "presence-a") -> list[str]:
    return [member.user_id for member in membership.members("3", channel).result]


def test_the_joiner_is_in_the_list_that_it_gets_and_is_told_to_the_others(
    hub: Hub, membership: LocalMembership
) -> None:
    assert join(membership, "1.1", ANN) == (replace(ANN, socket_id="1.1"),)
    assert join(membership, "2.2", BEN) == (replace(ANN, socket_id="1.1"), replace(BEN, socket_id="2.2"))
    assert hub.told == [
        ("3", MemberAdded("presence-a", replace(ANN, socket_id="1.1"))),
        ("3", MemberAdded("presence-a", replace(BEN, socket_id="2.2"))),
    ]


def test_a_users_second_connection_is_told_to_nobody_and_its_last_one_is(hub: Hub, membership: LocalMembership) -> None:
    for socket_id in ("1.1", "2.2"):
        join(membership, socket_id, ANN)
    hub.told.clear()
    membership.leave("3", "presence-a", "1.1")
    assert hub.told == []
    assert ids(membership) == ["ann"]
    membership.leave("3", "presence-a", "2.2")
    assert hub.told == [("3", MemberRemoved("presence-a", replace(ANN, socket_id="2.2")))]
    assert ids(membership) == []


def test_the_first_info_stands_until_the_user_is_gone(membership: LocalMembership) -> None:
    join(membership, "1.1", ANN)
    (shown,) = join(membership, "2.2", replace(ANN, info=b'"other"'))
    assert shown.info == ANN.info
    membership.leave("3", "presence-a", "1.1")
    assert membership.members("3", "presence-a").result[0].info == ANN.info
    membership.leave("3", "presence-a", "2.2")
    assert join(membership, "3.3", replace(ANN, info=b'"other"'))[0].info == b'"other"'


def test_a_full_channel_lets_in_no_new_user_but_any_connection_of_those_who_are_there(
    hub: Hub, membership: LocalMembership
) -> None:
    join(membership, "1.1", ANN, limit=1)
    hub.told.clear()
    assert isinstance(join(membership, "2.2", BEN, limit=1), MembersFull)
    assert (hub.told, ids(membership)) == ([], ["ann"])
    assert len(join(membership, "3.3", ANN, limit=1)) == 1
    membership.leave("3", "presence-a", "2.2")
    assert ids(membership) == ["ann"]


def test_nought_is_no_limit(membership: LocalMembership) -> None:
    for number in range(500):
        assert len(join(membership, f"{number}.1", Member(str(number)))) == number + 1


def test_leaving_where_one_never_was_is_done_at_once(hub: Hub, membership: LocalMembership) -> None:
    assert membership.leave("3", "presence-a", "1.1").called
    join(membership, "1.1", ANN)
    assert membership.leave("3", "presence-a", "2.2").called
    assert membership.leave("3", "presence-b", "1.1").called
    assert membership.leave("4", "presence-a", "1.1").called
    assert ids(membership) == ["ann"]


def test_channels_and_apps_know_nothing_of_each_other(membership: LocalMembership) -> None:
    join(membership, "1.1", ANN)
    assert len(join(membership, "1.1", ANN, channel="presence-b")) == 1
    assert membership.members("4", "presence-a").result == ()


def test_nothing_is_kept_of_a_channel_that_everybody_left(membership: LocalMembership) -> None:
    join(membership, "1.1", ANN)
    join(membership, "2.2", ANN)
    for socket_id in ("1.1", "2.2"):
        membership.leave("3", "presence-a", socket_id)
    assert isinstance(join(membership, "3.3", BEN, limit=0), tuple)
    membership.leave("3", "presence-a", "3.3")
    assert membership._rosters == {}


def test_subscriptions_are_the_hubs(membership: LocalMembership) -> None:
    assert membership.subscriptions("3", "presence-a").result == 2
    assert membership.subscriptions("3", "b").result == 0
    assert membership.channels("3", "pre").result == {"pre3": 2}


# ---- any coming and going -------------------------------------------------------------------------------------

SOCKETS = ("1.1", "2.2", "3.3", "4.4")
moves = st.lists(
    st.tuples(st.sampled_from(SOCKETS), st.sampled_from(("ann", "ben", "eve", None)), st.integers(0, 3)), max_size=30
)


@given(moves, st.sampled_from((0, 2)))
def test_any_coming_and_going_is_told_so_that_lists_stay_right(moves: list[Any], limit: int) -> None:
    """A client that keeps its list as clients do, from the first list on, has the right one after every step."""
    hub: Any = Hub()
    membership = LocalMembership(hub)
    connections: dict[str, Member] = {}
    infos: dict[str, bytes] = {}
    kept: dict[str, bytes] = {}
    for socket_id, user_id, number in moves:
        hub.told.clear()
        if user_id is None:
            membership.leave("3", "presence-a", socket_id)
            connections.pop(socket_id, None)
        else:
            joined = join(membership, socket_id, Member(user_id, b"%d" % number), limit)
            if connections.get(socket_id, Member(user_id)).user_id != user_id:
                del connections[socket_id]
            others = {member.user_id for member in connections.values()}
            if limit and user_id not in others and len(others) >= limit:
                assert isinstance(joined, MembersFull)
            else:
                connections.pop(socket_id, None)
                connections[socket_id] = Member(user_id, b"%d" % number, socket_id=socket_id)
        present = {member.user_id for member in connections.values()}
        infos = {user: info for user, info in infos.items() if user in present}
        for member in connections.values():
            infos.setdefault(member.user_id, member.info)
        newest = {member.user_id: member for member in connections.values()}
        order = sorted(newest.values(), key=lambda member: list(connections).index(member.socket_id))
        expected = tuple(replace(member, info=infos[member.user_id]) for member in order)
        assert membership.members("3", "presence-a").result == expected
        for _, change in hub.told:
            if isinstance(change, MemberAdded):
                assert change.member.user_id not in kept
                kept[change.member.user_id] = change.member.info
            else:
                del kept[change.member.user_id]
        assert kept == {member.user_id: member.info for member in expected}
