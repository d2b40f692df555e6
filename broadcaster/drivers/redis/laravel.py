"""What Laravel's RedisBroadcaster publishes: whose it is, and what it says. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from broadcaster.errors import ConfigError
from broadcaster.messages import Event
from broadcaster.names import is_reserved_event

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError)
"""What reading somebody's JSON may raise."""


class _Broadcast(Struct):
    event: str
    data: Raw = Raw(b"null")
    socket: Raw = Raw(b"null")


_broadcast = msgspec.json.Decoder(_Broadcast).decode
_socket = msgspec.json.Decoder(str).decode


def read_broadcast(payload: bytes, channel: str) -> Event:
    """The event on ``channel``; its data stays the text that it is. Raises `UNREADABLE` for what is none."""
    broadcast = _broadcast(payload)
    name, socket = broadcast.event, bytes(broadcast.socket)
    if not name or is_reserved_event(name):
        raise ValueError("its event is none of an application's")
    exclude = _socket(socket) if socket[:1] == b'"' else None
    return Event(name, (channel,), str(broadcast.data, "utf-8"), exclude)


class Prefixes:
    """Which app each Redis channel belongs to, by the prefix of its name.

    ``wanted`` is by app id, in the configuration's order: an app's own prefix, or None. ``default`` is of the first app
    that has none, unless another has the same. Raises `ConfigError` for a prefix that two apps have.
    """

    def __init__(self, wanted: Mapping[str, str | None], default: str, namespace: str) -> None:
        given = {app_id: prefix for app_id, prefix in wanted.items() if prefix is not None}
        for prefix in given.values():
            if list(given.values()).count(prefix) > 1:
                problem = f"{prefix!r} is given twice"
                raise ConfigError("configuration", "apps.redis_prefix", problem, "give each app its own")
        first = next(iter(wanted), None)
        if first is not None and first not in given and default not in given.values():
            given[first] = default
        self._by_app = given
        self._reserved = (f"{namespace}:", f"{namespace}@")

    def name(self, app_id: str, channel: str) -> bytes | None:
        """The Redis channel on which Laravel publishes to ``channel``; None where that would be another's."""
        prefix = self._by_app.get(app_id)
        if prefix is None:
            return None
        name = prefix + channel
        others = (each for each in self._by_app.values() if len(each) > len(prefix))
        if name.startswith(self._reserved) or any(map(name.startswith, others)):
            return None
        return name.encode()
