"""The connections and channels of this process, and the one place where deliveries become broadcasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from zope.interface import implementer

from broadcaster.channel import Channel
from broadcaster.counters import Counters
from broadcaster.interfaces import IEventSink, IHubObserver, ISubscriber
from broadcaster.messages import Delivery, Event, MemberAdded, MemberRemoved, Published

CONGESTED_MESSAGES = 32
CONGESTED_BYTES = 65_536
"""What may wait on a channel before its publishers are slowed down to the pace of its subscribers."""


@implementer(IEventSink)
class Hub:
    """All that is subscribed here, keyed by app and channel.

    ``wake`` is called when there is something to broadcast; whoever is woken calls `step` until it says that
    nothing is left, at the pace that suits the other work of the process.
    """

    def __init__(self, wake: Callable[[], None], counters: Counters, observers: Iterable[IHubObserver] = ()) -> None:
        self._wake = wake
        self._counters = counters
        self._observers = tuple(observers)
        self._channels: dict[tuple[str, str], Channel] = {}
        self._connections: dict[str, dict[str, ISubscriber]] = {}
        self._due: deque[Channel] = deque()

    # ---- connections ------------------------------------------------------------------------------------------

    def attach(self, app_id: str, connection: ISubscriber) -> None:
        """A connection is open."""
        self._connections.setdefault(app_id, {})[connection.socket_id] = connection
        self._counters.connections += 1

    def detach(self, app_id: str, connection: ISubscriber) -> None:
        """It is gone; its subscriptions are undone by itself, since only it knows them without a search."""
        connections = self._connections[app_id]
        connections.pop(connection.socket_id, None)
        if not connections:
            del self._connections[app_id]

    def connections(self) -> list[ISubscriber]:
        """All that are open now."""
        return [connection for connections in self._connections.values() for connection in connections.values()]

    def count(self, app_id: str | None = None) -> int:
        """Open connections, of one app or of all."""
        if app_id is None:
            return sum(map(len, self._connections.values()))
        return len(self._connections.get(app_id, ()))

    # ---- subscriptions ----------------------------------------------------------------------------------------

    def subscribe(self, app_id: str, name: str, subscriber: ISubscriber) -> Channel:
        """Let ``subscriber`` hear the channel from now on."""
        channel = self._channels.get((app_id, name))
        if channel is None:
            channel = self._channels[app_id, name] = Channel(name, self._mark)
        channel.subscribe(subscriber)
        if len(channel.subscribers) == 1:
            for observer in self._observers:
                observer.occupied(app_id, name)
        return channel

    def unsubscribe(self, app_id: str, name: str, subscriber: ISubscriber) -> bool:
        """Let it hear the channel no more; whether it was the last one here."""
        channel = self._channels.get((app_id, name))
        if channel is None or subscriber.socket_id not in channel.subscribers:
            return False
        channel.unsubscribe(subscriber)
        if channel.subscribers:
            return False
        del self._channels[app_id, name]
        for observer in self._observers:
            observer.vacated(app_id, name)
        return True

    def subscribers(self, app_id: str, name: str) -> int:
        """How many connections hear the channel here."""
        channel = self._channels.get((app_id, name))
        return len(channel.subscribers) if channel else 0

    def channels(self, app_id: str, prefix: str = "") -> Mapping[str, int]:
        """The occupied channels whose names begin with ``prefix``, and their numbers of subscribers."""
        return {
            name: len(channel.subscribers)
            for (app, name), channel in self._channels.items()
            if app == app_id and name.startswith(prefix)
        }

    def occupancy(self) -> Iterator[tuple[str, int]]:
        """(app id, subscribers) of each channel here."""
        return ((app_id, len(channel.subscribers)) for (app_id, _), channel in self._channels.items())

    # ---- broadcasting -----------------------------------------------------------------------------------------

    def deliver(self, app_id: str, delivery: Delivery) -> None:
        """See `IEventSink`."""
        if isinstance(delivery, Event):
            for name in delivery.channels:
                channel = self._channels.get((app_id, name))
                if channel is not None:
                    channel.broadcast(
                        Published(delivery.name, name, delivery.data, delivery.user_id),
                        len(delivery.data),
                        delivery.exclude,
                    )
        else:
            self._announce(app_id, delivery)

    def _announce(self, app_id: str, change: MemberAdded | MemberRemoved) -> None:
        channel = self._channels.get((app_id, change.channel))
        if channel is not None:
            channel.broadcast(change)

    def congested(self, app_id: str, names: Iterable[str]) -> bool:
        """Whether one of these channels has more waiting than its subscribers can be told at once."""
        for name in names:
            channel = self._channels.get((app_id, name))
            if channel is not None and (
                channel.pending > CONGESTED_MESSAGES or channel.pending_bytes > CONGESTED_BYTES
            ):
                return True
        return False

    def step(self) -> bool:
        """Serve some subscribers of the channel whose turn it is; whether anything is left.

        Channels take turns, so that a broadcast to ten thousand does not hold up one to three.
        """
        if not self._due:
            return False
        channel = self._due.popleft()
        delivered, more = channel.step()
        self._counters.deliveries += delivered
        if more:
            self._due.append(channel)
        return bool(self._due)

    def _mark(self, channel: Channel) -> None:
        if not channel.walking:
            self._due.append(channel)
            self._wake()
