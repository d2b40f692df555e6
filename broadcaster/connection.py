"""One client: its commands become subscriptions and events, messages become what its dialect says.

It sees neither JSON nor sockets: a codec is below it on one side, a transport on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as Fault
from zope.interface import implementer

from broadcaster.client_events import REFUSED, why_not
from broadcaster.errors import CommandRejected, SubscriptionRejected
from broadcaster.facts import ClientEventSent, Connected, Disconnected
from broadcaster.interfaces import IAuthorizer, ICodec, ISubscriber, ITransport
from broadcaster.limits import Tally, TokenBucket
from broadcaster.messages import (
    ClientEvent,
    Command,
    Envelope,
    Established,
    Event,
    Failure,
    Message,
    Ping,
    Pong,
    Signin,
    Subscribe,
    SubscriptionFailed,
    Unsubscribe,
)
from broadcaster.settings import App
from broadcaster.subscriptions import Subscriptions
from broadcaster.switchboard import Switchboard
from broadcaster.vigil import Vigil

OVER_QUOTA, QUOTA_REASON = 4004, "Application is over connection quota"

UNIX_SOCKET = "a unix socket"
"""What stands in the log for a peer that has no address."""

# Not the class's: that would name the connection in each event, and keep it for as long as somebody keeps the event.
_log = Logger()

FAULTS = 100
FAULTS_SECONDS = 10
"""More error frames than this in this time, and the connection is closed: it does not listen anyhow."""


@implementer(ISubscriber)
class Connection:
    """A client that was let in. Its transport calls `receive`, `heard` and `gone`; channels call `send`."""

    __slots__ = (
        "_board",
        "_bucket",
        "_closing",
        "_codec",
        "_faults",
        "_greeted",
        "_protocol",
        "_seat",
        "_subscriptions",
        "_transport",
        "_vigil",
        "app",
        "socket_id",
    )

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
        self._subscriptions = Subscriptions(self, board, authorizer or board.authorizer)
        self._vigil: Vigil | None = None
        self._seat: Deferred[bool] | None = None
        self._bucket: TokenBucket | None = None
        self._faults: Tally | None = None
        self._greeted = False
        self._closing = False

    # ---- life -------------------------------------------------------------------------------------------------

    def opened(self, pid: str | None = None) -> None:
        """Greet, once there is room; the client is not heard before.

        The greeting must be the first frame (pusher-js takes anything else for a broken handshake).
        """
        self._board.hub.attach(self.app.id, self)
        seats, limit = self._board.shared.seats, self.app.max_connections
        if seats is None or not limit:
            self._greet(pid)
        else:
            # Who cannot be counted with all others is let in: this process has counted its own.
            self._seat = seats.seat(self.app.id, limit).addErrback(lambda _: True)
            self._seat.addCallback(self._seated, pid)

    def _greet(self, pid: str | None) -> None:
        self._greeted = True
        peer = self._transport.peer or UNIX_SOCKET
        _log.debug("connection {id} of app {app} from {peer} opened", id=self.socket_id, app=self.app.id, peer=peer)
        self.tell(Established(self.socket_id, self.app.activity_timeout, pid))
        self._board.facts.told(self.app.id, Connected(self.socket_id))

    def _seated(self, granted: bool, pid: str | None) -> bool:
        if granted and not self._closing:
            self._greet(pid)
        elif not self._closing:
            if self._protocol >= 6:
                self.tell(Failure(OVER_QUOTA, QUOTA_REASON))
            self.close(OVER_QUOTA, QUOTA_REASON)
        return granted

    def _unseat(self, granted: bool) -> None:
        if granted and self._board.shared.seats is not None:
            self._board.shared.seats.unseat(self.app.id)

    def authorized(self) -> None:
        """The client has shown that it is somebody."""
        if self._vigil is not None:
            self._vigil.authorized()

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
        self.tell(Ping())

    def close(self, code: int, reason: str) -> None:
        """End the connection with a code of 4000–4299; protocol 5 is told by an error frame first.

        Others see it leave now, not when the link is down: that may take as long as the peer's answer.
        """
        if self._closing:
            return
        self._withdraw()
        self._board.counters.refusals[str(code)] += 1
        if self._protocol < 6:
            self.tell(Failure(code, reason))
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
        self._subscriptions.withdraw()
        if self._seat is not None:
            seat, self._seat = self._seat, None
            seat.addCallback(self._unseat)
        if self._greeted:
            self._greeted = False
            board.facts.told(self.app.id, Disconnected(self.socket_id))

    # ---- server to client -------------------------------------------------------------------------------------

    def send(self, envelope: Envelope) -> None:
        """See `ISubscriber`."""
        self._transport.write(envelope.encoded(self._codec), envelope.expendable)

    def tell(self, message: Message) -> None:
        """Say it to this client alone."""
        self._transport.write(self._codec.encode(message))

    def reject(self, rejected: CommandRejected) -> None:
        """Say no. A refused subscription is told twice: Echo hears only the channel, Java and Swift the other."""
        self._board.counters.refusals[str(rejected.code) if rejected.code else type(rejected).__name__] += 1
        if isinstance(rejected, SubscriptionRejected):
            assert rejected.channel is not None
            self.tell(SubscriptionFailed(rejected.channel, rejected.kind, rejected.reason, rejected.status))
            self.tell(Failure(None, rejected.reason))
        else:
            self.tell(Failure(rejected.code, rejected.reason, rejected.channel))
        self._faults = self._faults or Tally(FAULTS, FAULTS_SECONDS)
        if self._faults.one_too_many(self._board.clock()):
            self._cut("Too many errors")

    # ---- client to server -------------------------------------------------------------------------------------

    def receive(self, frame: bytes | str) -> None:
        """Take one text frame. Whatever is wrong with it is told to the client; nothing is raised."""
        try:
            command = self._codec.decode(frame)
        except CommandRejected as rejected:
            if self._greeted:
                self.reject(rejected)
        else:
            self.perform(command)

    def perform(self, command: Command) -> None:
        """Do what a client asked; what it may not is told to it."""
        if not self._greeted:
            return
        try:
            self._PERFORM[type(command)](self, command)
        except CommandRejected as rejected:
            self.reject(rejected)
        except Exception:
            self.fail(Fault())

    def binary(self, data: bytes) -> None:
        """See `Client` of ``websocket``: no dialect with a connection behind it has binary messages."""
        self.refuse("Binary frames are not supported")

    def refuse(self, reason: str) -> None:
        """The transport got something that cannot be a command."""
        if self._greeted:
            self.reject(CommandRejected(None, reason))

    def fail(self, fault: Fault) -> None:
        """End the connection: a mistake of ours, which is logged."""
        _log.failure("{connection} failed", fault, connection=self._who())
        self.close(4200, "Internal error")

    def _cut(self, reason: str) -> None:
        """End the connection of a client that misbehaves, and say whose it was."""
        if not self._closing:
            _log.warn("{connection} is cut: {reason}", connection=self._who(), reason=reason)
        self.close(4100, reason)

    def _who(self) -> str:
        return f"connection {self.socket_id} of app {self.app.id} from {self._transport.peer or UNIX_SOCKET}"

    def _subscribe(self, command: Subscribe) -> None:
        self._subscriptions.subscribe(command, self._codec.resubscribes)

    def _unsubscribe(self, command: Unsubscribe) -> None:
        self._subscriptions.unsubscribe(command.channel)

    def _client_event(self, command: ClientEvent) -> None:
        board, channel = self._board, command.channel
        self._bucket = self._bucket or TokenBucket()
        held = self._subscriptions.held
        reason = why_not(command, self.app, held, self._bucket, board.limits, board.clock())
        if reason is not None or channel is None:
            raise CommandRejected(REFUSED, reason or "", channel)
        board.counters.client_events += 1
        member = held[channel]
        user_id = member.user_id if member is not None else None
        event = Event(command.name, (channel,), command.data, self.socket_id, user_id, True, command.attachments)
        board.publisher.publish(self.app.id, event).addErrback(self._unpublished, channel)
        board.facts.told(self.app.id, ClientEventSent(channel, command.name, command.data, self.socket_id, user_id))

    def _signin(self, command: Signin) -> None:
        self._subscriptions.sign_in(command)

    def _unpublished(self, fault: Fault, channel: str) -> None:
        self.reject(CommandRejected(REFUSED, "Client event rejected - try again later", channel))

    _PERFORM: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        Ping: lambda self, _: self.tell(Pong()),
        Pong: lambda self, _: None,
        Subscribe: _subscribe,
        Unsubscribe: _unsubscribe,
        ClientEvent: _client_event,
        Signin: _signin,
    }
