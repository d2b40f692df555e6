"""Driver ``nats`` for broadcaster: several processes as one server, by NATS instead of Redis.

``driver`` puts it together. ``wire`` and ``link`` are NATS, ``store`` is JetStream; ``document`` has the rules of
presence, ``place`` keeps one channel and ``presence`` all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster_nats.driver import NatsDriver
from broadcaster_nats.options import read


def make(reactor: Any, options: Mapping[str, Any]) -> NatsDriver:
    """For `IDriverMaker`; raises `ConfigError`."""
    return NatsDriver(reactor, read(options))
