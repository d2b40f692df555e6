"""What one client hears, and who it says it is: the way in and out of each channel, in one order for all.

Allowed by the authoriser, wanted by the driver (events arrive here), recalled and joined (what other processes know),
then subscribed and told in one go: so nothing falls between. Who leaves meanwhile has it all undone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure as Fault

from broadcaster.auth.signin import heed, read_user
from broadcaster.errors import SIGNIN_REFUSED, CommandRejected, DriverError, MembersFull, SubscriptionRejected
from broadcaster.facts import CacheMissed
from broadcaster.interfaces import IAuthorizer
from broadcaster.limits import named
from broadcaster.messages import (
    CacheMiss,
    Member,
    Published,
    SignedIn,
    Signin,
    Subscribe,
    Subscribed,
    User,
)
from broadcaster.names import USER_CHANNEL, Kind, kind_of
from broadcaster.switchboard import Switchboard

if TYPE_CHECKING:
    from broadcaster.connection import Connection

T = TypeVar("T")


class Subscriptions:
    """Those of one connection. ``held`` names the member that it is on a presence channel, None elsewhere."""

    __slots__ = ("_asking", "_authorizer", "_board", "_client", "_user", "held")

    def __init__(self, client: Connection, board: Switchboard, authorizer: IAuthorizer) -> None:
        self.held: dict[str, Member | None] = {}
        self._client = client
        self._board = board
        self._authorizer = authorizer
        self._asking: dict[str, Deferred[None]] | None = None
        self._user: User | None = None

    def withdraw(self) -> None:
        """Undo all of it, at the cost of just that."""
        for asking in list((self._asking or {}).values()):
            asking.cancel()
        for name in list(self.held):
            self._leave(name)
        user, self._user = self._user, None
        if user is not None:
            board, app_id = self._board, self._client.app.id
            board.users.leave(app_id, user, self._client)
            self._unwatch(user.watchlist)
            if board.shared.interest is not None:
                board.shared.interest.unwanted(app_id, USER_CHANNEL + user.id)

    # ---- channels ---------------------------------------------------------------------------------------------

    def subscribe(self, command: Subscribe, resubscribes: bool) -> None:
        """Ask to hear a channel; ``resubscribes`` asks anew where it is heard. Raises `CommandRejected`."""
        name = command.channel
        asking = self._asking is not None and name in self._asking
        if name in self.held or asking:
            if resubscribes:
                if not asking:
                    self._ask(command)
                return
            if kind_of(name) & Kind.USER and name in self.held:
                # Signing in has subscribed to it; clients ask again, and pusher-websocket-dotnet waits for the answer.
                self._client.tell(Subscribed(name))
                return
            raise CommandRejected(None, f"Existing subscription to channel {name}")
        limits = self._board.limits
        held = len(self.held) + len(self._asking or ())
        if limits.subscriptions_per_connection and held >= limits.subscriptions_per_connection:
            reason = named("Too many subscriptions", limits, "subscriptions_per_connection")
            raise SubscriptionRejected(name, "LimitReached", 403, reason)
        self._ask(command)

    def unsubscribe(self, name: str) -> None:
        """Hear a channel no more. Raises `CommandRejected`."""
        asking = self._asking.get(name) if self._asking is not None else None
        if asking is not None:
            asking.cancel()
        if name in self.held:
            self._leave(name)
        elif asking is None:
            raise CommandRejected(None, f"No current subscription to channel {name}, or subscription in progress")

    def _ask(self, command: Subscribe) -> None:
        self._await(command.channel, Deferred.fromCoroutine(self._admit(command)))

    def _await(self, name: str, asking: Deferred[None]) -> None:
        if not asking.called:
            self._asking = self._asking or {}
            self._asking[name] = asking
        asking.addBoth(self._answered, name)

    async def _admit(self, command: Subscribe) -> None:
        client, name = self._client, command.channel
        member = await self._authorizer.authorize(client.app, client.socket_id, command, self._user)
        if self._board.shared.interest is None or name in self.held:
            # Alone there is nothing to wait for, and nothing that would cost.
            members = await self._join(name, member) if member is not None else None
        else:
            members = await self._wanting(name, lambda: self._recall_and_join(name, member))
        self._enter(name, member, members)

    async def _wanting(self, name: str, following: Callable[[], Awaitable[T]]) -> T:
        """What ``following`` gives, once events of the channel arrive here; they do no longer if it fails."""
        interest, app_id = self._board.shared.interest, self._client.app.id
        if interest is None or name == self._own_channel():
            return await following()
        try:
            await interest.wanted(app_id, name)
            return await following()
        except BaseException:
            interest.unwanted(app_id, name)
            raise

    async def _recall_and_join(self, name: str, member: Member | None) -> tuple[Member, ...] | None:
        board, app_id = self._board, self._client.app.id
        if board.shared.last_events is not None and kind_of(name) & Kind.CACHE:
            last = await board.shared.last_events.last(app_id, name)
            # From here on the cache is right by itself, since events arrive: joining may take its time.
            board.cache.recall(app_id, name, last, board.clock())
        return await self._join(name, member)

    async def _join(self, name: str, member: Member | None) -> tuple[Member, ...] | None:
        if member is None:
            return None
        board, app_id, socket_id = self._board, self._client.app.id, self._client.socket_id
        try:
            return tuple(await board.membership.join(app_id, name, socket_id, member, board.limits.members))
        except CancelledError:
            board.membership.leave(app_id, name, socket_id)
            raise

    def _enter(self, name: str, member: Member | None, members: tuple[Member, ...] | None) -> None:
        board, client = self._board, self._client
        again, kind, missed = name in self.held, kind_of(name), False
        self.held[name] = member
        if kind & Kind.AUTH:
            client.authorized()
        client.tell(Subscribed(name, members))
        if kind & Kind.CACHE:
            cached = board.cache.last(client.app.id, name, board.clock())
            client.tell(Published(cached.name, name, cached.data) if cached is not None else CacheMiss(name))
            missed = cached is None
        if not again:
            board.hub.subscribe(client.app.id, name, client)
        if missed:
            board.facts.told(client.app.id, CacheMissed(name))

    def _answered(self, result: object, name: str) -> None:
        if self._asking is not None:
            self._asking.pop(name, None)
            self._asking = self._asking or None
        if not isinstance(result, Fault) or result.check(CancelledError):
            return
        error = result.value
        if isinstance(error, MembersFull):
            reason = named("Presence channel is full", self._board.limits, "members")
            error = SubscriptionRejected(name, "LimitReached", 403, reason)
        elif isinstance(error, DriverError):
            error = SubscriptionRejected(name, "ServerError", 503, "Try again later")
        if isinstance(error, CommandRejected):
            self._client.reject(error)
        else:
            self._client.fail(result)

    def _leave(self, name: str) -> None:
        board, app_id = self._board, self._client.app.id
        member = self.held.pop(name)
        # Whoever observes the hub counts what is left, so the driver hears of it first.
        if board.shared.interest is not None and name != self._own_channel():
            board.shared.interest.unwanted(app_id, name)
        board.hub.unsubscribe(app_id, name, self._client)
        if member is not None:
            board.membership.leave(app_id, name, self._client.socket_id)

    # ---- users ------------------------------------------------------------------------------------------------

    def sign_in(self, command: Signin) -> None:
        """Be the user that the application has signed. Raises `CommandRejected`."""
        board, app, before = self._board, self._client.app, self._user
        user, excess = heed(read_user(app, self._client.socket_id, command, board.limits), app, board.limits)
        if before is not None and before.id != user.id:
            raise CommandRejected(SIGNIN_REFUSED, "Already signed in as another user")
        name = USER_CHANNEL + user.id
        if any(asking.startswith(USER_CHANNEL) for asking in self._asking or ()):
            raise CommandRejected(SIGNIN_REFUSED, "Signing in already")
        self._await(name, Deferred.fromCoroutine(self._sign_in(command, user, excess)))

    def _own_channel(self) -> str | None:
        """The channel that is wanted for as long as the user is signed in, whether it is subscribed to or not."""
        return USER_CHANNEL + self._user.id if self._user is not None else None

    async def _sign_in(self, command: Signin, user: User, excess: CommandRejected | None) -> None:
        board, client, before = self._board, self._client, self._user
        name = USER_CHANNEL + user.id
        try:
            online = await self._wanting(name, lambda: self._watch(user.watchlist))
        except DriverError:
            raise CommandRejected(SIGNIN_REFUSED, "Try again later") from None
        self._user = user
        client.authorized()
        # Watching comes before the error, which may be the one too many and end the connection.
        standing = board.users.enter(client.app.id, user, before, client, online)
        if before is None:
            self.held[name] = None
            board.hub.subscribe(client.app.id, name, client)
        else:
            self._unwatch(before.watchlist)
        client.tell(SignedIn(command.user_data))
        if excess is not None:
            client.reject(excess)
        if standing.online or standing.offline:
            client.tell(standing)

    async def _watch(self, watchlist: tuple[str, ...]) -> frozenset[str] | None:
        watch, app_id = self._board.shared.watch, self._client.app.id
        if watch is None or not watchlist:
            return None
        try:
            return await watch.watch(app_id, watchlist)
        except BaseException:
            watch.unwatch(app_id, watchlist)
            raise

    def _unwatch(self, watchlist: Iterable[str]) -> None:
        watch, users = self._board.shared.watch, tuple(watchlist)
        if watch is not None and users:
            watch.unwatch(self._client.app.id, users)
