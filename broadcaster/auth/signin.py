"""Who a connection says it is: ``pusher:signin`` with a user that the application has signed. Pure."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from broadcaster.auth.signature import check, user_text
from broadcaster.errors import SIGNIN_REFUSED, CommandRejected
from broadcaster.messages import Signin, User
from broadcaster.settings import App, Limits
from broadcaster.text import UNREADABLE

WATCHLIST_EXCEEDED = 4302


class _UserData(Struct):
    id: Any = None
    user_info: Raw = Raw(b"{}")
    watchlist: Any = None


_user_data = msgspec.json.Decoder(_UserData).decode


def read_user(app: App, socket_id: str, signin: Signin, limits: Limits) -> User:
    """The user whom ``signin`` names, with the whole watchlist. Raises `CommandRejected` with code 4009."""
    reason = check(app, signin.auth, user_text(socket_id, signin.user_data))
    if reason is not None:
        raise CommandRejected(SIGNIN_REFUSED, reason)
    try:
        fields = _user_data(signin.user_data)
    except UNREADABLE:
        _invalid("it must be a JSON object")
    if not isinstance(fields.id, str) or not fields.id:
        _invalid("id must be a non-empty string")
    length = limits.user_id_length
    if length and len(fields.id) > length:
        _invalid(f"id exceeds {length} characters (limits.user_id_length = {length})")
    watchlist = [] if fields.watchlist is None else fields.watchlist
    if not isinstance(watchlist, list) or not all(isinstance(watched, str) for watched in watchlist):
        _invalid("watchlist")
    return User(fields.id, bytes(fields.user_info), tuple(dict.fromkeys(watchlist)))


def heed(user: User, app: App, limits: Limits) -> tuple[User, CommandRejected | None]:
    """``user`` with the part of its watchlist that counts, and what is said of the rest, in Pusher's words."""
    most = limits.watchlist
    if not app.watchlists:
        return replace(user, watchlist=()), None
    if not most or len(user.watchlist) <= most:
        return user, None
    reason = f"Watchlist limit exceeded. Only the first {most} user IDs are accepted. (limits.watchlist = {most})"
    return replace(user, watchlist=user.watchlist[:most]), CommandRejected(WATCHLIST_EXCEEDED, reason)


def _invalid(why: str) -> NoReturn:
    raise CommandRejected(SIGNIN_REFUSED, f"Invalid user_data: {why}")
