"""``[driver.pusher]``: where Pusher is, what goes there and what comes back."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from broadcaster.errors import ConfigError


class Options(Struct, frozen=True, kw_only=True):
    """As docs/configuration.md words them. Sizes in bytes, times in seconds.

    ``app_id``, ``key`` and ``secret`` are those of the app at Pusher, or at whatever speaks its HTTP API at ``host``.
    """

    app_id: str
    key: str
    secret: str
    cluster: str = "mt1"
    host: str = ""
    port: int = 0
    scheme: Literal["https", "http"] = "https"
    deliver: Literal["memory", "redis", "none"] = "memory"
    apps: tuple[str, ...] = ()
    bridge: tuple[str, ...] = ()
    compare: bool = False
    oversized: Literal["split", "drop", "refuse"] = "split"
    event_bytes: int = 10_240
    channels_per_event: int = 100
    queue_events: int = 10_000
    overflow: Literal["drop_oldest", "drop_newest", "refuse"] = "drop_oldest"
    requests: int = 8
    request_seconds: float = 10

    def checked(self) -> Options:
        """Itself; raises `ConfigError` for numbers that leave nothing to do the work with."""
        for key in ("queue_events", "requests", "request_seconds", "channels_per_event", "event_bytes"):
            if not getattr(self, key):
                raise ConfigError("configuration", f"driver.pusher.{key}", "is 0", "give it 1 or more")
        if self.port > 65_535:
            raise ConfigError("configuration", "driver.pusher.port", "is no port", "write it as 443")
        return self

    def api(self) -> str:
        """``scheme://host:port`` of the HTTP API."""
        return f"{self.scheme}://{self.host or f'api-{self.cluster}.pusher.com'}:{self._port()}"

    def socket(self) -> tuple[str, int, bool]:
        """Host and port of the WebSocket, and whether it is over TLS."""
        return self.host or f"ws-{self.cluster}.pusher.com", self._port(), self.scheme == "https"

    def _port(self) -> int:
        return self.port or (443 if self.scheme == "https" else 80)
