"""A whole server in memory, as conformance is tested on it: the public kit with Pusher's limits."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from broadcaster.settings import App, Limits, Server
from broadcaster.testing import APP, NOW, QUERY, Answer, Client, MemoryServer, client_frame, signed
from broadcaster.testing import FakeTransport as Link

__all__ = (
    "APP",
    "NOW",
    "PUSHER_LIMITS",
    "QUERY",
    "Answer",
    "Client",
    "InProcess",
    "Link",
    "app_with",
    "client_frame",
    "server_with",
    "signed",
)

PUSHER_LIMITS = Limits(event_bytes=10_240, members=100, member_bytes=1_024)
"""What the conformance cases assume."""


class InProcess(MemoryServer):
    """A server with Pusher's limits unless the test names others."""

    def __init__(self, *apps: App, **settings: Any) -> None:
        super().__init__(*apps, **{"limits": PUSHER_LIMITS, **settings})


def app_with(**changes: Any) -> App:
    """`APP`, changed."""
    return replace(APP, **changes)


def server_with(**changes: Any) -> Server:
    """``[server]`` with some of it changed."""
    return Server(**changes)
