"""Every seam of the server, with its contract: who calls, when, what it may raise, what order it promises.

Promises that hold throughout: order is kept per channel; delivery is at most once; nothing is delivered after
a driver's ``stop()``; whatever returns a Deferred may fail only with the errors named here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from twisted.internet.defer import Deferred

    from broadcaster.counters import Measure
    from broadcaster.facts import Fact
    from broadcaster.hooks import Backlog, Entry, GivenUp, Kept, Spot
    from broadcaster.messages import (
        Command,
        Delivery,
        Envelope,
        LastEvent,
        Member,
        Message,
        Publication,
        Subscribe,
        User,
    )
    from broadcaster.settings import App


class IEventSink(Interface):
    """Where a driver delivers. Called by drivers, implemented by the hub."""

    def deliver(app_id: str, delivery: Delivery) -> None:
        """Hand over what happened on an app, in the reactor's thread.

        Never raises: what subscribers do with it is no business of the driver's. Deliveries on one channel
        reach its subscribers in the order of these calls.
        """


class IDriver(Interface):
    """Carries events: to this process, to others, elsewhere. One per process.

    Started once by the service before anything listens, stopped once after the last connection is gone.
    """

    def start(sink: IEventSink) -> Deferred[None]:
        """Begin to deliver to ``sink``; fires when events can be published. Fails with `DriverError`."""

    def stop() -> Deferred[None]:
        """Let go of everything. No delivery follows, not even before this fires."""

    def publish(app_id: str, publication: Publication) -> Deferred[None]:
        """Take an event, or the end of a user's connections; fires when it has left this process's hands.

        Fails with `DriverError`; cancelled if that takes too long. What is published here comes back through
        ``IEventSink.deliver`` like everyone else's, at most once, before or after the Deferred fires. Called for every
        channel of a publish at once.
        """


class IDriverMaker(Interface):
    """A plugin, found through ``twisted.plugin``: names a driver and makes it."""

    name = Attribute("str: the word in ``[driver] name = …``.")

    def make(reactor: Any, options: Mapping[str, Any]) -> IDriver:
        """The driver, not started. ``options`` is its table ``[driver.<name>]``; raises `ConfigError` for a bad one."""


class IForwarder(Interface):
    """A driver that leaves it to another one to deliver here. Optional."""

    beneath = Attribute('str: the name of the other driver, or "none".')

    def stand_on(driver: IDriver) -> None:
        """Use ``driver``, which is not started. Called once, before anything else."""


class ITenants(Interface):
    """Wants to know the apps, since applications publish to it past this server. Optional on a driver."""

    def tenants(prefixes: Mapping[str, str | None]) -> None:
        """The apps by id, in the configuration's order, and each one's ``redis_prefix``. Called before start, and when
        they change; raises `ConfigError`.
        """


class ILocal(Interface):
    """Reaches this process only, and so needs help where a successor serves while its predecessor's clients leave.

    Optional on a driver. A neighbour is the way to such another process.
    """

    def meet(neighbour: Callable[[str, Publication], None]) -> None:
        """Call it with everything that is published here from now on; it does not raise."""

    def part(neighbour: Callable[[str, Publication], None]) -> None:
        """Call it no more. Repeats are ignored."""

    def heard(app_id: str, publication: Publication, neighbour: Callable[[str, Publication], None]) -> None:
        """Deliver what was published at ``neighbour``, and call all others with it."""


class IReadiness(Interface):
    """Knows whether it works; optional on a driver. Without it, one that has started counts as ready."""

    def faults() -> Sequence[str]:
        """Why no traffic should come here now, each in a line for people; empty if all is well."""


class IEager(Interface):
    """Waits for answers that should not wait for the end of a long broadcast; optional on a driver."""

    def take_in() -> None:
        """Deliver and answer what has arrived already. Called between the strides of a broadcast; must not block."""


class IMeasured(Interface):
    """Has something to show on ``/metrics``: the certificates, and a driver if it wants to."""

    def measures() -> Iterable[Measure]:
        """How things stand at the moment of asking; the same names each time, those of one name in a row."""


class IComparison(Interface):
    """Sees the same events on two ways; optional on a driver."""

    def comparison() -> Mapping[str, Any]:
        """What each side told and the other did not, as JSON: ``channels``, ``total``, ``waiting`` and ``alone``.

        Raises `DriverError` while it does not see both.
        """


# ---- what several processes share: each is optional on a driver ------------------------------------------------
#
# Promises of all. *In order with deliveries*: what the sink was delivered before a Deferred fires is contained in
# its answer, what is delivered later is not; whoever awaits it can go on where the answer ends. While the driver cannot
# reach what is shared, questions fail with `DriverError`, but whoever is about to subscribe waits for it to be back.


class IInterest(Interface):
    """Which channels are heard in this process. Without it, everything that is published is delivered here."""

    def wanted(app_id: str, channel: str) -> Deferred[None]:
        """One more subscription here; fires when the channel's events arrive here, and when it is counted.

        Called once for each, before anything else is shared about it. The caller that cannot wait cancels it. A user
        is online while the channel ``#server-to-user-<id>`` is wanted somewhere. Fails with `DriverError`.
        """

    def unwanted(app_id: str, channel: str) -> None:
        """One subscription less; called once for each ``wanted``, whatever has become of that. Must not raise."""


class IMembership(Interface):
    """Who is on the presence channels, and how many hear any channel, over all processes.

    Joining and leaving are atomic with the delivery of `MemberAdded` (first connection of a user) and
    `MemberRemoved` (last one): whoever is in the list that ``join`` gives is never announced again. A process that
    dies is taken for one whose connections have all left.
    """

    def join(app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        """Fires with all members, the joiner among them, in the order of their newest connections; in order with
        deliveries.

        For its user stand the info of the first connection, and the data and the socket id of the newest. A
        connection that joins again is there once, as the member that it is now.

        Fails with `MembersFull` when the user is new and ``limit`` (0: none) members are there, with
        `DriverError` when it cannot be known.
        """

    def leave(app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        """That connection is gone; fires also if it was never there, or has not finished joining."""

    def members(app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        """Each user once; empty for a channel that nobody is on. Fails with `DriverError`."""

    def user_counts(app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        """How many users are on each of these presence channels. Fails with `DriverError`."""

    def subscriptions(app_id: str, channel: str) -> Deferred[int]:
        """How many connections hear a channel of any kind. Fails with `DriverError`."""

    def channels(app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        """Occupied channels whose names begin with ``prefix``, and how many connections each has.

        Fails with `DriverError`.
        """

    def tell_count(app_id: str, channel: str) -> Deferred[int]:
        """Have a `SubscriptionCount` delivered wherever the channel is heard; fires with the number, 0 if nowhere.

        Whatever this process has wanted and not wanted before is counted. Counts of one channel are delivered in the
        order in which they were true. Fails with `DriverError`.
        """


class IFactSource(Interface):
    """Knows which process is to tell of what several have seen: goes with `IMembership`."""

    def observe(observer: IFactObserver) -> None:
        """Tell ``observer`` what this process brings about; called before start.

        Each `ChannelOccupied`, `ChannelVacated`, `MemberAdded`, `MemberRemoved` and `SubscriptionsLost` of the cluster
        is told once, in one of its processes; after what it is about has been delivered or is on its way.
        """


class IWatch(Interface):
    """Who is online, over all processes, for those who watch them."""

    def watch(app_id: str, user_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """One more connection here watches these users; fires with those who are online, in order with deliveries.

        From then on their coming and going is delivered as `UserOnline` and `UserOffline`, at the edges only. Fails
        with `DriverError`.
        """

    def unwatch(app_id: str, user_ids: Sequence[str]) -> None:
        """One less; called once for each ``watch``, whatever has become of that. Must not raise."""


class ILastEvents(Interface):
    """The last event of each cache channel, over all processes."""

    def keep_last(seconds: Callable[[str], int]) -> None:
        """Keep the last event that is published on each cache channel of an app for ``seconds(app_id)``; 0: do not.

        Called before start. Events whose names begin with ``client-`` are never kept.
        """

    def last(app_id: str, channel: str) -> Deferred[LastEvent | None]:
        """The event that is kept, in order with deliveries. Fails with `DriverError`."""


class ISeats(Interface):
    """How many connections an app has, over all processes; for apps with ``max_connections``."""

    def seat(app_id: str, limit: int) -> Deferred[bool]:
        """One more connection; fires with whether that is within ``limit``, else it does not count.

        Fails with `DriverError`; it counts then, once it can.
        """

    def unseat(app_id: str) -> None:
        """One less; called once for each that counted. Must not raise."""


class ISubscriber(Interface):
    """One end of a subscription. Called by channels, implemented by connections."""

    socket_id = Attribute("str: unique within its app.")

    def send(envelope: Envelope) -> None:
        """Take an envelope in the form that this subscriber speaks. Never blocks, never raises."""

    def close(code: int, reason: str) -> None:
        """End the connection with a code of 4000–4299."""


class ICodec(Interface):
    """One dialect in one wire form; stateless and shared by all its connections, so that encodings are too."""

    resubscribes = Attribute("bool: whether subscribing again asks and answers anew; else it is an error.")

    def decode(frame: bytes | str) -> Command:
        """What a client asked. Raises `CommandRejected` for what it cannot mean."""

    def encode(message: Message) -> bytes:
        """The finished bytes for the transport, such that concatenation is a sequence of messages.

        Empty for a message that the dialect does not know.
        """


class ITransport(Interface):
    """The way to one client. Called by connections, implemented in ``web``."""

    peer = Attribute("str: the client's address as far as it can be believed, for logs.")

    def write(data: bytes, expendable: bool = False) -> None:
        """Queue finished frames; they leave at the end of this turn. Never blocks, never raises.

        ``expendable`` bytes may be dropped if the client does not read, by the slow-client policy.
        """

    def ping() -> None:
        """Ask for a sign of life below the dialect, where the transport has one."""

    def close(code: int, reason: str) -> None:
        """Say goodbye after what is queued, then let go. Repeats are ignored."""

    def abort() -> None:
        """Let go at once."""


class IAuthorizer(Interface):
    """Decides who may hear a channel. Called by connections before anything is subscribed."""

    def authorize(app: App, socket_id: str, subscribe: Subscribe, user: User | None) -> Deferred[Member | None]:
        """Fires with the member of a presence channel, or None; fails with `SubscriptionRejected`.

        ``user`` is who is signed in on the connection, if anybody.
        """


class IHubObserver(Interface):
    """Wants to know what happens on this process's channels. Called by the hub, synchronously; must not raise."""

    def subscribed(app_id: str, channel: str, subscribers: int) -> None:
        """A connection subscribed; the channel has ``subscribers`` now, 1 if it was the first."""

    def unsubscribed(app_id: str, channel: str, subscribers: int) -> None:
        """A connection left; 0 if it was the last."""


