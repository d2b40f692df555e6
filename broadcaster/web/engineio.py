"""Engine.IO under ``/socket.io/``: polls, posts and WebSockets, brought to the session that their ``sid`` names."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.json import encode as _json
from twisted.internet.defer import Deferred

from broadcaster.apps import Apps
from broadcaster.errors import ConnectionClosed
from broadcaster.protocols.engineio import v3
from broadcaster.protocols.engineio.session import EngineSession, Refused, State
from broadcaster.protocols.frames import switching_protocols, text_frame
from broadcaster.settings import App, SocketIO
from broadcaster.web.admission import Admission
from broadcaster.web.echo import Reception
from broadcaster.web.engine_link import CODECS, EngineLink, TextLink
from broadcaster.web.frontdoor import Upgrade
from broadcaster.web.handshake import Turned, websocket_key
from broadcaster.web.http import JSON, Headers, Request, Response, TooLarge, text
from broadcaster.web.outbox import Outbox, Turns
from broadcaster.web.transports import hand_over
from broadcaster.web.websocket import WebSocket
from broadcaster.wheel import Wheel

_ERRORS = (
    (400, "Transport unknown"),
    (400, "Session ID unknown"),
    (400, "Bad handshake method"),
    (400, "Bad request"),
    (403, "Forbidden"),
    (400, "Unsupported protocol version"),
)
"""By Engine.IO's code: the HTTP status and the message."""

UNJOINED = 10_000
"""Sessions beyond the connections that there are: a client of revision 4 has one before it has said anything, and by
polling it costs whoever opens it nothing."""

SMALLEST_GZIP = 1024
"""Bytes from which a poll's answer is compressed for clients that can take it."""

HTML = "text/html"
TEXT = "text/plain; charset=UTF-8"
BINARY = "application/octet-stream"

Answer = Response | Deferred[Response]


class Busy(Refused):
    """Nobody is let in here now, but may be soon or elsewhere: an answer that proxies and clients act on."""

    def __init__(self, reason: str) -> None:
        super().__init__(4)
        self.reason = reason


class Query(Struct, frozen=True):
    """What a request says in its query; each parameter counts once, the last one."""

    transport: str
    sid: str | None
    revision: int | None
    b64: bool
    jsonp: str | None
    app: str | None


def read_query(query: str) -> Query:
    """The query of a request to ``/socket.io/``; what is missing or strange is for `EngineIO` to judge."""
    given = _parameters(query)
    revision = {"3": 3, "4": 4}.get(given.get("EIO", ""))
    jsonp = given.get("j")
    return Query(
        given.get("transport", ""), given.get("sid"), revision, bool(given.get("b64")), jsonp, given.get("app")
    )


def _parameters(query: str) -> dict[str, str]:
    # Every poll asks this: cutting is enough where nothing is escaped, and takes a quarter of the time.
    if "%" in query or "+" in query:
        return dict(parse_qsl(query, keep_blank_values=True))
    return {name: value for name, _, value in [piece.partition("=") for piece in query.split("&")]}


