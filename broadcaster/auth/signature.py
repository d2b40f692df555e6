"""Pusher's signatures, HMAC-SHA256 in lower-case hex, and the texts that clients have signed. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from broadcaster.settings import App

BLOCK = 64
"""Bytes that SHA-256 takes in at once."""

if TYPE_CHECKING:
    from hashlib import _Hash as Hash


def sign(secret: str, text: str | bytes) -> str:
    """The signature of ``text`` with ``secret``."""
    inner, outer = _keyed(secret)
    inner, outer = inner.copy(), outer.copy()
    inner.update(_bytes(text))
    outer.update(inner.digest())
    return outer.hexdigest()


@lru_cache(maxsize=1_024)
def _keyed(secret: str) -> tuple[Hash, Hash]:
    # HMAC by its definition (RFC 2104): taking in the key is half of the work, and the same for every text.
    key = _bytes(secret)
    if len(key) > BLOCK:
        key = sha256(key).digest()
    key = key.ljust(BLOCK, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in key)), sha256(bytes(byte ^ 0x5C for byte in key))


def matches(secrets: Iterable[str], text: str | bytes, signature: str) -> bool:
    """Whether any of ``secrets`` made ``signature``; how long it takes tells neither which nor how nearly.

    Never raises: a signature of another length or alphabet is merely wrong.
    """
    message, given = _bytes(text), _bytes(signature)
    found = False
    for secret in secrets:
        # compare_digest stands left of nothing that could skip it: every secret is tried.
        found |= hmac.compare_digest(sign(secret, message).encode(), given)
    return found


def check(app: App, auth: str, text: str) -> str | None:
    """Why ``auth``, ``<key>:<signature>``, does not stand for ``text``, in Pusher's words; None if it does."""
    key, colon, signature = auth.partition(":")
    if not colon:
        return "Invalid format: auth must have the format key:signature"
    if key != app.key:
        return f"Invalid key in subscription auth data: '{key}'"
    if not matches(app.secrets, text, signature):
        return f"Invalid signature: Expected HMAC SHA256 hex digest of {text}, but got {signature}"
    return None


def channel_text(socket_id: str, channel: str, channel_data: str | None) -> str:
    """What is signed to let a connection hear a channel; ``channel_data`` goes in unchanged."""
    text = f"{socket_id}:{channel}"
    return text if channel_data is None else f"{text}:{channel_data}"


def user_text(socket_id: str, user_data: str) -> str:
    """What is signed to let a connection sign in as a user."""
    return f"{socket_id}::user::{user_data}"


def _bytes(text: str | bytes) -> bytes:
    # Lone surrogates can be in a client's text; nobody signs them, and they must not raise.
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
