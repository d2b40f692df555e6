"""What wsload says in each dialect to become a subscriber of a channel, and to publish on it."""

from __future__ import annotations

import json
from collections.abc import Callable

APP, KEY, SECRET = "app-id", "app-key", "app-secret"
EVENTS = f"/apps/{APP}/events"

Dialect = Callable[[str], list[str]]
"""Of a channel's name, the options of wsload."""

NOWHERE = "/-"
"""A namespace that no server has."""


def pusher(channel: str) -> list[str]:
    """Pusher Channels, each publish signed."""
    return [
        f"--path=/app/{KEY}?protocol=7&client=wsload&version=1",
        "--sub=" + json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}),
        "--ready=subscription_succeeded",
        f"--pub-path={EVENTS}",
        "--pub-body=" + json.dumps({"name": "bench", "channel": channel, "data": "%T%%P%"}),
        f"--app-key={KEY}",
        f"--app-secret={SECRET}",
    ]


def pusher_tls(channel: str) -> list[str]:
    """The same over TLS, publishes too."""
    return ["--tls", *pusher(channel)]


def echo_3(channel: str) -> list[str]:
    """laravel-echo-server's dialect over a WebSocket, Engine.IO 3: the client pings."""
    return [
        "--path=/socket.io/?EIO=3&transport=websocket",
        *(f"--reply=40={text}" for text in subscription(channel)),
        "--beat=20",
        *echo_publishing(channel),
    ]


def echo_4(channel: str) -> list[str]:
    """The same over Engine.IO 4: the client connects to the namespace, the server pings."""
    return ["--path=/socket.io/?EIO=4&transport=websocket", *replies_4(channel), *echo_publishing(channel)]


def polling(channel: str) -> list[str]:
    """The same, polling."""
    return ["--polling", "--path=/socket.io/?EIO=4&transport=polling", *replies_4(channel), *echo_publishing(channel)]


def replies_4(channel: str) -> list[str]:
    return ["--reply=0{=40", *(f"--reply=40{{={text}" for text in subscription(channel)), "--reply=2=3"]


def subscription(channel: str) -> tuple[str, str]:
    """Nobody confirms that a public channel is subscribed, so a question follows that every server answers in turn."""
    return "42" + json.dumps(["subscribe", {"channel": channel}]), f"40{NOWHERE},"


def echo_publishing(channel: str) -> list[str]:
    """Laravel's events are JSON objects, as text; ``auth_key`` is what laravel-echo-server reads with least work."""
    event = {"name": "bench", "channel": channel, "data": json.dumps({"text": "%T%%P%"})}
    return [f"--ready=44{NOWHERE}", f"--pub-path={EVENTS}?auth_key={KEY}", "--pub-body=" + json.dumps(event)]
