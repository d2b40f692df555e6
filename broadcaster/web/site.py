"""The URL map: what answers where, on the one port that serves everything."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from broadcaster.apps import Apps
from broadcaster.connection import Connection
from broadcaster.errors import ConnectionClosed
from broadcaster.messages import Failure
from broadcaster.names import new_socket_id
from broadcaster.protocols.deflate import deflated_frame, negotiate
from broadcaster.protocols.frames import switching_protocols
from broadcaster.protocols.pusher import PusherCodec
from broadcaster.settings import Limits, Server
from broadcaster.switchboard import Switchboard
from broadcaster.web.admission import Admission, Admitted, subprotocol
from broadcaster.web.api import Answer, Api
from broadcaster.web.echo_api import EchoApi
from broadcaster.web.engineio import EngineIO
from broadcaster.web.frontdoor import Upgrade
from broadcaster.web.handshake import Turned, websocket_key
from broadcaster.web.http import Headers, Request, Response, TooLarge, text
from broadcaster.web.library import library
from broadcaster.web.origins import allowed_origin
from broadcaster.web.outbox import Outbox
from broadcaster.web.transports import hand_over
from broadcaster.web.websocket import WebSocket

HTML = "text/html; charset=utf-8"

_FALLBACK = 'SockJS and XHR fallbacks are not served here; use enabledTransports: ["ws","wss"]'
_AUTH_ENDPOINTS = ("/pusher/auth", "/pusher/user-auth", "/broadcasting/auth", "/broadcasting/user-auth")


_PLAIN = PusherCodec()
_DEFLATING = PusherCodec(deflated_frame)


class Site:
    """Answers every request. ``unready`` gives the reasons why this process should get no traffic now."""

    def __init__(
        self,
        server: Server,
        apps: Apps,
        api: Api,
        admission: Admission,
        board: Switchboard,
        limits: Limits,
        engine: EngineIO,
        echo_api: EchoApi,
        unready: Callable[[], list[str]],
        render_metrics: Callable[[], Response] | None,
        demo: bool,
    ) -> None:
        self._server = server
        self._apps = apps
        self._api = api
        self._admission = admission
        self._board = board
        self._engine = engine
        self._echo_api = echo_api
        self._unready = unready
        self._render_metrics = render_metrics
        self._demo = demo
        self._largest_frame = limits.largest_frame()
        self._largest_body = limits.largest_body()

    def respond(self, request: Request) -> Answer | Upgrade:
        """See `FrontDoors`."""
        path = request.path
        if path.startswith(("/apps/", "/users/")):
            if self._echo_api.speaks(request):
                return self._echo_api.respond(request)
            return self._apps_answer(request)
        if path.startswith(self._engine.path):
            return library(path.removeprefix(self._engine.path), request) or self._engine.respond(request)
        if "websocket" in request.tokens("upgrade"):
            return self._upgrade(request)
        if request.method == "OPTIONS" and path.startswith(("/pusher/", "/timeline/")):
            return Response(204, headers=_preflight("*", request))
        if path.startswith(("/pusher/", "/timeline/")) and path not in _AUTH_ENDPOINTS:
            return text(404, _FALLBACK, ("Access-Control-Allow-Origin", "*"), ("Cache-Control", "no-store"))
        if path in _AUTH_ENDPOINTS:
            return text(404, f"{path} belongs to your application: point the client's auth endpoint there")
        if path.startswith("/app/"):
            return text(
                426, "Upgrade required: this is a WebSocket", ("Upgrade", "websocket"), ("Connection", "Upgrade")
            )
        page = self._page(path, request)
        if request.method not in ("GET", "HEAD") and page.status != 404:
            return text(405, "Method not allowed", ("Allow", "GET, HEAD"))
        return page

    def most(self, path: str) -> int:
        """See `Bodies`: what Engine.IO clients may post is told to them."""
        return self._engine.most_bytes if path.startswith(self._engine.path) else self._largest_body

    def too_large(self, refused: TooLarge) -> Response:
        """See `Bodies`."""
        request = refused.request
        if request.path.startswith(self._engine.path):
            return self._engine.too_large(refused)
        response = text(413, f"Request body too large (limits.body_bytes = {refused.most})")
        origin = request.header("origin")
        return _with(response, self._cors(request, origin)) if origin is not None else response

    # ---- plain pages ------------------------------------------------------------------------------------------

    def _page(self, path: str, request: Request) -> Response:
        if path == "/":
            if "text/html" in (request.header("accept") or ""):
                return _file("index.html")
            # laravel-echo-server's two letters, which monitors may compare whole.
            return Response(200, b"OK", "text/plain; charset=utf-8")
        if path == "/up":
            return text(200, "OK")
        if path == "/ready":
            reasons = self._unready()
            return text(503, "Not ready: " + ", ".join(reasons), ("Retry-After", "1")) if reasons else text(200, "OK")
        if path == "/metrics" and self._render_metrics is not None:
            return self._render_metrics()
        if self._demo and path in ("/demo", "/demo/"):
            return _file("demo.html")
        return text(404, "Not found")

    def _apps_answer(self, request: Request) -> Answer:
        origin = request.header("origin")
        cors = self._cors(request, origin) if origin is not None else ()
        if request.method == "OPTIONS":
            return Response(204, headers=_preflight(cors[0][1], request) if cors else ())
        if self._admission.draining:
            answer: Answer = text(503, "Server is shutting down", ("Retry-After", "1"))
        else:
            answer = self._api.respond(request)
        if not cors:
            return answer
        if isinstance(answer, Response):
            return _with(answer, cors)
        return answer.addCallback(_with, cors)

    def _cors(self, request: Request, origin: str) -> Headers:
        segments = request.segments()
        app = self._apps.by_id(segments[1]) if len(segments) > 1 and segments[0] == "apps" else None
        allowed = (app.origins if app is not None else ()) or self._server.origins
        if "*" in allowed:
            return (("Access-Control-Allow-Origin", "*"),)
        if allowed_origin(origin, allowed):
            return (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))
        return ()

    # ---- WebSockets -------------------------------------------------------------------------------------------

    def _upgrade(self, request: Request) -> Response | Upgrade:
        key = websocket_key(request)
        if isinstance(key, Response):
            return key
        return Upgrade(lambda transport, outbox: self._open(request, key, transport, outbox))

    def _open(self, request: Request, key: bytes, transport: Any, outbox: Outbox) -> WebSocket:
        board = self._board
        socket = WebSocket(outbox, request.peer, self._largest_frame, board.wheel, board.clock)
        extension = negotiate(request.header("sec-websocket-extensions")) if self._server.compression else None
        codec = _PLAIN
        if extension is not None:
            socket.inflate()
            codec = _DEFLATING
        outbox.write(switching_protocols(key, subprotocol(request), extension))
        try:
            admitted = self._admission.admit(request)
        except ConnectionClosed as refused:
            self._refuse(socket, codec, refused)
        else:
            self._let_in(socket, codec, outbox, admitted)
        hand_over(transport, socket)
        return socket

    def _let_in(self, socket: WebSocket, codec: PusherCodec, outbox: Outbox, admitted: Admitted) -> None:
        connection = Connection(admitted.app, new_socket_id(), admitted.protocol, codec, socket, self._board)
        socket.client = connection
        outbox.overflowed = connection.overflowed
        connection.opened()
        connection.watch()

    def _refuse(self, socket: WebSocket, codec: PusherCodec, refused: ConnectionClosed) -> None:
        self._board.counters.refusals[str(refused.code)] += 1
        socket.client = Turned()
        socket.write(codec.encode(Failure(refused.code, refused.reason)))
        socket.close(refused.code, refused.reason)


def _with(response: Response, headers: Headers) -> Response:
    return Response(response.status, response.body, response.content_type, response.headers + headers)


def _preflight(origin: str, request: Request) -> Headers:
    asked = request.header("access-control-request-headers")
    headers = (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
        ("Access-Control-Max-Age", "600"),
    )
    return (*headers, ("Access-Control-Allow-Headers", asked)) if asked else headers


def _file(name: str) -> Response:
    return Response(200, files("broadcaster.web").joinpath("pages", name).read_bytes(), HTML)
