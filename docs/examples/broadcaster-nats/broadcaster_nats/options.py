"""``[driver.nats]``: what it may say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from broadcaster.config.options import read_options
from broadcaster.errors import ConfigError


class Options(Struct, frozen=True, kw_only=True):
    """The keys and their defaults. Times in seconds; ``namespace`` tells servers on one NATS apart."""

    url: str = "nats://127.0.0.1:4222"
    user: str = ""
    password: str = ""
    namespace: str = "broadcaster"
    storage: str = "file"
    lease_seconds: float = 15.0
    wait_seconds: float = 10.0

    @property
    def host(self) -> str:
        """Where to connect."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """And on which port."""
        return urlsplit(self.url).port or 4222


def read(table: Mapping[str, Any]) -> Options:
    """What the table says; raises `ConfigError`, which never quotes a secret."""
    options = read_options(Options, table, "nats")
    try:
        url = urlsplit(options.url)
        fine = url.scheme == "nats" and url.hostname and (url.port or 1) and url.path in ("", "/") and not url.query
    except ValueError:
        fine = False
    if not fine:
        raise _error("url", "is no address of a NATS server", "write e.g. nats://127.0.0.1:4222")
    if url.username is not None:
        if options.user or options.password:
            raise _error("user", "is given besides the one in driver.nats.url", "keep one of the two")
        user, password = unquote(url.username), unquote(url.password or "")
        options = read_options(Options, {**table, "user": user, "password": password}, "nats")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", options.namespace):
        raise _error("namespace", "may hold letters, digits, - and _ only", 'write e.g. "broadcaster"')
    if options.storage not in ("file", "memory"):
        raise _error("storage", f"expected file or memory, got {options.storage!r}")
    for key in ("lease_seconds", "wait_seconds"):
        if not 1 <= getattr(options, key) <= 3600:
            raise _error(key, "expected 1 to 3600")
    return options


def _error(key: str, problem: str, remedy: str = "") -> ConfigError:
    return ConfigError("configuration", f"driver.nats.{key}", problem, remedy)
