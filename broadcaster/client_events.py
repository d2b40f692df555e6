"""Which client events are passed on: Pusher's rules, in their order. Pure."""

from __future__ import annotations

from collections.abc import Container

from broadcaster.limits import TokenBucket, data_too_large, event_name_too_long, named
from broadcaster.messages import ClientEvent
from broadcaster.names import Kind, kind_of
from broadcaster.settings import App, Limits

REFUSED = 4301
"""The code of the error frame; the connection stays."""


def why_not(
    event: ClientEvent, app: App, subscriptions: Container[str], bucket: TokenBucket, limits: Limits, now: float
) -> str | None:
    """Why ``event`` of a connection with these ``subscriptions`` is refused, or None; what is refused costs nothing."""
    channel = event.channel
    if not app.client_events:
        return "To send client events, you must enable this feature in the Settings"
    if channel is None:
        return "Missing parameter: channel"
    if not kind_of(channel) & Kind.AUTH:
        return "Client event rejected - only supported on private and presence channels"
    if channel not in subscriptions:
        return f"Client event rejected - you are not subscribed to {channel}"
    reason = event_name_too_long(event.name, limits) or data_too_large(_size(event), limits)
    if reason is None and not bucket.take(limits.client_events_per_second, now):
        reason = named("Client event rejected due to rate limit", limits, "client_events_per_second")
    return reason


def _size(event: ClientEvent) -> int:
    return len(event.data.encode()) + sum(map(len, event.attachments))
