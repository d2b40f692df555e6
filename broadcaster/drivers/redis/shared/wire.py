"""What scripts publish on a channel besides events, and what they answer. Pure.

MessagePack as in ``wire`` of the driver, but made by Lua, so that the strings in it are text.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from broadcaster.messages import Member

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What reading somebody's bytes may raise."""


class Added(Struct, frozen=True, array_like=True, tag="added/1"):
    """The first connection of a user joined; ``number`` counts the changes of its channel."""

    user_id: str
    info: str
    data: str
    socket_id: str
    number: int

    @property
    def member(self) -> Member:
        """Who it is."""
        return Member(self.user_id, self.info.encode(), self.data.encode(), self.socket_id)


class Moved(Struct, frozen=True, array_like=True, tag="moved/1"):
    """Another connection is the newest of a user."""

    user_id: str
    data: str
    socket_id: str
    number: int


class Removed(Struct, frozen=True, array_like=True, tag="removed/1"):
    """The last connection of a user left."""

    user_id: str


class Counted(Struct, frozen=True, array_like=True, tag="count/1"):
    """So many connections hear the channel."""

    count: int


Told: TypeAlias = Added | Moved | Removed | Counted

Listed: TypeAlias = list[tuple[str, str, str, str, int]]
"""Members in any order: user id, info, data, socket id, number."""

decode_told = msgspec.msgpack.Decoder(Told).decode
decode_list = msgspec.msgpack.Decoder(Listed).decode
decode_names = msgspec.msgpack.Decoder(list[str]).decode


def listed(entries: Listed) -> list[Added]:
    """The members of a list, in the order of their newest connections."""
    return [Added(*entry) for entry in sorted(entries, key=lambda entry: entry[4])]
