"""The sockets that the server listens on: bound, inherited, handed on without a moment in between, or closed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory, ServerFactory
from twisted.python.failure import Failure

from broadcaster.config.listen import resolve, without_proxy
from broadcaster.errors import BroadcasterError, ConfigError
from broadcaster.inheritance import Inherited, Inheriting


class Unlistenable(BroadcasterError):
    """An address cannot be listened on; ``str()`` is one line that names it and the remedy."""


class Listener(Struct, frozen=True):
    """What shall listen: ``key`` is where the configuration says so, ``description`` its endpoint."""

    key: str
    description: str
    factory: Factory


class Listeners:
    """All that this process listens on; ``proxied`` has the links of a factory begin with a PROXY header."""

    def __init__(self, reactor: Any, source: str, proxied: Callable[[ServerFactory], ServerFactory]) -> None:
        self._reactor = reactor
        self._source = source
        self._proxied = proxied
        self._wanted: list[Listener] = []
        self._ports: list[tuple[str, Any]] = []

    def add(self, key: str, description: str, factory: Factory) -> None:
        """Have `bind` listen on an endpoint."""
        self._wanted.append(Listener(key, description, factory))

    @property
    def endpoints(self) -> list[str]:
        """The endpoint strings of those that clients use."""
        return [listener.description for listener in self._wanted if listener.key == "server.listen"]

    @property
    def factories(self) -> list[Factory]:
        """What serves the links, in the order of `add`."""
        return [listener.factory for listener in self._wanted]

    def check(self) -> None:
        """Look whether each address is one, and take none; raises `ConfigError`. Only systemd knows its own."""
        for listener in self._wanted:
            _, endpoint = without_proxy(listener.description)
            if endpoint.startswith("systemd:"):
                continue
            try:
                serverFromString(self._reactor, resolve(endpoint))
            except Exception as error:
                raise self._none(listener, error) from None

    def bind(self, inherited: Inherited) -> list[str]:
        """Take the addresses, so that one which is taken is told at once; raises `Unlistenable` or `ConfigError`.

        What was ``inherited`` and is wanted no more is closed; gives what an operator should be warned of.
        """
        reactor = Inheriting(self._reactor, inherited)
        taken = [listener for listener in self._wanted if not self._listen(reactor, listener)]
        if taken and inherited.release():
            # The address overlaps with one that the predecessor has, such as 127.0.0.1 with all of this machine.
            taken = [listener for listener in taken if not self._listen(reactor, listener)]
        idle = inherited.idle([port.socket for _, port in self._ports if hasattr(port, "socket")])
        inherited.close()
        if taken:
            self.close()
            first = taken[0]
            reason, remedy = "Address already in use", f"stop the server that has it, or change {first.key}"
            raise Unlistenable(f"cannot listen on {first.description}: {reason}; {remedy}")
        return [f"systemd listens on {place}, and server.listen has nothing for it" for place in idle]

    def _listen(self, reactor: Inheriting, listener: Listener) -> bool:
        """Whether the address was free; whatever else is wrong is raised."""
        has_header, endpoint = without_proxy(listener.description)
        try:
            listening = self._endpoint(reactor, endpoint).listen(listener.factory)
        except Exception as error:
            self.close()
            raise self._none(listener, error) from None
        if has_header:
            listening.addCallback(self._expect_header)
        failures: list[Failure] = []
        listening.addCallbacks(partial(self._listens, listener.description), failures.append)
        if not failures:
            return True
        fault = failures[0].value
        cause = fault.socketError if isinstance(fault, CannotListenError) else fault
        if isinstance(cause, OSError) and cause.errno == errno.EADDRINUSE:
            return False
        self.close()
        reason = cause.strerror if isinstance(cause, OSError) else str(fault)
        remedy = f"stop the server that has it, or change {listener.key}"
        raise Unlistenable(f"cannot listen on {listener.description}: {reason}; {remedy}")

    def _none(self, listener: Listener, error: Exception) -> ConfigError:
        problem = f"{listener.description!r} is no address to listen on ({error})"
        return ConfigError(self._source, listener.key, problem, 'write e.g. "tcp:6001"')

    def _expect_header(self, port: Any) -> Any:
        # On the port and not within the endpoint, which may make TLS of its factory: the header comes before that.
        port.factory = self._proxied(port.factory)
        return port

    def _endpoint(self, reactor: Inheriting, description: str) -> Any:
        return reactor.named(description) or serverFromString(reactor, resolve(description))

    def _listens(self, description: str, port: Any) -> None:
        self._ports.append((description, port))

    @property
    def addresses(self) -> list[Any]:
        """Where it listens, as Twisted tells addresses."""
        return [port.getHost() for _, port in self._ports]

    @property
    def descriptors(self) -> list[tuple[str, int]]:
        """(description, descriptor) of each socket that a successor may have."""
        return [(description, port.fileno()) for description, port in self._ports if hasattr(port, "socket")]

    def close(self) -> Deferred[Any]:
        """Listen no more; fires when nothing is listened on."""
        ports, self._ports = self._ports, []
        return DeferredList([maybeDeferred(port.stopListening) for _, port in ports])

    def surrender(self, descriptors: list[int] | None = None) -> None:
        """Let go of sockets that a successor has, all of them or these, and leave them listening.

        Stopping a port would shut its socket down, whoever else has it, and remove a unix socket's path.
        """
        kept: list[tuple[str, Any]] = []
        for description, port in self._ports:
            if not hasattr(port, "socket"):
                port.stopListening()
            elif descriptors is None or port.fileno() in descriptors:
                port.stopReading()
                port.socket.close()
            else:
                kept.append((description, port))
        self._ports = kept
