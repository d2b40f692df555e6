"""Presence of one process: what stands for a user who has several connections, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from broadcaster.hub import Hub
from broadcaster.membership import LocalMembership
from broadcaster.messages import Delivery, Member, MemberAdded, MemberRemoved

CHANNEL = "presence-x"


class HeardHub:
    """Keeps what is announced."""

    def __init__(self) -> None:
        self.heard: list[Delivery] = []

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        self.heard.append(delivery)

    def take(self) -> list[Delivery]:
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
def hub() -> HeardHub:
    return HeardHub()


@pytest.fixture
def membership(hub: HeardHub) -> LocalMembership:
    return LocalMembership(cast(Hub, hub))


def user(user_id: str, tab: str) -> Member:
    """As the application names it for one tab."""
    return Member(user_id, f'"{tab}"'.encode(), f'{{"user_id":{user_id},"user_info":"{tab}"}}'.encode())


def join(membership: LocalMembership, socket_id: str, user_id: str) -> Sequence[Member]:
    return fired(membership.join("3", CHANNEL, socket_id, user(user_id, socket_id), 0))


def leave(membership: LocalMembership, socket_id: str) -> Sequence[Member]:
    fired(membership.leave("3", CHANNEL, socket_id))
    return fired(membership.members("3", CHANNEL))


def fired(deferred: Any) -> Any:
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results.pop()


def shown(members: Sequence[Member]) -> list[tuple[str, bytes, str]]:
    return [(member.user_id, member.info, member.socket_id) for member in members]


def test_a_member_has_its_connection_s_socket_id(hub: HeardHub, membership: LocalMembership) -> None:
    (member,) = join(membership, "a", "1")
    assert member == Member("1", b'"a"', b'{"user_id":1,"user_info":"a"}', "a")
    assert hub.take() == [MemberAdded(CHANNEL, member)]


def test_the_first_info_and_the_newest_data_stand_for_a_user(hub: HeardHub, membership: LocalMembership) -> None:
    join(membership, "a", "1")
    join(membership, "b", "2")
    hub.take()
    other, member = join(membership, "c", "1")
    assert other.user_id == "2"
    assert member == Member("1", b'"a"', b'{"user_id":1,"user_info":"c"}', "c")
    assert hub.take() == []


def test_when_the_newest_leaves_the_one_before_stands_again_in_its_own_place(membership: LocalMembership) -> None:
    for socket_id, user_id in (("a", "1"), ("b", "2"), ("c", "1"), ("d", "3"), ("e", "1")):
        members = join(membership, socket_id, user_id)
    assert shown(members) == [("2", b'"b"', "b"), ("3", b'"d"', "d"), ("1", b'"a"', "e")]
    assert shown(leave(membership, "e")) == [("2", b'"b"', "b"), ("1", b'"a"', "c"), ("3", b'"d"', "d")]
    assert shown(leave(membership, "a")) == [("2", b'"b"', "b"), ("1", b'"a"', "c"), ("3", b'"d"', "d")]


def test_who_leaves_for_good_is_told_whole(hub: HeardHub, membership: LocalMembership) -> None:
    join(membership, "a", "1")
    join(membership, "b", "1")
    hub.take()
    leave(membership, "a")
    assert hub.take() == []
    assert leave(membership, "b") == ()
    assert hub.take() == [MemberRemoved(CHANNEL, Member("1", b'"a"', b'{"user_id":1,"user_info":"b"}', "b"))]
    assert leave(membership, "b") == ()
    assert hub.take() == []


def test_a_connection_that_joins_again_is_there_once(hub: HeardHub, membership: LocalMembership) -> None:
    join(membership, "a", "1")
    join(membership, "b", "2")
    hub.take()
    assert shown(join(membership, "a", "1")) == [("2", b'"b"', "b"), ("1", b'"a"', "a")]
    assert hub.take() == []
    leave(membership, "a")
    assert [type(each) for each in hub.take()] == [MemberRemoved]


def test_a_connection_that_joins_as_somebody_else_leaves_first(hub: HeardHub, membership: LocalMembership) -> None:
    join(membership, "a", "1")
    hub.take()
    assert shown(join(membership, "a", "2")) == [("2", b'"a"', "a")]
    removed, added = hub.take()
    assert isinstance(removed, MemberRemoved) and removed.member.user_id == "1"
    assert isinstance(added, MemberAdded) and added.member.user_id == "2"
    assert leave(membership, "a") == ()
