"""The grammar of channel names and socket ids, and what a channel's prefix promises.

Sources: Pusher's documentation of channel naming, and the checks in its PHP, Python and Ruby SDKs.
"""

from __future__ import annotations

import re
from enum import Flag, auto
from random import SystemRandom

USER_CHANNEL = "#server-to-user-"

_CHANNEL = re.compile(r"(?:#server-to-user-)?[-a-zA-Z0-9_=@,.;]+", re.ASCII)
_SOCKET_ID = re.compile(r"\d+\.\d+|[-\w]{20}", re.ASCII)
_RESERVED_EVENTS = ("pusher:", "pusher_internal:")
_random = SystemRandom()


class Kind(Flag):
    """What a channel's prefix asks for; ``PUBLIC`` is the absence of all of it."""

    PUBLIC = 0
    AUTH = auto()
    PRESENCE = auto()
    CACHE = auto()
    ENCRYPTED = auto()
    USER = auto()


# Longest prefix first: `private-cache-` must not be read as `private-`.
_KINDS = (
    ("private-encrypted-cache-", Kind.AUTH | Kind.CACHE | Kind.ENCRYPTED),
    ("private-encrypted-", Kind.AUTH | Kind.ENCRYPTED),
    ("private-cache-", Kind.AUTH | Kind.CACHE),
    ("private-", Kind.AUTH),
    ("presence-cache-", Kind.AUTH | Kind.PRESENCE | Kind.CACHE),
    ("presence-", Kind.AUTH | Kind.PRESENCE),
    ("cache-", Kind.CACHE),
    (USER_CHANNEL, Kind.USER),
)

_OPEN = (Kind.PUBLIC, Kind.CACHE)

CACHE_PREFIXES = tuple(prefix for prefix, kind in _KINDS if kind & Kind.CACHE)


def kind_of(channel: str) -> Kind:
    """The kind that ``channel``'s prefix names; case counts, and ``privateer`` is public.

    With a forgotten key prefix ``private-x`` arrives from Redis as ``laravel_database_private-x``, which must not lie
    open: so ``private-`` and ``presence-`` ask for authorisation wherever they stand, and for members only in front.
    """
    kind = next((kind for prefix, kind in _KINDS if channel.startswith(prefix)), Kind.PUBLIC)
    return kind | Kind.AUTH if kind in _OPEN and is_prefixed(channel) else kind


def is_prefixed(channel: str) -> bool:
    """Whether something stands before a ``private-`` or ``presence-`` in the name."""
    return ("private-" in channel or "presence-" in channel) and not channel.startswith(("private-", "presence-"))


def is_channel_name(name: str) -> bool:
    """Whether ``name`` may be a channel; its length is a limit, not grammar."""
    return _CHANNEL.fullmatch(name) is not None


def is_reserved_event(name: str) -> bool:
    """Whether only the server itself may send an event of this name."""
    return name.startswith(_RESERVED_EVENTS)


def is_socket_id(text: str) -> bool:
    """Whether ``text`` has the form ``1234.5678``, the only one that server SDKs accept, or that of Socket.IO's ids."""
    return _SOCKET_ID.fullmatch(text) is not None


def new_socket_id() -> str:
    """A fresh, unguessable socket id: two random integers below 2**31.

    62 bits, so that no process of the app gives out an id again while a signature could still name it.
    """
    return f"{_random.getrandbits(31)}.{_random.getrandbits(31)}"