class IFactObserver(Interface):
    """Wants to know what happens on the server as a whole: webhooks do. Called synchronously; must not raise."""

    def told(app_id: str, fact: Fact) -> None:
        """A fact of the cluster, told in one of its processes only: the one whose doing it is."""


class IHookStore(Interface):
    """Keeps webhooks until their receivers have them. Called by webhooks; optional on a driver, for its processes.

    Everything fails with `DriverError` while the store cannot be reached, and what was asked may have been done then.
    """

    shared = Attribute("bool: whether several processes with one membership keep their letters here.")
    durable = Attribute("bool: whether what is kept survives this process, as it should.")

    def keep(entries: Sequence[Entry]) -> Deferred[None]:
        """Keep what these leave, all of it or nothing and in this order; fires when it survives this process."""

    def own() -> Deferred[bool]:
        """Whether this process is the one that sends what is kept; claims that while nobody is, for some seconds."""

    def disown(due: float | None) -> Deferred[None]:
        """Let another process be the one; it leaves whoever is there alone until ``due``, if that is given."""

    def backlogs() -> Deferred[Mapping[str, Backlog]]:
        """What waits for each receiver for which anything does."""

    def first(receiver: str, most: int) -> Deferred[Sequence[Kept]]:
        """The oldest letters for a receiver."""

    def done(receiver: str, places: Sequence[str]) -> Deferred[None]:
        """Forget these letters; those that are not there any more are no matter."""

    def give_up(receiver: str, kept: Sequence[Kept], reason: str, at: float, most: int) -> Deferred[None]:
        """Move these to the dead letters, and forget the oldest of those beyond ``most`` (0: none)."""

    def leaving(now: float, most: int) -> Deferred[Sequence[Spot]]:
        """Who went and is due by ``now``, users before their channels."""

    def settle(gone: Sequence[Entry], back: Sequence[Spot]) -> Deferred[None]:
        """Who ``went`` is gone: keep the letters, unless they came meanwhile; the others were back all the time."""

    def present(after: Spot | None, most: int) -> Deferred[Sequence[Spot]]:
        """Some of whoever came and did not go, from ``after`` on in an order of the store's; empty at the end."""

    def dead(most: int) -> Deferred[Sequence[GivenUp]]:
        """The newest dead letters, oldest first."""

    def revive(ids: Sequence[str] | None, now: float) -> Deferred[Sequence[str]]:
        """Have dead letters (None: all) wait again, as if made now; fires with the ids of those that were there."""

    def drop(ids: Sequence[str] | None) -> Deferred[Sequence[str]]:
        """Forget letters, dead or waiting (None: all that are dead); fires with the ids of those that were there."""

    def close() -> Deferred[None]:
        """Let go of everything; nothing is asked after that."""
