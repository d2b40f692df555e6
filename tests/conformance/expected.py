"""Frames as the server must send them, and what an application signs for its clients."""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from typing import Any

from broadcaster.settings import App
from tests.inprocess import APP, Client

PONG = {"event": "pusher:pong", "data": "{}"}
ASKED = {"event": "pusher:ping", "data": "{}"}

Frame = dict[str, Any]


def compact(value: Any) -> str:
    """JSON as the server writes it: no spaces, nothing escaped that need not be."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def error(message: str, code: int | None = None, channel: str | None = None) -> Frame:
    about = {} if channel is None else {"channel": channel}
    return {"event": "pusher:error", **about, "data": {"code": code, "message": message}}


def refused(channel: str, kind: str, status: int, message: str) -> list[Frame]:
    """A subscription is refused twice: to the channel, then to the connection."""
    data = compact({"type": kind, "error": message, "status": status})
    return [{"event": "pusher:subscription_error", "channel": channel, "data": data}, error(message)]


def unauthorized(channel: str, message: str) -> list[Frame]:
    return refused(channel, "AuthError", 401, message)


def succeeded(channel: str, members: dict[str, Any] | None = None) -> Frame:
    data: dict[str, Any] = {}
    if members is not None:
        data = {"presence": {"count": len(members), "ids": list(members), "hash": members}}
    return {"event": "pusher_internal:subscription_succeeded", "channel": channel, "data": compact(data)}


def published(channel: str, data: str, name: str = "e", **more: str) -> Frame:
    return {"event": name, "channel": channel, "data": data, **more}


def missed(channel: str) -> Frame:
    """A cache channel has nothing to tell."""
    return {"event": "pusher:cache_miss", "channel": channel, "data": "{}"}


def counted(channel: str, subscriptions: int) -> Frame:
    data = compact({"subscription_count": subscriptions})
    return {"event": "pusher_internal:subscription_count", "channel": channel, "data": data}


def signed_in(user_data: str) -> Frame:
    return {"event": "pusher:signin_success", "data": compact({"user_data": user_data})}


def watched(online: Sequence[str] = (), offline: Sequence[str] = ()) -> Frame:
    """Who of the watched users is there; a list that would be empty is left out."""
    lists = (("online", online), ("offline", offline))
    events = [{"name": name, "user_ids": list(ids)} for name, ids in lists if ids]
    return {"event": "pusher_internal:watchlist_events", "data": compact({"events": events})}


def added(channel: str, user_id: str, info: Any) -> Frame:
    data = compact({"user_id": user_id, "user_info": info})
    return {"event": "pusher_internal:member_added", "channel": channel, "data": data}


def removed(channel: str, user_id: str) -> Frame:
    return {"event": "pusher_internal:member_removed", "channel": channel, "data": compact({"user_id": user_id})}


def members(frame: Frame) -> dict[str, Any]:
    """Who is in a ``subscription_succeeded``, by id; the three ways of saying it must agree."""
    assert frame["event"] == "pusher_internal:subscription_succeeded"
    presence = json.loads(frame["data"])["presence"]
    assert sorted(presence["ids"]) == sorted(presence["hash"])
    assert presence["count"] == len(presence["ids"])
    found: dict[str, Any] = presence["hash"]
    return found


def auth(text: str, app: App = APP, secret: str | None = None) -> str:
    """What the application's endpoint answers for the string ``text``."""
    return f"{app.key}:{hmac.new((secret or app.secrets[0]).encode(), text.encode(), 'sha256').hexdigest()}"


def told(client: Client) -> tuple[int, str]:
    """Why a client was not let in: told by an error frame, and by a close frame in the same words."""
    (frame,) = client.events()
    code, message = frame["data"]["code"], frame["data"]["message"]
    assert frame == error(message, code)
    assert (client.close_code, client.close_reason) == (code, message)
    assert client.head.startswith("HTTP/1.1 101 ")
    return code, message
