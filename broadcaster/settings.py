"""The configuration as frozen structs with their defaults: what the server's parts are handed. Reads nothing.

A number that bounds something means "no bound" when it is 0.
"""

from __future__ import annotations

import os
from typing import Any, Literal

from msgspec import Struct, field


class Server(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[server]``: where to listen and whom to believe. Times in seconds.

    ``control`` is the path of the control socket, from the directory of the configuration; empty for none.
    """

    listen: tuple[str, ...] = ("tcp:6001",)
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    origins: tuple[str, ...] = ("*",)
    max_connections: int = 0
    drain_seconds: float = 30
    stop_seconds: float = 2
    control: str = "broadcaster.sock"
    compression: bool = False


class Certificate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate and what belongs to it, as paths of PEM files. Without ``key`` the first holds the key as well."""

    certificate: str | None = None
    key: str | None = None
    passphrase: str | None = None
    passphrase_file: str | None = None
    chain: str | None = None


class Host(Certificate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[tls.hosts]]``: the certificate for clients that ask for ``name``, or for what its ``*.`` stands for."""

    name: str


class TLS(Certificate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[tls]``: the certificate of ``tls:`` listeners, and others by name; without one here, the first of those."""

    hosts: tuple[Host, ...] = ()


class Driver(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[driver]``: which one, and its own table ``[driver.<name>]`` as it was written.

    ``others`` are the tables of other drivers: they may stay for the day they are used, and a driver that stands on
    another one uses two. ``presumed`` is a driver that nobody has named, and that memory may stand in for.
    """

    name: str = "memory"
    options: dict[str, Any] = field(default_factory=dict)
    others: dict[str, dict[str, Any]] = field(default_factory=dict)
    presumed: bool = False


class Auth(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[apps.auth]``: the application that is asked about private channels of Socket.IO clients.

    ``host`` is one or several ``scheme://host[:port]``; of several, the client's Referer chooses. ``requests`` bounds
    how many questions are open at once; ``seconds`` how long one may take.
    """

    host: tuple[str, ...] = ("http://localhost",)
    endpoint: str = "/broadcasting/auth"
    verify: bool = True
    seconds: int = 10
    requests: int = 100


HookEvent = Literal[
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
    "connected",
    "disconnected",
]
"""What webhooks tell; the last two only to those who list them."""


class Webhook(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[apps.webhooks]]``: who is told what happens on an app.

    ``events`` empty: all of Pusher's. ``channels``: patterns with ``*`` and ``?``, empty for all channels.
    """

    url: str
    events: tuple[HookEvent, ...] = ()
    channels: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)


class App(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[[apps]]``: one application.

    ``secrets`` is newest first, and empty only for a client of laravel-echo-server, which has no secret: nothing that
    is signed is accepted then.
    """

    id: str
    key: str
    secrets: tuple[str, ...]
    enabled: bool = True
    tls_only: bool = False
    client_events: bool = True
    max_connections: int = 0
    origins: tuple[str, ...] = ()
    activity_timeout: int = 30
    subscription_count: bool = False
    watchlists: bool = False
    authorized_connections: bool = False
    cache_seconds: int = 1_800
    bearer: bool = False
    redis_prefix: str | None = None
    auth: Auth | None = None
    webhooks: tuple[Webhook, ...] = ()


SHORTEST_BEAT = 0.1
"""Seconds: the least that Engine.IO's heartbeat can have for interval and time-out."""


class SocketIO(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[socketio]``: Engine.IO's numbers, by laravel-echo-server's defaults. Times in seconds, sizes in bytes."""

    path: str = "/socket.io"
    ping_interval: float = 25
    ping_timeout: float = 20
    max_bytes: int = 1_000_000
    transports: tuple[str, ...] = ("polling", "websocket")
    upgrades: bool = True
    cookie: bool = True
    connect_seconds: float = 45
    recovery_seconds: int = 120


class Cors(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[echo_api.cors]``: what laravel-echo-server's ``apiOriginAllow`` sends, word for word."""

    origin: str
    methods: str
    headers: str


class EchoApi(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[echo_api]``: the HTTP API in laravel-echo-server's shape."""

    publish: bool = True
    cors: Cors | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[limits]``: every ceiling by name. Sizes in bytes, lengths in characters, times in seconds."""

    event_bytes: int = 102_400
    channels_per_event: int = 100
    events_per_batch: int = 10
    channel_name_length: int = 200
    event_name_length: int = 200
    members: int = 1_000
    member_bytes: int = 4_096
    user_id_length: int = 128
    client_events_per_second: int = 10
    subscriptions_per_connection: int = 0
    watchlist: int = 100
    authorization_seconds: int = 30
    frame_bytes: int | None = None
    body_bytes: int | None = None
    handshake_bytes: int = 16_384
    handshake_seconds: int = 10

    def largest_frame(self) -> int:
        """Bytes of the largest message a client may send: by default twice an event, since JSON escapes, and room."""
        if self.frame_bytes is not None:
            return self.frame_bytes
        return 2 * self.event_bytes + 65_536 if self.event_bytes else 0

    def largest_body(self) -> int:
        """Bytes of the largest request body: by default a full batch, escaped."""
        if self.body_bytes is not None:
            return self.body_bytes
        if not (self.event_bytes and self.events_per_batch):
            return 0
        return 2 * self.events_per_batch * self.event_bytes + 65_536


class SlowClient(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[slow_client]``: what may wait for one connection that does not read, and what happens beyond."""

    buffer_bytes: int = 1_048_576
    policy: Literal["disconnect", "drop_oldest"] = "disconnect"


class Webhooks(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[webhooks]``: how they are kept and sent. Times in seconds.

    ``file`` is where they wait, from the directory of the configuration; a driver that shares its own store has no use
    for it. An event is given up when it is older than ``retry_seconds``, or when ``waiting`` newer ones wait for the
    same receiver; ``given_up`` bounds how many such are kept, ``batch`` how many go in one request.
    """

    file: str = "webhooks.sqlite"
    timeout_seconds: float = 10
    retry_seconds: float = 86_400
    waiting: int = 100_000
    given_up: int = 10_000
    batch: int = 500


class Metrics(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[metrics]``: Prometheus; on the common port unless ``listen`` names one of its own."""

    enabled: bool = True
    listen: str | None = None


class Log(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[log]``."""

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of it; ``source`` names where it came from, ``notes`` says what went unheard there: both are for people.

    ``directory`` is where relative paths count from, "" for the current one.
    """

    server: Server = Server()
    tls: TLS = TLS()
    driver: Driver = Driver()
    apps: tuple[App, ...] = ()
    socketio: SocketIO = SocketIO()
    echo_api: EchoApi = EchoApi()
    limits: Limits = Limits()
    slow_client: SlowClient = SlowClient()
    webhooks: Webhooks = Webhooks()
    metrics: Metrics = Metrics()
    log: Log = Log()
    demo: bool = False
    source: str = "defaults"
    notes: tuple[str, ...] = ()
    directory: str = ""

    @property
    def control_path(self) -> str | None:
        """Where the control socket is, from the current directory; None where there is none."""
        return os.path.join(self.directory, self.server.control) if self.server.control else None

    @property
    def webhooks_path(self) -> str:
        """Where webhooks wait, from the current directory."""
        return os.path.join(self.directory, self.webhooks.file)


EMBEDDED = Settings(
    server=Server(listen=("tcp:6001:interface=127.0.0.1",)),
    apps=(App(id="app-id", key="app-key", secrets=("app-secret",)),),
    demo=True,
    source="embedded default",
)
"""What runs when there is no configuration at all: for a first look, on this machine only."""
