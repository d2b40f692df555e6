"""laravel-echo-server's dialect of Socket.IO events: commands out of clients' events, messages as events for them.

Everything is an EVENT on the namespace ``/``, its arguments by position: the channel first, then the data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from zope.interface import implementer

from broadcaster.errors import CommandRejected
from broadcaster.interfaces import ICodec
from broadcaster.messages import (
    ClientEvent,
    Command,
    Established,
    Member,
    MemberAdded,
    MemberRemoved,
    Message,
    Published,
    Subscribe,
    Subscribed,
    SubscriptionFailed,
    Unsubscribe,
)
from broadcaster.protocols.engineio import v3, v4
from broadcaster.protocols.engineio.packet import Packet, Type
from broadcaster.protocols.frames import frame, text_frame
from broadcaster.protocols.socketio import RESERVED, whole_characters
from broadcaster.text import UNREADABLE

_UNSPEAKABLE = RESERVED | {"error"}
"""Events that clients take for their own, or that end their connection."""

_json = msgspec.json.Encoder().encode


class _Event(Struct, array_like=True):
    name: str
    argument: Raw = Raw(b"null")


class _Subscription(Struct):
    channel: str
    auth: Raw = Raw(b"null")


class _Auth(Struct):
    headers: dict[str, Raw]


class _Whisper(Struct):
    channel: str
    event: str
    data: Raw | UnsetType = UNSET


_event = msgspec.json.Decoder(_Event).decode
_subscription = msgspec.json.Decoder(_Subscription).decode
_auth = msgspec.json.Decoder(_Auth).decode
_whisper = msgspec.json.Decoder(_Whisper).decode
_string = msgspec.json.Decoder(str).decode
_value = msgspec.json.Decoder(Raw).decode


@implementer(ICodec)
class EchoCodec:
    """The dialect for clients of one Engine.IO ``revision``, 3 or 4; `encode` gives finished WebSocket frames.

    They are of text, but for the attachments of client events, which follow theirs in binary ones.
    """

    resubscribes = True

    def __init__(self, revision: int) -> None:
        self._encoders = {**_ENCODERS, **_OF_REVISION[revision]}
        self._frame = {3: v3, 4: v4}[revision].encode_frame

    def decode(self, frame: bytes | str) -> Command:
        """See `ICodec`; ``frame`` is the JSON of an EVENT. What is rejected has no answer in this dialect."""
        try:
            event = _event(frame)
            command = _COMMANDS.get(event.name)
            if command is not None:
                return command(bytes(event.argument))
        except UNREADABLE:
            raise CommandRejected(None, "Not an event of this dialect") from None
        raise CommandRejected(None, "Unknown event")

    def encode(self, message: Message) -> bytes:
        """See `ICodec`. There are no words for pings, errors, counts, users and misses: these are empty."""
        encoder = self._encoders.get(type(message))
        text = encoder(message) if encoder is not None else b""
        if text and isinstance(message, Published) and message.attachments:
            return self._with_attachments(text, message.attachments)
        return text_frame(text) if text else b""

    def _with_attachments(self, event: bytes, attachments: tuple[bytes, ...]) -> bytes:
        """The event as a BINARY_EVENT, whose placeholders are where its sender put them."""
        binary = [frame(*self._frame(Packet(Type.MESSAGE, each), True)) for each in attachments]
        return text_frame(b"45%d-%b" % (len(attachments), event.removeprefix(b"42"))) + b"".join(binary)


# ---- commands -------------------------------------------------------------------------------------------------


def _subscribe(argument: bytes) -> Subscribe:
    subscription = _subscription(argument)
    return Subscribe(subscription.channel, headers=_headers(bytes(subscription.auth)))


def _headers(auth: bytes) -> tuple[tuple[str, str], ...]:
    try:
        headers = _auth(auth).headers
    except UNREADABLE:
        return ()
    texts = ((name, _header(bytes(value))) for name, value in headers.items())
    return tuple((name, text) for name, text in texts if text is not None)


def _header(value: bytes) -> str | None:
    """Strings as what they say, numbers and booleans as they are written, nothing else."""
    if value[:1] == b'"':
        return _string(value)
    return value.decode() if value[:1] in b"-0123456789tf" else None


def _unsubscribe(argument: bytes) -> Unsubscribe:
    return Unsubscribe(_subscription(argument).channel)


def _client_event(argument: bytes) -> ClientEvent:
    # laravel-echo-server takes the argument also as a string that holds it.
    whisper = _whisper(_string(argument) if argument[:1] == b'"' else argument)
    if not whisper.event.startswith("client-"):
        raise CommandRejected(None, "Client events have names that begin with client-", whisper.channel)
    data = "null" if isinstance(whisper.data, UnsetType) else bytes(whisper.data).decode()
    return ClientEvent(whisper.event, whisper.channel, data)


_COMMANDS: dict[str, Callable[[bytes], Command]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "client event": _client_event,
}

# ---- messages -------------------------------------------------------------------------------------------------


def _established_3(message: Established) -> bytes:
    return b"40"


def _established_4(message: Established) -> bytes:
    pid = b',"pid":' + _json(message.pid) if message.pid is not None else b""
    return b'40{"sid":%b%b}' % (_json(message.socket_id), pid)


def _published_3(message: Published) -> bytes:
    if message.name in _UNSPEAKABLE:
        return b""
    return b"42[%b,%b,%b]" % (_json(message.name), _json(message.channel), _spliced(message.data))


def _published_4(message: Published) -> bytes:
    text = _published_3(message)
    return b"%b,%b]" % (text[:-1], _json(message.offset)) if text else b""


def _spliced(text: str) -> bytes:
    """Published text as a JSON value: the one that it is, or else a string of it."""
    data = text.encode()
    for candidate in (data, whole_characters(data)):
        try:
            _value(candidate)
        except UNREADABLE:
            continue
        return candidate
    return _json(text) if text else b"null"


def _subscribed(message: Subscribed) -> bytes:
    if message.members is None:
        return b""
    newest_first = b",".join(_joined(member) for member in reversed(message.members))
    return _told(b"presence:subscribed", message.channel, b"[%b]" % newest_first)


def _joined(member: Member) -> bytes:
    return b'%b,"socketId":%b}' % (_described(member)[:-1], _json(member.socket_id))


def _described(member: Member) -> bytes:
    """The member as the application named it: ids that are numbers stay numbers here."""
    return member.data.strip() or b'{"user_id":%b,"user_info":%b}' % (_json(member.user_id), member.info)


def _subscription_failed(message: SubscriptionFailed) -> bytes:
    return _told(b"subscription_error", message.channel, b"%d" % message.status)


def _member_added(message: MemberAdded) -> bytes:
    return _told(b"presence:joining", message.channel, _joined(message.member))


def _member_removed(message: MemberRemoved) -> bytes:
    return _told(b"presence:leaving", message.channel, _described(message.member))


def _told(event: bytes, channel: str, data: bytes) -> bytes:
    return b'42["%b",%b,%b]' % (event, _json(channel), data)


_ENCODERS: dict[type, Callable[[Any], bytes]] = {
    Subscribed: _subscribed,
    SubscriptionFailed: _subscription_failed,
    MemberAdded: _member_added,
    MemberRemoved: _member_removed,
}
_OF_REVISION: dict[int, dict[type, Callable[[Any], bytes]]] = {
    3: {Established: _established_3, Published: _published_3},
    4: {Established: _established_4, Published: _published_4},
}
