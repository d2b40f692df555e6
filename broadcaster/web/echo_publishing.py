"""What a publish in laravel-echo-server's shape asks for: looser in names, blunt in refusals. Pure."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
from msgspec import Raw, Struct

from broadcaster.auth.echo_names import check_echo_name
from broadcaster.auth.requests import RequestRefused
from broadcaster.errors import SubscriptionRejected
from broadcaster.limits import named
from broadcaster.messages import Event
from broadcaster.names import is_socket_id
from broadcaster.settings import Limits
from broadcaster.text import UNREADABLE, text_of
from broadcaster.web.publishing import bounded_event


class _Body(Struct):
    name: Any = None
    data: Raw = Raw(b"null")
    channels: Any = None
    channel: Any = None
    socket_id: Any = None


_body = msgspec.json.Decoder(_Body).decode


def read_echo_event(body: bytes, limits: Limits) -> Event:
    """The event in the body of ``POST …/events``; raises `RequestRefused`.

    A ``socket_id`` that cannot be one excludes nobody, as with laravel-echo-server.
    """
    try:
        fields = _body(body)
        data = "" if _is_falsy(bytes(fields.data).strip()) else text_of(fields.data)
    except UNREADABLE:
        _incomplete()
    name, channels = fields.name, fields.channels or fields.channel
    if channels and isinstance(channels, str):
        channels = [channels]
    if not (name and isinstance(name, str) and data and isinstance(channels, list) and channels):
        _incomplete()
    most = limits.channels_per_event
    if most and len(channels) > most:
        text = f"The channels parameter may hold at most {most} channels"
        raise RequestRefused(400, named(text, limits, "channels_per_event"))
    for channel in channels:
        _check(channel, limits)
    socket_id = fields.socket_id
    exclude = socket_id if isinstance(socket_id, str) and is_socket_id(socket_id) else None
    return bounded_event(name, data, tuple(dict.fromkeys(channels)), exclude, limits)


def _is_falsy(raw: bytes) -> bool:
    """Whether JavaScript takes the JSON value for nothing."""
    return raw in (b'""', b"false", b"null") or (raw[:1] in b"-0123456789" and not float(raw))


def _check(channel: object, limits: Limits) -> None:
    if not isinstance(channel, str):
        _incomplete()
    try:
        check_echo_name(channel, limits)
    except SubscriptionRejected as rejected:
        raise RequestRefused(400, rejected.reason) from None


def _incomplete() -> NoReturn:
    raise RequestRefused(400, "Event must include channel, event name and data")
