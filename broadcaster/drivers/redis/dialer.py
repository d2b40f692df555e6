"""One attempt to reach Redis: found, connected, signed in and with its database chosen, or nothing is left of it."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.protocol import Factory

from broadcaster.drivers.redis.options import Options
from broadcaster.drivers.redis.protocol import Lost, RedisConnection, Refused
from broadcaster.drivers.redis.tls import Trust
from broadcaster.errors import DriverError

T = TypeVar("T")


class Dialer:
    """Dials as ``options`` say. Every step must be done within ``connect_seconds``."""

    def __init__(self, reactor: Any, options: Options, name: str) -> None:
        self._reactor = reactor
        self._options = options
        self._name = name
        self._trust = Trust(options) if options.address.tls else None
        self._first = 0
        self._address = ("", 0)

    async def dial(self) -> RedisConnection:
        """A connection that answers; raises `DriverError` that names the address and what is wrong there."""
        address = self._options.address
        if not address.master:
            return await self._redis(*(address.hosts[0] if address.hosts else ("", 0)))
        # Whoever gave the address that served last is asked first; the next attempt begins with another.
        faults = []
        for turn in range(len(address.hosts)):
            which = (self._first + turn) % len(address.hosts)
            try:
                master = await self._master(*address.hosts[which])
                found = await self._redis(*master)
            except DriverError as error:
                faults.append(str(error))
            else:
                self._first, self._address = which, master
                return found
        self._first += 1
        raise DriverError("; ".join(dict.fromkeys(faults)))

    async def moved(self) -> str | None:
        """Why the last connection should be left: a Sentinel says that another is the master now; else None.

        Without one that answers nothing can be said.
        """
        address = self._options.address
        for turn in range(len(address.hosts) if address.master else 0):
            try:
                master = await self._master(*address.hosts[(self._first + turn) % len(address.hosts)])
            except DriverError:
                continue
            return None if master == self._address else f"{place(*master)} is the master now"
        return None

    async def _master(self, host: str, port: int) -> tuple[str, int]:
        """Where a Sentinel says that the master is."""
        options = self._options
        sentinel = await self._connect(host, port)
        try:
            await self._sign_in(sentinel, options.sentinel_username, options.sentinel_password)
            asked = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", options.address.master)
            found = await self._within(asked)
            if not isinstance(found, list):
                raise DriverError(f"it knows no master {options.address.master!r}")
            address, its_port = (part.decode() for part in found if isinstance(part, bytes))
            return address, int(its_port)
        except (DriverError, ValueError) as error:
            raise DriverError(f"Sentinel {place(host, port)}: {_words(error)}") from None
        finally:
            sentinel.abort("asked")

    async def _redis(self, host: str, port: int) -> RedisConnection:
        options = self._options
        connection = await self._connect(host, port)
        try:
            await self._sign_in(connection, options.address.username, options.address.password)
            if options.address.database:
                await self._within(connection.call("SELECT", options.address.database))
            if options.address.master:
                role = await self._within(connection.call("ROLE"))
                if not (isinstance(role, list) and role[0] == b"master"):
                    raise DriverError("it is not the master any more, or not yet")
            await self._tolerant(connection, "CLIENT", "SETNAME", f"broadcaster-{self._name}")
            # The last word, since one that loads its data or has lost its master answers all of the above.
            await self._tolerant(connection, "PING")
        except BaseException as error:
            connection.abort("its start was not completed")
            if isinstance(error, DriverError):
                raise DriverError(f"{place(host, port) or options.address}: {_words(error)}") from None
            raise
        return connection

    async def _sign_in(self, connection: RedisConnection, username: str, password: str) -> None:
        if password:
            await self._within(connection.call("AUTH", *([username] if username else []), password))

    async def _tolerant(self, connection: RedisConnection, *command: str) -> None:
        """What an ACL may well forbid."""
        try:
            await self._within(connection.call(*command))
        except Refused as refused:
            if refused.code not in ("NOPERM", "ERR"):
                raise

    async def _connect(self, host: str, port: int) -> RedisConnection:
        endpoint = self._endpoint(host, port)
        if self._trust is not None:
            endpoint = wrapClientTLS(self._trust.creator(host), endpoint)
        factory = Factory.forProtocol(lambda: RedisConnection(self._reactor.seconds))
        factory.noisy = False
        try:
            return await self._within(endpoint.connect(factory))
        except CancelledError:
            raise
        except Exception as error:
            raise DriverError(f"{place(host, port) or self._options.address}: {_words(error)}") from None

    def _endpoint(self, host: str, port: int) -> Any:
        if not host:
            return UNIXClientEndpoint(self._reactor, self._options.address.path)
        # What is an address needs no thread to look it up, and none that hangs can keep it waiting.
        if isIPAddress(host):
            return TCP4ClientEndpoint(self._reactor, host, port)
        if isIPv6Address(host):
            return TCP6ClientEndpoint(self._reactor, host, port)
        return HostnameEndpoint(self._reactor, host, port)

    def _within(self, step: Deferred[T]) -> Deferred[T]:
        return step.addTimeout(self._options.connect_seconds, self._reactor, _overdue)


def place(host: str, port: int) -> str:
    """The two as people write them; empty for no host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else ""


def _words(error: Exception) -> str:
    if isinstance(error, Lost):
        return error.reason
    if isinstance(error, ConnectError) and error.args[0]:
        return str(error.args[0])
    return str(error).rstrip(".") if isinstance(error, DNSLookupError) else str(DriverError.of(error))


def _overdue(result: object, seconds: float) -> NoReturn:
    raise DriverError(f"no answer within {seconds:g} s")
