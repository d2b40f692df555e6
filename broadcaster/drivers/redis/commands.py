"""Commands to Redis, answered in their order, and never kept for a Redis that is away."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha1

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from broadcaster.drivers.redis.link import Link
from broadcaster.drivers.redis.protocol import Argument, RedisConnection, Refused, Reply
from broadcaster.errors import DriverError

MOST_CALLS = 100_000
MOST_BYTES = 64 * 1_048_576
"""What may wait for Redis's answers; what comes beyond fails at once."""


class Script:
    """A Lua script; Redis is sent its text once over each connection, and its digest from then on."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class Commands:
    """What is called in one turn of the reactor leaves together; answers come in the order of the calls."""

    def __init__(self, link: Link) -> None:
        self._link = link

    @property
    def up(self) -> bool:
        """Whether a call has a chance."""
        return self._link.connection is not None

    def call(self, *arguments: Argument) -> Deferred[Reply]:
        """Redis's reply; fails with `Refused` for an error, at once with `DriverError` while Redis is away.

        It fails with that too when the link is lost meanwhile; whether the command was carried out is not known then.
        """
        try:
            return self._connection().call(*arguments)
        except DriverError as error:
            return fail(error)

    def script(self, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]) -> Deferred[Reply]:
        """What a script returns; fails as `call` does."""
        try:
            connection = self._connection()
        except DriverError as error:
            return fail(error)
        if script.digest not in connection.scripts:
            # Whatever follows over this connection comes after it, so the digest is known by then.
            connection.scripts.add(script.digest)
            return connection.call("EVAL", script.text, len(keys), *keys, *arguments)
        called = connection.call("EVALSHA", script.digest, len(keys), *keys, *arguments)
        return called.addErrback(self._unknown, script, keys, arguments)

    def _unknown(
        self, failure: Failure, script: Script, keys: Sequence[Argument], arguments: Sequence[Argument]
    ) -> Deferred[Reply]:
        """Somebody has flushed the scripts."""
        error = failure.value
        if not isinstance(error, Refused) or error.code != "NOSCRIPT":
            failure.raiseException()
        return self.call("EVAL", script.text, len(keys), *keys, *arguments)

    def _connection(self) -> RedisConnection:
        connection = self._link.connection
        if connection is None:
            raise DriverError(f"Redis is away: {self._link.fault}")
        if connection.pending >= MOST_CALLS or connection.waiting_bytes >= MOST_BYTES:
            raise DriverError("Redis does not keep up: too much waits for its answers")
        return connection
