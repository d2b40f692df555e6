"""Driver ``pusher``: leaving Pusher, or coming back, without a flag day. docs/leaving-pusher.md tells how."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.config.options import read_options
from broadcaster.drivers.pusher.driver import PusherDriver
from broadcaster.drivers.pusher.options import Options


def make(reactor: Any, options: Mapping[str, Any]) -> PusherDriver:
    """For `IDriverMaker`."""
    return PusherDriver(reactor, read_options(Options, options, "pusher").checked())
