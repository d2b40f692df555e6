"""One channel as all processes see it: one document, replaced as a whole. Pure.

Everything that a process does is an *edit*: a function that makes the next document of the present one, and may be
applied anew if somebody else's edit came first.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from broadcaster.errors import MembersFull
from broadcaster.facts import ChannelOccupied, ChannelVacated, Fact, SubscriptionsLost
from broadcaster.messages import Delivery, Member, MemberAdded, MemberRemoved, SubscriptionCount
from broadcaster.names import USER_CHANNEL


class Connection(msgspec.Struct, frozen=True, array_like=True):
    """One that has joined, in the process that it is connected to; ``info`` is what stands for its user."""

    process: str
    socket_id: str
    user_id: str
    info: bytes
    data: bytes


class Document(msgspec.Struct, frozen=True, array_like=True):
    """``counts`` has the subscriptions by process, ``connections`` the newest last, ``told`` how often a count was."""

    counts: dict[str, int] = {}
    connections: tuple[Connection, ...] = ()
    told: int = 0

    @property
    def total(self) -> int:
        """How many connections hear the channel."""
        return sum(self.counts.values())

    @property
    def processes(self) -> set[str]:
        """Who has a part in it."""
        return {*self.counts, *(each.process for each in self.connections)}


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Document).decode


def members(document: Document) -> tuple[Member, ...]:
    """Each user once, by its newest connection and in the order of those."""
    newest = {each.user_id: each for each in document.connections}
    stand = [each for each in document.connections if newest[each.user_id] is each]
    return tuple(Member(each.user_id, each.info, each.data, each.socket_id) for each in stand)


# ---- edits ----------------------------------------------------------------------------------------------------


def joined(document: Document, connection: Connection, limit: int) -> Document:
    """It is there, and the newest; raises `MembersFull`."""
    known = {each.user_id: each.info for each in document.connections}
    others = tuple(each for each in document.connections if each.socket_id != connection.socket_id)
    present = {each.user_id for each in others}
    moved = len(others) < len(document.connections) and known.get(connection.user_id) is not None
    if limit and connection.user_id not in present and len(present) >= limit and not moved:
        raise MembersFull
    # The info of a user's first connection stands for as long as the user is there.
    info = known.get(connection.user_id, connection.info)
    return replace(document, connections=(*others, replace(connection, info=info)))


def left(document: Document, socket_id: str) -> Document:
    """It is not there."""
    return replace(document, connections=tuple(each for each in document.connections if each.socket_id != socket_id))


def counted(document: Document, process: str, count: int) -> Document:
    """So many subscriptions are in that process."""
    counts = {each: number for each, number in document.counts.items() if each != process}
    return replace(document, counts=counts | {process: count} if count else counts)


def without(document: Document, processes: Iterable[str]) -> Document:
    """These have no part in it any more."""
    gone = set(processes)
    return replace(
        document,
        counts={each: number for each, number in document.counts.items() if each not in gone},
        connections=tuple(each for each in document.connections if each.process not in gone),
    )


def claimed(document: Document, process: str, count: int, connections: Iterable[Connection]) -> Document:
    """A process's part in it is just this, whatever others took it for."""
    mine = {each.socket_id: each for each in connections}
    there = {each.socket_id for each in document.connections}
    kept = [each for each in document.connections if each.process != process or each.socket_id in mine]
    document = counted(replace(document, connections=tuple(kept)), process, count)
    for each in mine.values():
        if each.socket_id not in there:
            document = joined(document, each, 0)
    return document


# ---- what an edit means ---------------------------------------------------------------------------------------


def changes(channel: str, before: Document, after: Document) -> list[Delivery]:
    """What those who hear the channel are told of it."""
    was, now = ({each.user_id: each for each in members(document)} for document in (before, after))
    told: list[Delivery] = [MemberRemoved(channel, member) for user, member in was.items() if user not in now]
    told += [MemberAdded(channel, member) for user, member in now.items() if user not in was]
    if after.told != before.told:
        told.append(SubscriptionCount(channel, after.total))
    return told


def facts(channel: str, before: Document, after: Document, swept: bool = False) -> list[Fact]:
    """What the one whose edit it was tells the server; ``swept`` if it was for a process that died."""
    told: list[Fact] = []
    if not before.total and after.total and not channel.startswith(USER_CHANNEL):
        told.append(ChannelOccupied(channel))
    told += [each for each in changes(channel, before, after) if isinstance(each, MemberAdded | MemberRemoved)]
    if before.total and not after.total and not channel.startswith(USER_CHANNEL):
        told.append(ChannelVacated(channel))
    elif swept and after.total < before.total:
        told.append(SubscriptionsLost(channel))
    return told