class EngineIO:
    """Answers requests under the path of ``[socketio]``."""

    def __init__(
        self,
        settings: SocketIO,
        apps: Apps,
        admission: Admission,
        turns: Turns,
        wheel: Wheel,
        clock: Callable[[], float],
        reception: Reception,
    ) -> None:
        self.path = settings.path.rstrip("/") + "/"
        self._settings = settings
        self._apps = apps
        self._admission = admission
        self._turns = turns
        self._wheel = wheel
        self._clock = clock
        self._reception = reception
        self._links: dict[str, EngineLink] = {}

    def adopt(self, settings: SocketIO, apps: Apps, admission: Admission) -> None:
        """Let sessions in by these from now on; end those of apps that are no more and have not joined."""
        self.path = settings.path.rstrip("/") + "/"
        self._settings = settings
        self._apps = apps
        self._admission = admission
        for link in list(self._links.values()):
            if not link.client.joined and apps.by_id(link.client.app_id) is None:
                link.close(4001, "Application does not exist")

    def respond(self, request: Request) -> Answer | Upgrade:
        """Answer a request, or refuse it with Engine.IO's own code."""
        query = read_query(request.query)
        try:
            if request.method == "OPTIONS":
                return Response(204, headers=self._preflight(request))
            return self._route(request, query)
        except Refused as refused:
            return self._refuse(request, refused)

    def _route(self, request: Request, query: Query) -> Answer | Upgrade:
        if query.transport not in self._settings.transports:
            raise Refused(0)
        upgrades = "websocket" in request.tokens("upgrade")
        link = self._links.get(query.sid) if query.sid is not None else None
        if query.sid is not None and (link is None or link.session.state is State.CLOSED):
            raise Refused(1)
        if link is None:
            if request.method != "GET":
                raise Refused(2)
            if upgrades is not (query.transport == "websocket"):
                raise Refused(3)
            app = self._app(request, query)
            if query.revision is None:
                raise Refused(5)
            return self._handshake(request, query, app, query.revision)
        if query.revision not in (None, link.session.revision) or upgrades is not (query.transport == "websocket"):
            raise Refused(3)
        if upgrades:
            return self._upgrade(request, link)
        if link.session.state is State.WEBSOCKET:
            raise Refused(3)
        if request.method == "GET":
            return link.hold(lambda body, binary: self._poll(request, query, link, body, binary))
        if request.method == "POST":
            return self._post(request, query, link)
        return Response(405, headers=(("Allow", "GET, POST, OPTIONS"), *self._cors(request)))

    # ---- opening ------------------------------------------------------------------------------------------------

    def _app(self, request: Request, query: Query) -> App:
        app = self._apps.by_key(query.app) if query.app is not None else next(iter(self._apps), None)
        if app is None:
            raise Refused(4)
        try:
            self._admission.check_app(app, request)
            self._admission.check_room(app, _page(request, query))
        except ConnectionClosed as closed:
            raise self._told(closed) from None
        if len(self._links) - self._admission.connections() >= UNJOINED:
            raise self._told(ConnectionClosed(4100, "Over capacity"))
        return app

    def _told(self, closed: ConnectionClosed) -> Refused:
        self._turns.counters.refusals[str(closed.code)] += 1
        return Busy(closed.reason) if closed.code >= 4100 else Refused(4)

    def _handshake(self, request: Request, query: Query, app: App, revision: int) -> Answer | Upgrade:
        sid = token_urlsafe(15)
        b64 = query.b64 or query.jsonp is not None
        link = (TextLink if b64 else EngineLink)(
            sid,
            revision,
            b64,
            request.peer,
            self._settings,
            self._turns,
            self._wheel,
            self._clock,
            self._forget,
        )
        client = self._reception.greet(
            app, revision, sid, request, lambda packet: link.write(text_frame(b"4" + packet))
        )
        if query.transport == "polling":
            self._links[sid] = link
            link.open(EngineSession(revision, False, self._settings, link, self._clock()), client, None)
            return link.hold(lambda body, binary: self._poll(request, query, link, body, binary, opening=True))

        def opened(socket: WebSocket) -> None:
            socket.client = link
            self._links[sid] = link
            session = EngineSession(revision, True, self._settings, link, self._clock())
            link.open(session, client, socket)

        return self._accept(request, opened)

    def _upgrade(self, request: Request, link: EngineLink) -> Answer | Upgrade:
        def opened(socket: WebSocket) -> None:
            if self._settings.upgrades and link.upgradable:
                socket.client = link.probe(socket)
            else:
                socket.client = Turned()
                socket.close()

        return self._accept(request, opened)

    def _accept(self, request: Request, opened: Callable[[WebSocket], None]) -> Response | Upgrade:
        key = websocket_key(request)
        if isinstance(key, Response):
            return key

        def take(transport: Any, outbox: Outbox) -> WebSocket:
            socket = WebSocket(outbox, request.peer, self._settings.max_bytes, self._wheel, self._clock)
            outbox.write(switching_protocols(key, None))
            opened(socket)
            hand_over(transport, socket)
            return socket

        return Upgrade(take)

    def drain(self) -> None:
        """End the sessions of who has not joined; connections are ended by whoever counts them."""
        for link in list(self._links.values()):
            if not link.client.joined:
                link.close(4200, "Server is shutting down")

    def _forget(self, sid: str) -> None:
        self._links.pop(sid, None)

    def sessions(self) -> int:
        """How many are open."""
        return len(self._links)

    # ---- polling ------------------------------------------------------------------------------------------------

    def _post(self, request: Request, query: Query, link: EngineLink) -> Response:
        binary = (request.header("content-type") or "").partition(";")[0].strip().lower() == BINARY
        body: bytes | None = request.body
        if query.jsonp is not None and link.session.revision == 3:
            body, binary = v3.jsonp_body(request.body), False
        if body is not None:
            link.post(CODECS[link.session.revision].decode_payload(body, binary))
        return Response(200, b"ok", HTML, self._cors(request) + self._cookie(link, opening=False))

    @property
    def most_bytes(self) -> int:
        """Of a body; 0: no bound."""
        return self._settings.max_bytes

    def too_large(self, refused: TooLarge) -> Response:
        """A client posted more than it may, which ends its session."""
        request = refused.request
        link = self._links.get(read_query(request.query).sid or "")
        if link is not None:
            link.session.fail("transport error", self._clock())
        return text(413, f"Request body too large (socketio.max_bytes = {refused.most})", *self._cors(request))

    def _poll(
        self, request: Request, query: Query, link: EngineLink, body: bytes, binary: bool, opening: bool = False
    ) -> Response:
        headers = (*self._cookie(link, opening), ("Cache-Control", "no-store"))
        if query.jsonp is not None and link.session.revision == 3:
            return Response(200, v3.jsonp_answer(body.decode(), query.jsonp), TEXT, headers)
        headers += self._cors(request)
        if len(body) >= SMALLEST_GZIP and "gzip" in request.tokens("accept-encoding"):
            headers += (("Content-Encoding", "gzip"),)
            body = gzip.compress(body, 1)
        return Response(200, body, BINARY if binary else TEXT, headers)

    def _cookie(self, link: EngineLink, opening: bool) -> Headers:
        if not self._settings.cookie or link.session.revision != 3:
            return ()
        return (("Set-Cookie", f"io={link.sid}; Path=/; HttpOnly; SameSite=Strict"),)

    # ---- headers and errors -------------------------------------------------------------------------------------

    def _cors(self, request: Request) -> Headers:
        origin = request.header("origin")
        if origin is None:
            return (("Access-Control-Allow-Origin", "*"), ("Vary", "Origin"))
        return (
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Origin", origin),
            ("Vary", "Origin"),
        )

    def _preflight(self, request: Request) -> Headers:
        asked = request.header("access-control-request-headers") or "Content-Type"
        return (
            *self._cors(request),
            ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
            ("Access-Control-Allow-Headers", asked),
            ("Access-Control-Max-Age", "86400"),
        )

    def _refuse(self, request: Request, refused: Refused) -> Response:
        if refused.code is None:
            return Response(400, headers=self._cors(request))
        status, message = _ERRORS[refused.code]
        headers = self._cors(request) if refused.code != 4 else ()
        if isinstance(refused, Busy):
            status, message, headers = 503, refused.reason, (*self._cors(request), ("Retry-After", "1"))
        if "websocket" in request.tokens("upgrade"):
            return Response(status, message.encode(), HTML, headers)
        return Response(status, _json({"code": refused.code, "message": message}), JSON, headers)


def _page(request: Request, query: Query) -> str | None:
    """Whose page it is, by its own word or by the Referer; None where no browser need have sent it.

    Browsers send no Origin with scripts, which JSONP is, and with those of a page that wants it so no Referer either.
    """
    return request.header("origin") or request.header("referer") or ("" if query.jsonp is not None else None)
