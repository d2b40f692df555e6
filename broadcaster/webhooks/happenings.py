"""A fact as webhooks tell it: Pusher's name for it, the fields beside that, and who came or went by it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from broadcaster.facts import (
    CacheMissed,
    ChannelOccupied,
    ChannelVacated,
    ClientEventSent,
    Connected,
    Disconnected,
    Fact,
    SubscriptionCounted,
)
from broadcaster.hooks import Spot
from broadcaster.messages import MemberAdded, MemberRemoved

ALL = (
    *("channel_occupied", "channel_vacated", "member_added", "member_removed"),
    *("client_event", "cache_miss", "subscription_count"),
)
"""What a receiver is told that lists nothing: all of Pusher's events."""


class Happening(Struct, frozen=True):
    """``channel`` is "" for what is about none: PHP's SDK fails without the field."""

    name: str
    channel: str
    fields: dict[str, Any] = {}
    spot: Spot | None = None
    """Who came or went."""

    @property
    def going(self) -> bool:
        """Whether the spot went, and did not come."""
        return self.name in OPPOSITE

    def event(self, letter_id: str) -> bytes:
        """Its JSON; SDKs pass over the id."""
        event = {"name": self.name, "channel": self.channel, **self.fields, "id": letter_id}
        try:
            return msgspec.json.encode(event)
        except UnicodeEncodeError:  # a client may send half of a character, which only an escape can say
            return json.dumps(event, separators=(",", ":")).encode()


OPPOSITE = {"channel_vacated": "channel_occupied", "member_removed": "member_added"}
"""What is not told either if one is not, since somebody came back."""


def happening(app_id: str, fact: Fact) -> Happening | None:
    """None for a fact that is told to nobody."""
    make = _MAKERS.get(type(fact))
    return None if make is None else make(app_id, fact)


def gone(spot: Spot) -> Happening:
    """That whoever went from there has not come back."""
    if spot.user_id is None:
        return Happening("channel_vacated", spot.channel, {}, spot)
    return Happening("member_removed", spot.channel, {"user_id": spot.user_id}, spot)


def _occupied(app_id: str, fact: ChannelOccupied) -> Happening:
    return Happening("channel_occupied", fact.channel, {}, Spot(app_id, fact.channel))


def _vacated(app_id: str, fact: ChannelVacated) -> Happening:
    return gone(Spot(app_id, fact.channel))


def _added(app_id: str, fact: MemberAdded) -> Happening:
    user_id = fact.member.user_id
    return Happening("member_added", fact.channel, {"user_id": user_id}, Spot(app_id, fact.channel, user_id))


def _removed(app_id: str, fact: MemberRemoved) -> Happening:
    return gone(Spot(app_id, fact.channel, fact.member.user_id))


def _client_event(app_id: str, fact: ClientEventSent) -> Happening:
    fields = {"event": fact.name, "data": fact.data, "socket_id": fact.socket_id}
    return Happening(
        "client_event", fact.channel, fields if fact.user_id is None else {**fields, "user_id": fact.user_id}
    )


_MAKERS: dict[type, Callable[[str, Any], Happening]] = {
    ChannelOccupied: _occupied,
    ChannelVacated: _vacated,
    MemberAdded: _added,
    MemberRemoved: _removed,
    ClientEventSent: _client_event,
    CacheMissed: lambda app_id, fact: Happening("cache_miss", fact.channel),
    SubscriptionCounted: lambda app_id, fact: Happening(
        "subscription_count", fact.channel, {"subscription_count": fact.count}
    ),
    Connected: lambda app_id, fact: Happening("connected", "", {"socket_id": fact.socket_id}),
    Disconnected: lambda app_id, fact: Happening("disconnected", "", {"socket_id": fact.socket_id}),
}
