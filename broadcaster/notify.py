"""What systemd is told by a service of ``Type=notify``: one datagram per piece of news, see sd_notify(3)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from socket import AF_UNIX, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, socket


class Notifier:
    """Tells whoever listens at ``NOTIFY_SOCKET``; nobody, where that is not set. Never blocks, never raises."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(environ) if self.active else None
        """Seconds within which systemd wants to hear that all is well, or None if it does not care."""

    @property
    def active(self) -> bool:
        """Whether anybody listens."""
        return self._address.startswith(("/", "@"))

    def tell(self, **news: object) -> None:
        """Such as ``READY=1, STATUS="…"``."""
        if not self.active:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        lines = "\n".join(f"{name}={' '.join(str(value).split())}" for name, value in news.items())
        with suppress(OSError), socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK) as out:
            out.sendto(lines.encode(), address)

    def leave(self) -> None:
        """Tell nothing more: a successor does."""
        self._address = ""
        self.watchdog = None


def _watchdog(environ: Mapping[str, str]) -> float | None:
    within = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()) or not within.isdigit():
        return None
    return int(within) / 1_000_000 or None
