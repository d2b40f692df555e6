"""The driver for several processes and for Laravel's own broadcasts: events travel through Redis.

``driver`` puts it together: ``dialer`` and ``link`` keep two connections, one for ``commands`` and one for
``subscriptions``; ``hearing`` doubts them; ``wire`` and ``laravel`` say what messages mean;
``shared`` is what processes agree on beside events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.drivers.redis.options import read_options
from broadcaster.drivers.redis.shared.driver import SharingDriver


def make(reactor: Any, options: Mapping[str, Any]) -> SharingDriver:
    """For `IDriverMaker`; raises `ConfigError`."""
    return SharingDriver(reactor, read_options(options))
