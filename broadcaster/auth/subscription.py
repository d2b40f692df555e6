"""Decides from a signature alone who may hear a channel: Pusher's way, where the application has signed before."""

from __future__ import annotations

from typing import NoReturn

from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from broadcaster.auth.members import read_member
from broadcaster.auth.signature import channel_text, check
from broadcaster.errors import CommandRejected, SubscriptionRejected
from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe, User
from broadcaster.names import USER_CHANNEL, Kind, is_channel_name, kind_of
from broadcaster.settings import App, Limits
from broadcaster.text import UNREADABLE


@implementer(IAuthorizer)
class SignatureAuthorizer:
    """`authorize` by the ``limits`` of this server; its Deferreds have fired already."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def authorize(self, app: App, socket_id: str, subscribe: Subscribe, user: User | None) -> Deferred[Member | None]:
        """See `IAuthorizer`; a channel without a name fails with a plain `CommandRejected`."""
        return execute(authorize, app, socket_id, subscribe, self.limits, user)


def authorize(
    app: App, socket_id: str, subscribe: Subscribe, limits: Limits, user: User | None = None
) -> Member | None:
    """The member whom ``subscribe`` puts on a presence channel, None on any other channel.

    ``user`` is who is signed in: its own channel is open to it, and it is a member where no other is named.

    Raises `SubscriptionRejected` for the first of its faults, in the order and the words of Pusher.
    """
    channel = subscribe.channel
    _check_name(channel, limits)
    kind = kind_of(channel)
    if kind & Kind.USER:
        if user is not None and channel == USER_CHANNEL + user.id:
            return None
        _unauthorized(channel, f"Not allowed to subscribe to {channel}")
    if not kind & Kind.AUTH:
        return None
    # Every server SDK takes empty channel_data for none and leaves it out of what it signs.
    channel_data = subscribe.channel_data or None
    _check_auth(app, socket_id, channel, subscribe.auth, channel_data)
    if not kind & Kind.PRESENCE:
        return None
    if channel_data is not None:
        member, size = _member(channel, channel_data), len(channel_data.encode())
    elif user is not None:
        member, size = Member(user.id, user.info), len(user.info)
    else:
        _unauthorized(channel, "presence channels need channel_data or a signed-in user")
    if limits.user_id_length and len(member.user_id) > limits.user_id_length:
        _too_large(channel, limits, "user_id_length")
    if limits.member_bytes and size > limits.member_bytes:
        _too_large(channel, limits, "member_bytes")
    return member


def _check_name(channel: str, limits: Limits) -> None:
    if not channel:
        # There is no channel to tell it to.
        raise CommandRejected(None, "Invalid channel name: ")
    if not is_channel_name(channel):
        raise SubscriptionRejected(channel, "InvalidChannel", 400, f"Invalid channel name: {channel}")
    length = limits.channel_name_length
    if length and len(channel) > length:
        reason = f"Channel name exceeds {length} characters (limits.channel_name_length = {length})"
        raise SubscriptionRejected(channel, "LimitReached", 400, reason)


def _check_auth(app: App, socket_id: str, channel: str, auth: str | None, channel_data: str | None) -> None:
    if not auth:
        _unauthorized(channel, f"Auth info required to subscribe to {channel}")
    reason = check(app, auth, channel_text(socket_id, channel, channel_data))
    if reason is not None:
        _unauthorized(channel, reason)


def _member(channel: str, channel_data: str) -> Member:
    try:
        member = read_member(channel_data)
    except UNREADABLE:
        _invalid(channel, "it must be a JSON object")
    if member is None:
        _invalid(channel, "user_id must be a non-empty string or a number")
    return member


def _unauthorized(channel: str, reason: str) -> NoReturn:
    raise SubscriptionRejected(channel, "AuthError", 401, reason)


def _invalid(channel: str, why: str) -> NoReturn:
    raise SubscriptionRejected(channel, "InvalidData", 400, f"Invalid channel_data: {why}")


def _too_large(channel: str, limits: Limits, name: str) -> NoReturn:
    reason = f"limits.{name} exceeded (limits.{name} = {getattr(limits, name)})"
    raise SubscriptionRejected(channel, "LimitReached", 413, reason)
