"""What processes of one server tell each other through Redis: one form, with a version in it. Pure.

MessagePack: an array whose first element names the kind and its version. The channel is not in it, since it is the
Redis channel's name that says it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from broadcaster.messages import Event, Terminated


class _Event(Struct, array_like=True, tag="event/1"):
    name: str
    data: str
    exclude: str | None
    user_id: str | None
    by_client: bool = False
    attachments: tuple[bytes, ...] = ()


class _Terminated(Struct, array_like=True, tag="terminated/1"):
    app_id: str
    user_id: str


_encode = msgspec.msgpack.Encoder().encode
_event = msgspec.msgpack.Decoder(_Event).decode
_terminated = msgspec.msgpack.Decoder(_Terminated).decode

UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What reading somebody's bytes may raise."""


def encode_event(event: Event) -> bytes:
    """What is published on each of the event's channels."""
    return _encode(_Event(event.name, event.data, event.exclude, event.user_id, event.by_client, event.attachments))


def decode_event(payload: bytes, channel: str) -> Event:
    """The event as ``channel`` tells it; raises `UNREADABLE`."""
    event = _event(payload)
    return Event(event.name, (channel,), event.data, event.exclude, event.user_id, event.by_client, event.attachments)


def encode_terminated(app_id: str, terminated: Terminated) -> bytes:
    """What is published to all processes."""
    return _encode(_Terminated(app_id, terminated.user_id))


def decode_terminated(payload: bytes) -> tuple[str, Terminated]:
    """The app and whom it ends; raises `UNREADABLE`."""
    terminated = _terminated(payload)
    return terminated.app_id, Terminated(terminated.user_id)
