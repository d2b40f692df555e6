"""One client: its commands become subscriptions and events, messages become what its dialect says.

It sees neither JSON nor sockets: a codec is below it on one side, a transport on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as Fault
from zope.interface import implementer

from broadcaster.auth.signin import heed, read_user
from broadcaster.client_events import REFUSED, why_not
from broadcaster.errors import SIGNIN_REFUSED, CommandRejected, DriverError, MembersFull, SubscriptionRejected
from broadcaster.interfaces import IAuthorizer, ICodec, ISubscriber, ITransport
from broadcaster.limits import Tally, TokenBucket, named
from broadcaster.messages import (
    CacheMiss,
    ClientEvent,
    Command,
    Envelope,
    Established,
    Event,
    Failure,
    Member,
    Message,
    Ping,
    Pong,
    Published,
    SignedIn,
    Signin,
    Subscribe,
    Subscribed,
    SubscriptionFailed,
    Unsubscribe,
    User,
)
from broadcaster.names import USER_CHANNEL, Kind, kind_of
from broadcaster.settings import App
from broadcaster.switchboard import Switchboard
from broadcaster.vigil import Vigil

FAULTS = 100
FAULTS_SECONDS = 10
"""More error frames than this in this time, and the connection is closed: it does not listen anyhow."""


@implementer(ISubscriber)
class Connection:
    """A client that was let in. Its transport calls `receive`, `heard` and `gone`; channels call `send`."""

    __slots__ = (
        "_asking",
        "_authorizer",
        "_board",
        "_bucket",
        "_closing",
        "_codec",
        "_faults",
        "_protocol",
        "_subscriptions",
        "_transport",
        "_user",
        "_vigil",
        "app",
        "socket_id",
    )

    _log = Logger()

    def __init__(
        self,
        app: App,
        socket_id: str,
        protocol: int,
        codec: ICodec,
        transport: ITransport,
        board: Switchboard,
        authorizer: IAuthorizer | None = None,
    ) -> None:
        self.app = app
        self.socket_id = socket_id
        self._protocol = protocol
        self._codec = codec
        self._transport = transport
        self._board = board
        self._authorizer = authorizer or board.authorizer
        self._vigil: Vigil | None = None
        self._subscriptions: dict[str, Member | None] = {}
        self._asking: dict[str, Deferred[None]] | None = None
        self._bucket: TokenBucket | None = None
        self._faults: Tally | None = None
        self._closing = False
        self._user: User | None = None

    # ---- life -------------------------------------------------------------------------------------------------

    def opened(self, pid: str | None = None) -> None:
        """Greet; the greeting must be the first frame (pusher-js takes anything else for a broken handshake)."""
        self._board.hub.attach(self.app.id, self)
        self._tell(Established(self.socket_id, self.app.activity_timeout, pid))

    def watch(self) -> None:
        """Ping the client when it is silent, and close when it is dead; for transports that do not do so."""
        board = self._board
        within = board.limits.authorization_seconds if self.app.authorized_connections else 0
        self._vigil = Vigil(self, self._transport, board.clock(), self.app.activity_timeout, within)
        board.wheel.set(self._vigil, self._vigil.deadline)

    def heard(self, size: int) -> None:
        """So many bytes came from the client, whatever they are."""
        self._board.counters.bytes_received += size
        if self._vigil is not None:
            self._vigil.heard(self._board.clock())

    def ask(self) -> None:
        """Ping in the words of the dialect."""
        self._tell(Ping())

    def close(self, code: int, reason: str) -> None:
        """End the connection with a code of 4000–4299; protocol 5 is told by an error frame first.

        Others see it leave now, not when the link is down: that may take as long as the peer's answer.
        """
        if self._closing:
            return
        self._withdraw()
        self._board.counters.refusals[str(code)] += 1
        if self._protocol < 6:
            self._tell(Failure(code, reason))
        self._transport.close(code, reason)

    def overflowed(self) -> None:
        """The client does not read what it is sent, and the slow-client policy gives it up."""
        self._cut("Over capacity")

    def gone(self) -> None:
        """The link is down."""
        self._withdraw()
        self._board.hub.detach(self.app.id, self)

    def _withdraw(self) -> None:
        """Undo what was subscribed, at the cost of just that; from now on nothing is heard."""
        self._closing = True
        board = self._board
        if self._vigil is not None:
            board.wheel.clear(self._vigil)
        for asking in list((self._asking or {}).values()):
            asking.cancel()
        for name in list(self._subscriptions):
            self._leave(name)
        user, self._user = self._user, None
        if user is not None:
            board.users.leave(self.app.id, user, self)

    # ---- server to client -------------------------------------------------------------------------------------

    def send(self, envelope: Envelope) -> None:
        """See `ISubscriber`."""
        self._transport.write(envelope.encoded(self._codec), envelope.expendable)

    def _tell(self, message: Message) -> None:
        self._transport.write(self._codec.encode(message))

    def _reject(self, rejected: CommandRejected) -> None:
        """Say no. A refused subscription is told twice: Echo hears only the channel, Java and Swift the other."""
        self._board.counters.refusals[str(rejected.code) if rejected.code else type(rejected).__name__] += 1
        if isinstance(rejected, SubscriptionRejected):
            assert rejected.channel is not None
            self._tell(SubscriptionFailed(rejected.channel, rejected.kind, rejected.reason, rejected.status))
            self._tell(Failure(None, rejected.reason))
        else:
            self._tell(Failure(rejected.code, rejected.reason, rejected.channel))
        self._faults = self._faults or Tally(FAULTS, FAULTS_SECONDS)
        if self._faults.one_too_many(self._board.clock()):
            self._cut("Too many errors")

    # ---- client to server -------------------------------------------------------------------------------------

    def receive(self, frame: bytes | str) -> None:
        """Take one text frame. Whatever is wrong with it is told to the client; nothing is raised."""
        try:
            command = self._codec.decode(frame)
        except CommandRejected as rejected:
            if not self._closing:
                self._reject(rejected)
        else:
            self.perform(command)

    def perform(self, command: Command) -> None:
        """Do what a client asked; what it may not is told to it."""
        if self._closing:
            return
        try:
            self._PERFORM[type(command)](self, command)
        except CommandRejected as rejected:
            self._reject(rejected)
        except Exception:
            self._fail(Fault())

    def binary(self, data: bytes) -> None:
        """See `Client` of ``websocket``: no dialect with a connection behind it has binary messages."""
        self.refuse("Binary frames are not supported")

    def refuse(self, reason: str) -> None:
        """The transport got something that cannot be a command."""
        if not self._closing:
            self._reject(CommandRejected(None, reason))

    def _fail(self, fault: Fault) -> None:
        self._log.failure("{connection} failed", fault, connection=self._who())
        self.close(4200, "Internal error")

    def _cut(self, reason: str) -> None:
        """End the connection of a client that misbehaves, and say whose it was."""
        if not self._closing:
            self._log.warn("{connection} is cut: {reason}", connection=self._who(), reason=reason)
        self.close(4100, reason)

    def _who(self) -> str:
        return f"connection {self.socket_id} of app {self.app.id} from {self._transport.peer or 'a unix socket'}"

    def _subscribe(self, command: Subscribe) -> None:
        name = command.channel
        if name in self._subscriptions or (self._asking and name in self._asking):
            if self._codec.resubscribes:
                if name in self._subscriptions:
                    self._ask(command)
                return
            if kind_of(name) & Kind.USER and name in self._subscriptions:
                # Signing in has subscribed to it; clients ask again, and pusher-websocket-dotnet waits for the answer.
                self._tell(Subscribed(name))
                return
            raise CommandRejected(None, f"Existing subscription to channel {name}")
        limits = self._board.limits
        held = len(self._subscriptions) + len(self._asking or ())
        if limits.subscriptions_per_connection and held >= limits.subscriptions_per_connection:
            reason = named("Too many subscriptions", limits, "subscriptions_per_connection")
            raise SubscriptionRejected(name, "LimitReached", 403, reason)
        self._ask(command)

    def _ask(self, command: Subscribe) -> None:
        name = command.channel
        asking = Deferred.fromCoroutine(self._admit(command))
        if not asking.called:
            self._asking = self._asking or {}
            self._asking[name] = asking
        asking.addBoth(self._answered, name)

    async def _admit(self, command: Subscribe) -> None:
        # The order is a promise: allowed, then joined, then subscribed, then told, so that nothing falls between.
        board, app_id, name = self._board, self.app.id, command.channel
        member = await self._authorizer.authorize(self.app, self.socket_id, command, self._user)
        members: tuple[Member, ...] | None = None
        if member is not None:
            try:
                members = tuple(await board.membership.join(app_id, name, self.socket_id, member, board.limits.members))
            except CancelledError:
                board.membership.leave(app_id, name, self.socket_id)
                raise
        again = name in self._subscriptions
        self._subscriptions[name] = member
        if kind_of(name) & Kind.AUTH and self._vigil is not None:
            self._vigil.authorized()
        self._tell(Subscribed(name, members))
        if kind_of(name) & Kind.CACHE:
            cached = board.cache.last(app_id, name, board.clock())
            self._tell(Published(cached.name, name, cached.data) if cached is not None else CacheMiss(name))
        if not again:
            board.hub.subscribe(app_id, name, self)

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
            self._reject(error)
        else:
            self._fail(result)

    def _unsubscribe(self, command: Unsubscribe) -> None:
        name = command.channel
        asking = self._asking.get(name) if self._asking is not None else None
        if asking is not None:
            asking.cancel()
        if name in self._subscriptions:
            self._leave(name)
        elif asking is None:
            reason = f"No current subscription to channel {name}, or subscription in progress"
            raise CommandRejected(None, reason)

    def _leave(self, name: str) -> None:
        member = self._subscriptions.pop(name)
        self._board.hub.unsubscribe(self.app.id, name, self)
        if member is not None:
            self._board.membership.leave(self.app.id, name, self.socket_id)

    def _client_event(self, command: ClientEvent) -> None:
        board, channel = self._board, command.channel
        self._bucket = self._bucket or TokenBucket()
        reason = why_not(command, self.app, self._subscriptions, self._bucket, board.limits, board.clock())
        if reason is not None or channel is None:
            raise CommandRejected(REFUSED, reason or "", channel)
        board.counters.client_events += 1
        member = self._subscriptions[channel]
        user_id = member.user_id if member is not None else None
        event = Event(command.name, (channel,), command.data, exclude=self.socket_id, user_id=user_id)
        board.publisher.publish(self.app.id, event).addErrback(self._unpublished, channel)

    def _signin(self, command: Signin) -> None:
        board, app, before = self._board, self.app, self._user
        user, excess = heed(read_user(app, self.socket_id, command, board.limits), app, board.limits)
        if before is not None and before.id != user.id:
            raise CommandRejected(SIGNIN_REFUSED, "Already signed in as another user")
        self._user = user
        if self._vigil is not None:
            self._vigil.authorized()
        # Watching comes before the error, which may be the one too many and end the connection.
        standing = board.users.enter(app.id, user, before, self)
        if before is None:
            self._subscriptions[USER_CHANNEL + user.id] = None
            board.hub.subscribe(app.id, USER_CHANNEL + user.id, self)
        self._tell(SignedIn(command.user_data))
        if excess is not None:
            self._reject(excess)
        if standing.online or standing.offline:
            self._tell(standing)

    def _unpublished(self, fault: Fault, channel: str) -> None:
        self._reject(CommandRejected(REFUSED, "Client event rejected - try again later", channel))

    _PERFORM: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        Ping: lambda self, _: self._tell(Pong()),
        Pong: lambda self, _: None,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        ClientEvent: _client_event,
        Signin: _signin,
    }
