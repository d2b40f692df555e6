"""Socket.IO on one Engine.IO session: packets to commands of a connection, in laravel-echo-server's dialect.

Only the namespace ``/`` exists. Revision 3 is joined by the server, unasked; revision 4 when the client connects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from secrets import token_urlsafe
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.auth.endpoint import AuthEndpoint
from broadcaster.auth.nobody import Nobody
from broadcaster.auth.prefixes import Prefixes
from broadcaster.connection import Connection
from broadcaster.errors import CommandRejected
from broadcaster.interfaces import IAuthorizer, ITransport
from broadcaster.messages import ClientEvent, Command, Member, Subscribe, Unsubscribe, User
from broadcaster.protocols.echo import EchoCodec
from broadcaster.protocols.engineio.packet import ParseError
from broadcaster.protocols.socketio import Assembler, SocketPacket, SocketType, decode, encode
from broadcaster.recovery import Recovery
from broadcaster.settings import App
from broadcaster.switchboard import Switchboard
from broadcaster.text import UNREADABLE
from broadcaster.web.http import Request

PROTOCOLS = {3: 4, 4: 5}
"""Socket.IO's protocol by Engine.IO's revision."""

NAMESPACE = "/"


class _Handshake(Struct):
    pid: str | None = None


_handshake = msgspec.json.Decoder(_Handshake).decode


@dataclass(slots=True)
class Echo:
    """What the clients of one app share.

    ``most_bytes`` may be attached to a packet; ``authorizer`` makes, of Referer and Cookie, the one of a connection.
    """

    app: App
    board: Switchboard
    recovery: Recovery
    codecs: dict[int, EchoCodec]
    prefixes: Prefixes
    most_bytes: int
    authorizer: Callable[[str | None, str | None], IAuthorizer]


class EchoClient:
    """One client. ``send`` takes a Socket.IO packet's text; `message` raises `ParseError` for what ends the session."""

    __slots__ = (
        "_assembler",
        "_authorizer",
        "_connection",
        "_echo",
        "_pid",
        "_revision",
        "_send",
        "_sid",
        "_subscribed",
    )

    def __init__(
        self, echo: Echo, revision: int, sid: str, authorizer: IAuthorizer, send: Callable[[bytes], None]
    ) -> None:
        self._echo = echo
        self._revision = revision
        self._sid = sid
        self._authorizer = authorizer
        self._send = send
        self._assembler = Assembler(echo.most_bytes)
        self._connection: Connection | None = None
        self._pid: str | None = None
        self._subscribed: dict[str, Subscribe] = {}

    @property
    def app_id(self) -> str:
        """Whose client it is."""
        return self._echo.app.id

    @property
    def joined(self) -> bool:
        """Whether the client has connected to the namespace."""
        return self._connection is not None

    def join(self, transport: ITransport, pid: str | None = None) -> None:
        """Let the client in; ``pid`` is the private id that it had before."""
        echo = self._echo
        board, codec = echo.board, echo.codecs[self._revision]
        socket_id = self._sid if self._revision == 3 else token_urlsafe(15)
        connection = Connection(echo.app, socket_id, 7, codec, transport, board, self._authorizer)
        self._connection = connection
        self._pid = echo.recovery.new_id() if self._revision == 4 else None
        connection.opened(self._pid)
        if pid is not None:
            for subscribe in echo.recovery.take(pid, echo.app.id, board.clock()):
                self._perform(subscribe)

    def gone(self, now: float, for_good: bool) -> None:
        """The session is over; a client that did not say goodbye may come back to its channels."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._pid is not None and not for_good:
            self._echo.recovery.keep(self._pid, self._echo.app.id, tuple(self._subscribed.values()), now)
        connection.gone()

    def overflowed(self) -> None:
        """The client does not take what it is sent."""
        if self._connection is not None:
            self._connection.overflowed()

    def heard(self, size: int) -> None:
        """So many bytes came in."""
        self._echo.board.counters.bytes_received += size

    def message(self, data: str | bytes, transport: ITransport) -> None:
        """One Engine.IO message: a packet, or a piece of one."""
        if isinstance(data, bytes):
            whole = self._assembler.binary(data)
            if whole is not None:
                self._packet(*whole, transport)
            return
        packet = self._assembler.text(decode(data, PROTOCOLS[self._revision]))
        if packet is not None:
            self._packet(packet, (), transport)

    def _packet(self, packet: SocketPacket, attachments: tuple[bytes, ...], transport: ITransport) -> None:
        if packet.namespace != NAMESPACE:
            self._elsewhere(packet)
        elif packet.type is SocketType.CONNECT:
            self._connect(packet, transport)
        elif self._connection is None:
            if self._revision == 4:
                raise ParseError("the first packet must be CONNECT")
        elif packet.type is SocketType.DISCONNECT:
            self.gone(self._echo.board.clock(), for_good=True)
        elif packet.type in (SocketType.EVENT, SocketType.BINARY_EVENT):
            self._event(packet, attachments)

    def _elsewhere(self, packet: SocketPacket) -> None:
        """There is no other namespace; revision 3 is told by a string, 4 by an object."""
        if packet.type is SocketType.CONNECT:
            name = packet.namespace.partition("?")[0] if self._revision == 3 else packet.namespace
            reason = b'"Invalid namespace"' if self._revision == 3 else b'{"message":"Invalid namespace"}'
            self._send(encode(SocketPacket(SocketType.ERROR, name, None, reason)))
        elif self._revision == 4:
            raise ParseError("a namespace that was not joined")

    def _connect(self, packet: SocketPacket, transport: ITransport) -> None:
        if self._revision == 3:
            return
        if self._connection is not None:
            raise ParseError("connected twice")
        try:
            asked = _handshake(packet.data or b"{}")
        except UNREADABLE:
            asked = _Handshake()
        self.join(transport, asked.pid)

    def _event(self, packet: SocketPacket, attachments: tuple[bytes, ...]) -> None:
        assert self._connection is not None
        try:
            command = self._echo.codecs[self._revision].decode(packet.data or b"")
        except CommandRejected as rejected:
            self._connection.refuse(rejected.reason)
            return
        if attachments and isinstance(command, ClientEvent):
            command = replace(command, attachments=attachments)
        self._perform(command)

    def _perform(self, command: Command) -> None:
        assert self._connection is not None
        if isinstance(command, Subscribe):
            self._subscribed[command.channel] = command
            self._echo.prefixes.look_at(self._echo.app.id, command.channel)
        elif isinstance(command, Unsubscribe):
            self._subscribed.pop(command.channel, None)
        self._connection.perform(command)


@implementer(IAuthorizer)
class Guest:
    """Has one client judged by whoever its app names at that moment."""

    __slots__ = ("_cookie", "_echo", "_referer")

    def __init__(self, echo: Echo, referer: str | None, cookie: str | None) -> None:
        self._echo = echo
        self._referer = referer
        self._cookie = cookie

    def authorize(self, app: App, socket_id: str, subscribe: Subscribe, user: User | None) -> Deferred[Member | None]:
        """See `IAuthorizer`."""
        return self._echo.authorizer(self._referer, self._cookie).authorize(app, socket_id, subscribe, user)


class Reception:
    """Receives the clients of Socket.IO: makes an `EchoClient` for each new session."""

    def __init__(
        self,
        reactor: Any,
        apps: Iterable[App],
        board: Switchboard,
        recovery: Recovery,
        prefixes: Prefixes,
        most_bytes: int,
    ) -> None:
        self._reactor = reactor
        self._board = board
        self._recovery = recovery
        self._prefixes = prefixes
        self._codecs = {revision: EchoCodec(revision) for revision in PROTOCOLS}
        self._echoes: dict[str, Echo] = {}
        self._endpoints: list[AuthEndpoint] = []
        self.adopt(apps, most_bytes)

    def adopt(self, apps: Iterable[App], most_bytes: int) -> None:
        """Receive clients of ``apps`` by what those say from now on; who is there already is judged by it as well."""
        self.close()
        before, self._echoes, self._endpoints = self._echoes, {}, []
        for app in apps:
            authorizer = self._authorizer(app)
            echo = before.get(app.id)
            if echo is None:
                echo = Echo(app, self._board, self._recovery, self._codecs, self._prefixes, most_bytes, authorizer)
            else:
                echo.app, echo.most_bytes, echo.authorizer = app, most_bytes, authorizer
            self._echoes[app.id] = echo

    def _authorizer(self, app: App) -> Callable[[str | None, str | None], IAuthorizer]:
        if app.auth is None:
            return partial(_nobody, Nobody(self._board.limits))
        endpoint = AuthEndpoint(self._reactor, app.auth, self._board.limits)
        self._endpoints.append(endpoint)
        return endpoint.authorizer

    def greet(self, app: App, revision: int, sid: str, request: Request, send: Callable[[bytes], None]) -> EchoClient:
        """A client of ``app`` whose session begins with ``request``; its cookie and Referer count all its life."""
        echo = self._echoes[app.id]
        authorizer = Guest(echo, request.header("referer"), request.header("cookie"))
        return EchoClient(echo, revision, sid, authorizer, send)

    def close(self) -> None:
        """Ask no application any more."""
        for endpoint in self._endpoints:
            endpoint.close()


def _nobody(nobody: Nobody, referer: str | None, cookie: str | None) -> IAuthorizer:
    return nobody
