"""Calls of Pusher's HTTP API, signed: what an event or the end of a user's connections is as a request. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import md5
from urllib.parse import quote

import msgspec
from msgspec import Struct

from broadcaster.auth.signature import sign
from broadcaster.messages import Event

BATCH = 10
"""Events that one call of ``batch_events`` takes (Pusher's documentation)."""

_encode = msgspec.json.Encoder().encode
_SOCKET_ID = re.compile(r"\d+\.\d+", re.ASCII)


class Call(Struct, frozen=True):
    """One POST: its path under the API's address, and its body."""

    path: str
    body: bytes

    def target(self, key: str, secret: str, now: float) -> str:
        """The path and the query that signs it, at ``now`` on the wall's clock."""
        query = (
            f"auth_key={key}&auth_timestamp={int(now)}&auth_version=1.0"
            f"&body_md5={md5(self.body, usedforsecurity=False).hexdigest()}"
        )
        signature = sign(secret, f"POST\n{self.path}\n{query}")
        return f"{self.path}?{query}&auth_signature={signature}"


def call_for(app_id: str, events: Sequence[Event]) -> Call:
    """The call that publishes ``events``: one of any number of channels, or several of one channel each."""
    if len(events) == 1:
        (event,) = events
        return Call(f"/apps/{app_id}/events", _encode(_published(event) | {"channels": event.channels}))
    batch = [_published(event) | {"channel": event.channels[0]} for event in events]
    return Call(f"/apps/{app_id}/batch_events", _encode({"batch": batch}))


def termination(app_id: str, user_id: str) -> Call:
    """The call that ends a user's connections."""
    return Call(f"/apps/{app_id}/users/{quote(user_id, safe='')}/terminate_connections", b"{}")


def _published(event: Event) -> dict[str, object]:
    told: dict[str, object] = {"name": event.name, "data": event.data}
    # Pusher refuses an event whose socket id is not of its own form, and one of a Socket.IO client is not.
    if event.exclude is not None and _SOCKET_ID.fullmatch(event.exclude):
        told["socket_id"] = event.exclude
    return told
