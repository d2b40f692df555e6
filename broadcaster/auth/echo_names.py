"""Which channels Socket.IO clients may name, and about which of them the application is asked. Pure.

Looser than Pusher's grammar on purpose: Laravel's Redis driver publishes to any name, and a forgotten key prefix makes
``private-x`` arrive as ``laravel_database_private-x``, which must not lie open. So a name is asked about wherever the
word stands in it, as laravel-echo-server does.
"""

from __future__ import annotations

import re

from broadcaster.errors import SubscriptionRejected
from broadcaster.settings import Limits

# Lone surrogates can be written in JSON, but never on the way to the application.
_UNSPEAKABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def check_echo_name(channel: str, limits: Limits) -> None:
    """Raises `SubscriptionRejected` for what cannot be a channel of a Socket.IO client."""
    if not channel or _UNSPEAKABLE.search(channel):
        raise SubscriptionRejected(channel, "InvalidChannel", 400, f"Invalid channel name: {channel!r}")
    length = limits.channel_name_length
    if length and len(channel) > length:
        reason = f"Channel name exceeds {length} characters (limits.channel_name_length = {length})"
        raise SubscriptionRejected(channel, "LimitReached", 400, reason)
    if channel.startswith("#"):
        # Pusher's users have those, and nobody can sign in here.
        raise SubscriptionRejected(channel, "AuthError", 403, f"Not allowed to subscribe to {channel}")


def is_guarded(channel: str) -> bool:
    """Whether only those may hear ``channel`` whom the application lets."""
    return "private-" in channel or "presence-" in channel


def has_members(channel: str) -> bool:
    """Whether who hears ``channel`` is a member whom the others see."""
    return channel.startswith("presence-")
