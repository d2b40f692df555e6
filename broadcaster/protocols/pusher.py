"""The Pusher Channels dialect, protocol 5 to 7: client frames to commands, messages to finished WebSocket frames.

Rules from the clients' own sources: every frame from the server has an ``event`` and a ``data`` that is a string
holding JSON, but for ``pusher:error``, whose ``data`` is an object (pusher-websocket-swift drops either mistake).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from zope.interface import implementer

from broadcaster.errors import SIGNIN_REFUSED, CommandRejected, SubscriptionRejected
from broadcaster.interfaces import ICodec
from broadcaster.messages import (
    CacheMiss,
    ClientEvent,
    Command,
    Established,
    Failure,
    MemberAdded,
    MemberRemoved,
    Message,
    Ping,
    Pong,
    Published,
    SignedIn,
    Signin,
    Subscribe,
    Subscribed,
    SubscriptionCount,
    SubscriptionFailed,
    Unsubscribe,
    WatchlistEvents,
)
from broadcaster.names import Kind, kind_of
from broadcaster.protocols.frames import text_frame
from broadcaster.text import UNREADABLE, text_of

SUBPROTOCOL = re.compile(r"pusher-channels-protocol-([567])")
"""What pusher-websocket-swift offers as ``Sec-WebSocket-Protocol``."""

_json = msgspec.json.Encoder().encode


class _Frame(Struct):
    event: Any = UNSET
    channel: Any = UNSET
    data: Raw | UnsetType = UNSET


class _Subscription(Struct):
    channel: Any = UNSET
    auth: Any = None
    channel_data: Any = None


class _Identity(Struct):
    auth: Any = None
    user_data: Any = None


_frame = msgspec.json.Decoder(_Frame).decode
_subscription = msgspec.json.Decoder(_Subscription).decode
_identity = msgspec.json.Decoder(_Identity).decode
_string = msgspec.json.Decoder(str).decode


@implementer(ICodec)
class PusherCodec:
    """Pusher's dialect over WebSocket: what `encode` gives are finished frames, made of texts by ``wrap``."""

    resubscribes = False

    def __init__(self, wrap: Callable[[bytes], bytes] = text_frame) -> None:
        self._wrap = wrap

    def decode(self, frame: bytes | str) -> Command:
        """See `ICodec`; the texts are hosted Pusher's where they are known."""
        try:
            envelope = _frame(frame)
        except UNREADABLE:
            raise CommandRejected(None, "Invalid JSON") from None
        event = envelope.event
        if not isinstance(event, str):
            raise CommandRejected(None, "Missing parameter: event")
        if event.startswith("client-"):
            return _client_event(event, envelope)
        command = _COMMANDS.get(event)
        if command is None:
            raise CommandRejected(None, f"Unsupported event received on socket: {event}")
        return command(envelope.data)

    def encode(self, message: Message) -> bytes:
        """See `ICodec`."""
        text = _MESSAGES[type(message)](message)
        return self._wrap(text) if text else b""


# ---- commands -------------------------------------------------------------------------------------------------


def _client_event(event: str, envelope: _Frame) -> ClientEvent:
    channel = envelope.channel if isinstance(envelope.channel, str) else None
    try:
        return ClientEvent(event, channel, text_of(envelope.data))
    except UNREADABLE:
        raise CommandRejected(None, "Invalid JSON") from None


def _subscribe(data: Raw | UnsetType) -> Subscribe:
    fields = _fields(data)
    channel, channel_data = fields.channel, fields.channel_data
    if channel_data is not None and not isinstance(channel_data, str):
        if kind_of(channel) & Kind.AUTH:
            raise SubscriptionRejected(channel, "InvalidData", 400, "Invalid channel_data: it must be a string")
        channel_data = None
    return Subscribe(channel, fields.auth if isinstance(fields.auth, str) else None, channel_data)


def _unsubscribe(data: Raw | UnsetType) -> Unsubscribe:
    return Unsubscribe(_fields(data).channel)


def _fields(data: Raw | UnsetType) -> _Subscription:
    # Clients may send `data` as an object or as a string that holds one.
    try:
        raw = b"" if isinstance(data, UnsetType) else bytes(data).strip()
        fields = _subscription(_string(raw) if raw[:1] == b'"' else raw)
    except UNREADABLE:
        raise CommandRejected(None, "Missing parameter: data") from None
    if not isinstance(fields.channel, str):
        raise CommandRejected(None, "Missing parameter: data.channel")
    return fields


