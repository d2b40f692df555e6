"""The vocabulary: what clients ask (`Command`), what the server says (`Message`), what is published (`Event`).

All of it is immutable and free of any dialect: codecs translate at the edge, and only there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from broadcaster.interfaces import ICodec


class Member(Struct, frozen=True):
    """Somebody on a presence channel; ``info`` is JSON text, passed on as it came.

    ``data`` is the JSON object by which the application named the member, empty where it did not; ``socket_id`` is
    the newest of the user's connections.
    """

    user_id: str
    info: bytes = b"{}"
    data: bytes = b""
    socket_id: str = ""


class User(Struct, frozen=True):
    """Who is signed in; ``info`` is JSON text, ``watchlist`` the users whose coming and going it hears."""

    id: str
    info: bytes = b"{}"
    watchlist: tuple[str, ...] = ()


# ---- published ------------------------------------------------------------------------------------------------


class Event(Struct, frozen=True):
    """Something published to one or more channels of an app.

    ``data`` is text, opaque and never re-serialised. ``exclude`` is the socket id that must not hear it.
    ``user_id`` names the presence member who sent it; only client events on presence channels have one.
    ``by_client`` says that it is a client event; only those of Socket.IO may have ``attachments``, bytes for which
    placeholders stand in ``data``.
    """

    name: str
    channels: tuple[str, ...]
    data: str
    exclude: str | None = None
    user_id: str | None = None
    by_client: bool = False
    attachments: tuple[bytes, ...] = ()


class MemberAdded(Struct, frozen=True):
    """The first connection of a user joined ``channel``."""

    channel: str
    member: Member


class MemberRemoved(Struct, frozen=True):
    """The last connection of a user left ``channel``."""

    channel: str
    member: Member


class Terminated(Struct, frozen=True):
    """The application ends all connections of a user."""

    user_id: str


class UserOnline(Struct, frozen=True):
    """The first connection of a user signed in."""

    user_id: str


class UserOffline(Struct, frozen=True):
    """The last one is gone."""

    user_id: str


class SubscriptionCount(Struct, frozen=True):
    """How many connections hear ``channel`` now."""

    channel: str
    count: int


class LastEvent(Struct, frozen=True):
    """What is kept of a cache channel, for so many ``seconds`` more."""

    name: str
    data: str
    seconds: float


Publication: TypeAlias = Event | Terminated
"""What is handed to a driver."""

Change: TypeAlias = MemberAdded | MemberRemoved | SubscriptionCount
"""What a channel is told about itself."""

Delivery: TypeAlias = Publication | Change | UserOnline | UserOffline
"""What a driver hands to the hub."""

# ---- client to server -----------------------------------------------------------------------------------------


class Ping(Struct, frozen=True):
    """Are you there?"""


class Pong(Struct, frozen=True):
    """I am here."""


class Subscribe(Struct, frozen=True):
    """Let me hear ``channel``; ``channel_data`` is the signed text of a presence member, byte for byte.

    ``headers`` are for the application, where that is asked instead of having signed.
    """

    channel: str
    auth: str | None = None
    channel_data: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


class Unsubscribe(Struct, frozen=True):
    """Let me hear ``channel`` no more."""

    channel: str


class ClientEvent(Struct, frozen=True):
    """Tell the others on ``channel``; None where the client named no channel. See `Event` for ``attachments``."""

    name: str
    channel: str | None
    data: str
    attachments: tuple[bytes, ...] = ()


class Signin(Struct, frozen=True):
    """I am the user that ``user_data`` names, a text signed by the application."""

    auth: str
    user_data: str


Command: TypeAlias = Ping | Pong | Subscribe | Unsubscribe | ClientEvent | Signin

# ---- server to client -----------------------------------------------------------------------------------------


class Established(Struct, frozen=True):
    """The greeting; ``activity_timeout`` in seconds, ``pid`` names the session privately if it can be resumed."""

    socket_id: str
    activity_timeout: int
    pid: str | None = None


class Failure(Struct, frozen=True):
    """An error; ``channel`` lets the client hand it to the channel it is about."""

    code: int | None
    reason: str
    channel: str | None = None


class Subscribed(Struct, frozen=True):
    """The subscription stands; ``members`` on presence channels only, the subscriber among them."""

    channel: str
    members: tuple[Member, ...] | None = None


class SubscriptionFailed(Struct, frozen=True):
    """The subscription was refused."""

    channel: str
    kind: str
    reason: str
    status: int


class Published(Struct, frozen=True):
    """An `Event` as one channel tells it; ``offset`` is its place in the channel's history, opaque.

    It is never absent: a client that was given a pid takes the last string of any event for its offset, so that one
    told without would leave the client with its data instead.
    """

    name: str
    channel: str
    data: str
    user_id: str | None = None
    offset: str = "0"
    attachments: tuple[bytes, ...] = ()


class CacheMiss(Struct, frozen=True):
    """A cache channel holds no event now."""

    channel: str


class SignedIn(Struct, frozen=True):
    """The sign-in stands; ``user_data`` is the very text that was signed."""

    user_data: str


class WatchlistEvents(Struct, frozen=True):
    """Who of the watched users is online and offline now."""

    online: tuple[str, ...] = ()
    offline: tuple[str, ...] = ()


Message: TypeAlias = (
    Ping
    | Pong
    | Established
    | Failure
    | Subscribed
    | SubscriptionFailed
    | Published
    | MemberAdded
    | MemberRemoved
    | CacheMiss
    | SubscriptionCount
    | SignedIn
    | WatchlistEvents
)


class Envelope:
    """Messages that travel together, and their encodings: made once for all connections of a codec."""

    __slots__ = ("_encoded", "expendable", "messages")

    def __init__(self, messages: tuple[Message, ...]) -> None:
        self.messages = messages
        self.expendable = all(type(message) is Published for message in messages)
        """Whether a slow client may miss it: published events only, never what keeps its member list right."""
        self._encoded: dict[ICodec, bytes] = {}

    def encoded(self, codec: ICodec) -> bytes:
        """The same ``bytes`` object for every connection that speaks ``codec``."""
        try:
            return self._encoded[codec]
        except KeyError:
            frames = [codec.encode(message) for message in self.messages]
            encoded = self._encoded[codec] = frames[0] if len(frames) == 1 else b"".join(frames)
            return encoded
