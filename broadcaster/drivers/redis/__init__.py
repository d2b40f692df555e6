"""The driver for several processes and for Laravel's own broadcasts: events travel through Redis.

``driver`` puts it together: ``dialer`` and ``link`` keep two connections, one for ``commands`` and one for
``subscriptions``; ``hearing`` doubts them; ``wire`` and ``laravel`` say what messages mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.drivers.redis.driver import RedisDriver
from broadcaster.drivers.redis.options import read_options


def make(reactor: Any, options: Mapping[str, Any]) -> RedisDriver:
    """For `IDriverMaker`; raises `ConfigError`."""
    return RedisDriver(reactor, read_options(options))
