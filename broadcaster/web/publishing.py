"""What a publish asks for: the body of ``events`` and ``batch_events``, checked field by field. Pure.

The rules are Pusher's HTTP API documentation's; texts without a source of theirs are ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from broadcaster.auth.requests import RequestRefused
from broadcaster.limits import data_too_large, event_name_too_long, named
from broadcaster.messages import Event
from broadcaster.names import is_channel_name, is_reserved_event, is_socket_id
from broadcaster.settings import Limits
from broadcaster.text import UNREADABLE, text_of

ATTRIBUTES = ("user_count", "subscription_count")


class Publish(Struct, frozen=True):
    """One event to publish, and the attributes of its channels that the publisher wants to know."""

    event: Event
    wanted: tuple[str, ...] = ()


class _Body(Struct):
    name: Any = UNSET
    data: Raw | UnsetType = UNSET
    channels: Any = None
    channel: Any = None
    socket_id: Any = None
    info: Any = None


_body = msgspec.json.Decoder(_Body).decode
_batch = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode


def read_publish(body: bytes, limits: Limits) -> Publish:
    """The event in the body of ``POST …/events``; raises `RequestRefused`."""
    try:
        fields = _body(body)
    except UNREADABLE:
        raise RequestRefused(400, "Invalid JSON") from None
    names = _channels(fields)
    most = limits.channels_per_event
    if most and len(names) > most:
        text = f"The channels parameter may hold at most {most} channels"
        raise RequestRefused(400, named(text, limits, "channels_per_event"))
    return _publish(fields, names, limits)


def read_batch(body: bytes, limits: Limits) -> tuple[Publish, ...]:
    """The events in the body of ``POST …/batch_events``; raises `RequestRefused` that names the one at fault."""
    try:
        batch = _batch(body).get("batch")
        items = _items(batch) if batch is not None and bytes(batch).strip()[:1] == b"[" else None
    except UNREADABLE:
        raise RequestRefused(400, "Invalid JSON") from None
    if batch is None:
        raise RequestRefused(400, "Missing parameter: batch")
    if not items:
        raise RequestRefused(400, "Invalid parameter: batch")
    most = limits.events_per_batch
    if most and len(items) > most:
        raise RequestRefused(400, named("Batch too large", limits, "events_per_batch"))
    return tuple(_read_item(index, item, limits) for index, item in enumerate(items))


def _read_item(index: int, item: Raw, limits: Limits) -> Publish:
    try:
        try:
            fields = _body(item)
        except UNREADABLE:
            raise RequestRefused(400, "it must be an object") from None
        names = _channels(fields)
        if len(names) > 1:
            raise RequestRefused(400, "Invalid parameter: channels")
        return _publish(fields, names, limits)
    except RequestRefused as refused:
        raise RequestRefused(refused.status, f"batch[{index}]: {refused.text}") from None


def read_wanted(info: str | None, known: Iterable[str] = ATTRIBUTES) -> tuple[str, ...]:
    """The attributes that ``info=a,b`` asks for; raises `RequestRefused` for one that is not ``known``."""
    if not info:
        return ()
    wanted = tuple(name.strip() for name in info.split(",") if name.strip())
    for name in wanted:
        if name not in known:
            raise RequestRefused(400, f"Unknown info attribute: {name}")
    return wanted


def check_channel(name: str, limits: Limits) -> str:
    """``name``, if it may be a channel; raises `RequestRefused`."""
    if not is_channel_name(name):
        raise RequestRefused(400, f"Invalid channel name: {name}")
    if limits.channel_name_length and len(name) > limits.channel_name_length:
        raise RequestRefused(400, named(f"Invalid channel name: {name}", limits, "channel_name_length"))
    return name


def event_of(name: str, data: str, channels: tuple[str, ...], socket_id: str | None, limits: Limits) -> Event:
    """An `Event` whose name, data and channels keep the rules; raises `RequestRefused`."""
    for channel in channels:
        check_channel(channel, limits)
    if socket_id is not None and not is_socket_id(socket_id):
        raise RequestRefused(400, f"Invalid socket id: {socket_id}")
    return bounded_event(name, data, channels, socket_id, limits)


def bounded_event(name: str, data: str, channels: tuple[str, ...], socket_id: str | None, limits: Limits) -> Event:
    """An `Event` whose name and data keep the rules; raises `RequestRefused`."""
    if event_name_too_long(name, limits):
        raise RequestRefused(400, named("Event name too long", limits, "event_name_length"))
    if is_reserved_event(name):
        raise RequestRefused(400, "Event name may not start with pusher:")
    # A character takes four bytes at most, so short texts need no encoding to be measured.
    if limits.event_bytes and len(data) * 4 > limits.event_bytes:
        too_large = data_too_large(len(data.encode(errors="surrogatepass")), limits)
        if too_large:
            raise RequestRefused(413, too_large)
    return Event(name, channels, data, socket_id)


def _publish(fields: _Body, channels: tuple[str, ...], limits: Limits) -> Publish:
    name = fields.name
    if name is UNSET or name is None or name == "":
        raise RequestRefused(400, "Missing parameter: name")
    if not isinstance(name, str):
        raise RequestRefused(400, "Invalid parameter: name")
    if isinstance(fields.data, UnsetType) or bytes(fields.data) == b"null":
        raise RequestRefused(400, "Missing parameter: data")
    try:
        data = text_of(fields.data)
    except UNREADABLE:
        raise RequestRefused(400, "Invalid JSON") from None
    socket_id = fields.socket_id
    if socket_id is not None and not isinstance(socket_id, str):
        raise RequestRefused(400, f"Invalid socket id: {socket_id}")
    if fields.info is not None and not isinstance(fields.info, str):
        raise RequestRefused(400, "Invalid parameter: info")
    return Publish(event_of(name, data, channels, socket_id, limits), read_wanted(fields.info))


def _channels(fields: _Body) -> tuple[str, ...]:
    key, names = ("channels", fields.channels) if fields.channels is not None else ("channel", fields.channel)
    if names is None or names == "":
        raise RequestRefused(400, "Missing parameter: channels")
    if isinstance(names, str):
        if key == "channels":
            raise RequestRefused(400, "Invalid parameter: channels")
        return (names,)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RequestRefused(400, f"Invalid parameter: {key}")
    return tuple(dict.fromkeys(names)) if len(names) > 1 else (names[0],)