def _signin(data: Raw | UnsetType) -> Signin:
    try:
        raw = b"" if isinstance(data, UnsetType) else bytes(data).strip()
        fields = _identity(_string(raw) if raw[:1] == b'"' else raw)
    except UNREADABLE:
        raise CommandRejected(None, "Missing parameter: data") from None
    if not isinstance(fields.auth, str) or not fields.auth:
        raise CommandRejected(SIGNIN_REFUSED, "Missing parameter: data.auth")
    if not isinstance(fields.user_data, str):
        raise CommandRejected(SIGNIN_REFUSED, "Invalid user_data: it must be a string")
    return Signin(fields.auth, fields.user_data)


_COMMANDS: dict[str, Callable[[Raw | UnsetType], Command]] = {
    "pusher:ping": lambda data: Ping(),
    "pusher:pong": lambda data: Pong(),
    "pusher:subscribe": _subscribe,
    "pusher:unsubscribe": _unsubscribe,
    "pusher:signin": _signin,
}

# ---- messages -------------------------------------------------------------------------------------------------


def _told(event: bytes, data: bytes, channel: str | None = None, user_id: str | None = None) -> bytes:
    """A frame's text; ``data`` is JSON already, and goes into a string of its own."""
    return _spliced(event, _json(data.decode()), channel, user_id)


def _spliced(event: bytes, data: bytes, channel: str | None = None, user_id: str | None = None) -> bytes:
    about = b',"channel":' + _json(channel) if channel is not None else b""
    sender = b',"user_id":' + _json(user_id) if user_id is not None else b""
    return b'{"event":"%b"%b,"data":%b%b}' % (event, about, data, sender)


def _established(message: Established) -> bytes:
    data = b'{"socket_id":"%b","activity_timeout":%d}' % (message.socket_id.encode(), message.activity_timeout)
    return _told(b"pusher:connection_established", data)


def _failure(message: Failure) -> bytes:
    return _spliced(b"pusher:error", _json({"code": message.code, "message": message.reason}), message.channel)


def _subscribed(message: Subscribed) -> bytes:
    data = b"{}"
    if message.members is not None:
        ids = [_json(member.user_id) for member in message.members]
        infos = [member.info for member in message.members]
        people = b",".join(b"%b:%b" % pair for pair in zip(ids, infos, strict=True))
        data = b'{"presence":{"count":%d,"ids":[%b],"hash":{%b}}}' % (len(ids), b",".join(ids), people)
    return _told(b"pusher_internal:subscription_succeeded", data, message.channel)


def _subscription_failed(message: SubscriptionFailed) -> bytes:
    data = _json({"type": message.kind, "error": message.reason, "status": message.status})
    return _told(b"pusher:subscription_error", data, message.channel)


def _published(message: Published) -> bytes:
    # The hot one: written out, so that an event costs one formatting.
    if message.attachments:
        # There are no bytes in this dialect, and placeholders for them would mean nothing to anybody.
        return b""
    if message.user_id is not None:
        return b'{"event":%b,"channel":%b,"data":%b,"user_id":%b}' % (
            _json(message.name),
            _json(message.channel),
            _json(message.data),
            _json(message.user_id),
        )
    return b'{"event":%b,"channel":%b,"data":%b}' % (_json(message.name), _json(message.channel), _json(message.data))


def _member_added(message: MemberAdded) -> bytes:
    data = b'{"user_id":%b,"user_info":%b}' % (_json(message.member.user_id), message.member.info)
    return _told(b"pusher_internal:member_added", data, message.channel)


def _member_removed(message: MemberRemoved) -> bytes:
    return _told(b"pusher_internal:member_removed", _json({"user_id": message.member.user_id}), message.channel)


def _subscription_count(message: SubscriptionCount) -> bytes:
    data = b'{"subscription_count":%d}' % message.count
    return _told(b"pusher_internal:subscription_count", data, message.channel)


def _watchlist_events(message: WatchlistEvents) -> bytes:
    lists = (("online", message.online), ("offline", message.offline))
    data = _json({"events": [{"name": name, "user_ids": ids} for name, ids in lists if ids]})
    return _told(b"pusher_internal:watchlist_events", data)


_MESSAGES: dict[type, Callable[[Any], bytes]] = {
    Ping: lambda message: _told(b"pusher:ping", b"{}"),
    Pong: lambda message: _told(b"pusher:pong", b"{}"),
    Established: _established,
    Failure: _failure,
    Subscribed: _subscribed,
    SubscriptionFailed: _subscription_failed,
    Published: _published,
    MemberAdded: _member_added,
    MemberRemoved: _member_removed,
    CacheMiss: lambda message: _told(b"pusher:cache_miss", b"{}", message.channel),
    SubscriptionCount: _subscription_count,
    SignedIn: lambda message: _told(b"pusher:signin_success", _json({"user_data": message.user_data})),
    WatchlistEvents: _watchlist_events,
}
