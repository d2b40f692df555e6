"""What the application's answer means: in, and as which member, or refused. Pure."""

from __future__ import annotations

from typing import NoReturn

import msgspec
from msgspec import Raw, Struct

from broadcaster.auth.echo_names import has_members
from broadcaster.auth.members import read_member
from broadcaster.errors import SubscriptionRejected
from broadcaster.messages import Member
from broadcaster.settings import Limits
from broadcaster.text import UNREADABLE

_REMEDIES = {
    401: "is the user logged in, and does the page send its cookie or its Authorization header (auth.headers)?",
    403: "the user may not hear it by routes/channels.php, or is not logged in",
    404: "is the route of apps.auth.endpoint registered?",
    419: "the session has expired, or the page sends no X-CSRF-TOKEN (auth.headers)",
}
_REDIRECT = "redirects are not followed: is the endpoint behind a login page?"
_FAULT = "the application failed, its own log says why"
_NO_MEMBER = "without a member: does the callback in routes/channels.php give the user's data, and not just true?"


def verdict(channel: str, status: int, body: bytes | None, limits: Limits) -> Member | None:
    """The member whom the application put on a presence channel, None on any other; no ``body`` is one too long.

    Raises `SubscriptionRejected` with the application's own status, with 403 for an answer that says nothing usable.
    """
    if status != 200:
        _refuse(channel, status, f"answered {status}: {_remedy(status)}")
    if body is None:
        _refuse(channel, 403, "answered with too many bytes to be an authorisation")
    if not has_members(channel):
        if body.strip() == b"false":
            _refuse(channel, 403, "answered false")
        return None
    member = _member(body)
    if member is None:
        _refuse(channel, 403, f"answered {_NO_MEMBER}")
    if limits.user_id_length and len(member.user_id) > limits.user_id_length:
        _too_large(channel, limits, "user_id_length")
    if limits.member_bytes and len(member.data) > limits.member_bytes:
        _too_large(channel, limits, "member_bytes")
    return member


class _Answer(Struct):
    channel_data: Raw = Raw()


_answer = msgspec.json.Decoder(_Answer).decode
_string = msgspec.json.Decoder(str).decode


def _member(body: bytes) -> Member | None:
    try:
        # What is skipped by the parser is not checked to be UTF-8, and all of it goes out to clients.
        channel_data = bytes(_answer(body.decode()).channel_data).decode()
        if channel_data[:1] == '"':
            # Laravel's drivers for Pusher and Reverb sign a text, its Redis driver answers with the object.
            channel_data = _string(channel_data)
        return read_member(channel_data)
    except UNREADABLE:
        return None


def _remedy(status: int) -> str:
    if status in _REMEDIES:
        return _REMEDIES[status]
    if 300 <= status < 400:
        return _REDIRECT
    return _FAULT if status >= 500 else "only 200 lets a client in"


def _refuse(channel: str, status: int, reason: str) -> NoReturn:
    raise SubscriptionRejected(channel, "AuthError", status, reason)


def _too_large(channel: str, limits: Limits, name: str) -> NoReturn:
    reason = f"answered with a member over limits.{name} = {getattr(limits, name)}"
    raise SubscriptionRejected(channel, "LimitReached", 413, reason)
