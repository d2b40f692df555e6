"""Who may open a Pusher connection: the checks of the handshake, in their order, and how a refusal is told.

The upgrade is always accepted; then come a ``pusher:error`` frame and a close frame with the same code, whatever the
protocol version: pusher-js and .NET act on the first, Swift and Java on the second.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from msgspec import Struct

from broadcaster.apps import Apps
from broadcaster.connection import OVER_QUOTA, QUOTA_REASON
from broadcaster.errors import ConnectionClosed
from broadcaster.hub import Hub
from broadcaster.protocols.pusher import SUBPROTOCOL
from broadcaster.settings import App, Server
from broadcaster.web.http import Request
from broadcaster.web.origins import allowed_origin

_INTEGER = re.compile(r"[+-]?\d{1,9}", re.ASCII)


class Admitted(Struct, frozen=True):
    """A client that may come in: to which app, and which protocol (5–7) it speaks."""

    app: App
    protocol: int


class Admission:
    """Decides over connections; ``capacity`` is how many this process may hold (0: no bound)."""

    def __init__(self, apps: Apps, hub: Hub, server: Server, capacity: int) -> None:
        self.draining = False
        self._apps = apps
        self._hub = hub
        self._server = server
        self._capacity = capacity

    def admit(self, request: Request) -> Admitted:
        """Raises `ConnectionClosed` with the code and text of the first check that fails."""
        match request.segments():
            case ["app", key] | ["app", key, ""] if key:
                app = self._apps.by_key(key)
            case _:
                raise ConnectionClosed(4005, "Path not found")
        if app is None:
            raise ConnectionClosed(4001, "Application does not exist")
        self.check_app(app, request)
        protocol = _protocol(request)
        self.check_room(app, request.header("origin"))
        return Admitted(app, protocol)

    def connections(self) -> int:
        """How many this process holds."""
        return self._hub.count()

    def check_app(self, app: App, request: Request) -> None:
        """Whether the app takes clients, and from such a link; raises `ConnectionClosed`."""
        if not app.enabled:
            raise ConnectionClosed(4003, "Application disabled")
        if app.tls_only and not request.secure:
            raise ConnectionClosed(4000, "Application only accepts SSL connections, reconnect using wss://")

    def check_room(self, app: App, origin: str | None) -> None:
        """Whether a client of such a page may come in now; raises `ConnectionClosed`."""
        if not allowed_origin(origin, app.origins or self._server.origins):
            raise ConnectionClosed(4009, "Origin not allowed")
        if self.draining:
            raise ConnectionClosed(4200, "Server is shutting down")
        if app.max_connections and self._hub.count(app.id) >= app.max_connections:
            raise ConnectionClosed(OVER_QUOTA, QUOTA_REASON)
        if self._capacity and self._hub.count() >= self._capacity:
            raise ConnectionClosed(4100, "Over capacity")


def subprotocol(request: Request) -> str | None:
    """Which of the sub-protocols on offer to answer with: Swift's token, and no other."""
    for token in request.tokens("sec-websocket-protocol"):
        if SUBPROTOCOL.fullmatch(token):
            return token
    return None


def _protocol(request: Request) -> int:
    # The query wins over the sub-protocol.
    asked = parse_qs(request.query, keep_blank_values=True, max_num_fields=None).get("protocol")
    token = subprotocol(request)
    if asked is None and token is None:
        raise ConnectionClosed(4008, "No protocol version supplied")
    version = asked[-1] if asked is not None else str(token)[-1]
    if not _INTEGER.fullmatch(version):
        raise ConnectionClosed(4006, "Invalid version string format")
    if int(version) not in (5, 6, 7):
        raise ConnectionClosed(4007, "Unsupported protocol version")
    return int(version)
