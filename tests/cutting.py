"""A way to a server that breaks where the test wants: after so many bytes, or by falling silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.sockets import reactor, run_until

NEVER = 1 << 60


class Cutter(Factory):
    """Listens on a port of its own and passes everything on to a unix socket, both ways, while the block runs.

    ``bytes_up`` and ``bytes_down`` say of each connection, by its number, how much may pass before it is cut. While it
    is ``silent`` nothing passes and nothing is cut.
    """

    noisy = False

    def __init__(
        self,
        path: Any,
        bytes_up: Callable[[int], int] = lambda number: NEVER,
        bytes_down: Callable[[int], int] = lambda number: NEVER,
    ) -> None:
        self.path = str(path)
        self.bytes_up = bytes_up
        self.bytes_down = bytes_down
        self.silent = False
        self.accepted = 0
        self.open: set[_Near] = set()

    def __enter__(self) -> Self:
        self._listening = reactor.listenTCP(0, self, interface="127.0.0.1")
        self.port = self._listening.getHost().port
        self.url = f"redis://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        stopped: list[object] = []
        self._listening.stopListening().addBoth(stopped.append)
        run_until(lambda: stopped and not self.open, "the end of the relay")

    @property
    def whole(self) -> int:
        """How many connections are open that will not be cut."""
        return sum(near.whole for near in self.open)

    def cut(self) -> None:
        """Cut all that is open."""
        for near in list(self.open):
            near.cut()

    def buildProtocol(self, addr: object) -> _Near:
        number, self.accepted = self.accepted, self.accepted + 1
        return _Near(self, self.bytes_up(number), self.bytes_down(number))


class _Near(Protocol):
    """The end towards the client."""

    def __init__(self, cutter: Cutter, up: int, down: int) -> None:
        self._cutter = cutter
        self._up = up
        self._down = down
        self._waiting = b""
        self._far: _Far | None = None
        self._gone = False
        self.whole = up == down == NEVER

    def connectionMade(self) -> None:
        self._cutter.open.add(self)
        if not self._up:
            self.cut()
            return
        factory = Factory.forProtocol(lambda: _Far(self))
        factory.noisy = False
        UNIXClientEndpoint(reactor, self._cutter.path).connect(factory).addCallbacks(self._connected, self._refused)

    def _connected(self, far: _Far) -> None:
        self._far = far
        if self._gone:
            far.transport.abortConnection()
        far.transport.write(self._waiting)

    def _refused(self, _: Failure) -> None:
        self.cut()

    def dataReceived(self, data: bytes) -> None:
        if self._cutter.silent:
            return
        passed, self._up = data[: self._up], self._up - len(data)
        if self._far is None:
            self._waiting += passed
        else:
            self._far.transport.write(passed)
        if self._up <= 0:
            self.cut()

    def returned(self, data: bytes) -> None:
        if self._cutter.silent or self._gone:
            return
        passed, self._down = data[: self._down], self._down - len(data)
        self.transport.write(passed)
        if self._down <= 0:
            self.transport.loseConnection()

    def cut(self) -> None:
        if not self._gone:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._cutter.open.discard(self)
        if self._far is not None:
            self._far.transport.abortConnection()


class _Far(Protocol):
    """The end towards the server."""

    def __init__(self, near: _Near) -> None:
        self._near = near

    def dataReceived(self, data: bytes) -> None:
        self._near.returned(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._near.cut()
