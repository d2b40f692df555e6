"""The connections and channels of this process, and the one place where deliveries become broadcasts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping

from zope.interface import implementer

from broadcaster.cache import Cache
from broadcaster.channel import Channel
from broadcaster.counters import Counters
from broadcaster.interfaces import IEventSink, IHubObserver, ISubscriber
from broadcaster.messages import Change, Delivery, Event, Published, Terminated, UserOffline, UserOnline
from broadcaster.names import CACHE_PREFIXES
from broadcaster.users import Users

TERMINATED = 4009

CONGESTED_MESSAGES = 32
CONGESTED_CHARACTERS = 65_536
"""What may wait on a channel before its publishers are slowed down to the pace of its subscribers."""


@implementer(IEventSink)
class Hub:
    """All that is subscribed here, keyed by app and channel.

    ``wake`` is called when there is something to broadcast; whoever is woken calls `step` until it says that
    nothing is left, at the pace that suits the other work of the process.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        counters: Counters,
        users: Users,
        cache: Cache,
        clock: Callable[[], float],
    ) -> None:
        self._wake = wake
        self._counters = counters
        self._users = users
        self._cache = cache
        self._clock = clock
        self._observers: tuple[IHubObserver, ...] = ()
        self._channels: dict[tuple[str, str], Channel] = {}
        self._connections: dict[str, dict[str, ISubscriber]] = {}
        self._due: deque[Channel] = deque()

    def observe(self, observer: IHubObserver) -> None:
        """Tell ``observer`` what happens from now on."""
        self._observers += (observer,)

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
        for observer in self._observers:
            observer.subscribed(app_id, name, len(channel.subscribers))
        return channel

    def unsubscribe(self, app_id: str, name: str, subscriber: ISubscriber) -> None:
        """Let it hear the channel no more."""
        channel = self._channels.get((app_id, name))
        if channel is None or subscriber.socket_id not in channel.subscribers:
            return
        channel.unsubscribe(subscriber)
        if not channel.subscribers:
            del self._channels[app_id, name]
        for observer in self._observers:
            observer.unsubscribed(app_id, name, len(channel.subscribers))

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
                if name.startswith(CACHE_PREFIXES) and not delivery.by_client:
                    self._cache.keep(app_id, name, delivery.name, delivery.data, self._clock())
                channel = self._channels.get((app_id, name))
                if channel is not None:
                    channel.broadcast(
                        Published(
                            delivery.name, name, delivery.data, delivery.user_id, attachments=delivery.attachments
                        ),
                        len(delivery.data),
                        delivery.exclude,
                    )
        elif isinstance(delivery, Terminated):
            for connection in self._users.connections(app_id, delivery.user_id):
                connection.close(TERMINATED, "Terminated by the application")
        elif isinstance(delivery, UserOnline):
            self._users.came(app_id, delivery.user_id)
        elif isinstance(delivery, UserOffline):
            self._users.went(app_id, delivery.user_id)
        else:
            self.announce(app_id, delivery)

    def announce(self, app_id: str, change: Change) -> None:
        """Tell a channel about itself."""
        channel = self._channels.get((app_id, change.channel))
        if channel is not None:
            channel.broadcast(change)

    def congested(self, app_id: str, names: Iterable[str]) -> bool:
        """Whether one of these channels has more waiting than its subscribers can be told at once."""
        for name in names:
            channel = self._channels.get((app_id, name))
            if channel is not None and (
                channel.pending > CONGESTED_MESSAGES or channel.pending_characters > CONGESTED_CHARACTERS
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
        try:
            delivered, more = channel.step()
        except Exception:
            if channel.pending:
                self._due.append(channel)
            raise
        self._counters.deliveries += delivered
        if not channel.walking:
            self._counters.latency.observe(self._clock() - channel.walk_since)
        if more:
            self._due.append(channel)
        return bool(self._due)

    def _mark(self, channel: Channel) -> None:
        channel.since = self._clock()
        if not channel.walking:
            self._due.append(channel)
            self._wake()
