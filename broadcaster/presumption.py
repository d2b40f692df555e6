"""What a configuration takes for granted, looked for where it would be."""

from __future__ import annotations

import socket

from msgspec.structs import replace

from broadcaster.settings import Driver, Settings

ADDRESS = ("127.0.0.1", 6379)
SECONDS = 1.0


def without_absent_redis(settings: Settings) -> Settings:
    """``settings``, on memory where they presume a Redis that is not there, with a note that says so.

    laravel-echo-server.json presumes one beside the server. Without it the original serves its HTTP API all the same;
    a Redis that is named is waited for instead. Blocks for as long as this machine needs to refuse a connection.
    """
    if not settings.driver.presumed or _redis_listens():
        return settings
    note = (
        f"{settings.source}: databaseConfig.redis: is not set, and nothing listens at 127.0.0.1:6379: runs without "
        "Redis, in memory; start Redis before, or say where it is"
    )
    return replace(settings, driver=Driver(), notes=(*settings.notes, note))


def _redis_listens() -> bool:
    try:
        socket.create_connection(ADDRESS, SECONDS).close()
    except OSError:
        return False
    return True
