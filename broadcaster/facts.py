"""What happens on the server as a whole, in the words of webhooks: each fact is told once in the whole cluster."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct
from zope.interface import implementer

from broadcaster.interfaces import IFactObserver
from broadcaster.messages import MemberAdded, MemberRemoved


class ChannelOccupied(Struct, frozen=True):
    """The first connection of all hears ``channel``; never told of a user's own channel."""

    channel: str


class ChannelVacated(Struct, frozen=True):
    """The last one has left it."""

    channel: str


class SubscriptionsLost(Struct, frozen=True):
    """A process died, and with it some of the subscriptions of ``channel``; there are others."""

    channel: str


class SubscriptionCounted(Struct, frozen=True):
    """``channel`` was told that it is ``count`` connections, for an app with ``subscription_count``."""

    channel: str
    count: int


class ClientEventSent(Struct, frozen=True):
    """A client told the others on ``channel`` something; ``user_id`` on presence channels only."""

    channel: str
    name: str
    data: str
    socket_id: str
    user_id: str | None = None


class CacheMissed(Struct, frozen=True):
    """Somebody subscribed to a cache channel that holds no event."""

    channel: str


class Connected(Struct, frozen=True):
    """A client was let in."""

    socket_id: str


class Disconnected(Struct, frozen=True):
    """It is gone."""

    socket_id: str


Fact: TypeAlias = (
    ChannelOccupied
    | ChannelVacated
    | MemberAdded
    | MemberRemoved
    | SubscriptionsLost
    | SubscriptionCounted
    | ClientEventSent
    | CacheMissed
    | Connected
    | Disconnected
)


@implementer(IFactObserver)
class Facts:
    """Passes on what is told in this process to all who want to know."""

    def __init__(self) -> None:
        self._observers: tuple[IFactObserver, ...] = ()

    def observe(self, observer: IFactObserver) -> None:
        """Tell ``observer`` from now on."""
        self._observers += (observer,)

    def told(self, app_id: str, fact: Fact) -> None:
        """See `IFactObserver`."""
        for observer in self._observers:
            observer.told(app_id, fact)
