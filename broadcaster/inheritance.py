"""Listening sockets that somebody else has bound: a predecessor that gives them up, or systemd.

They are found by where they listen, beneath the endpoints: so whatever an endpoint puts around its port (TLS, the PROXY
protocol) is put around an inherited one too, and may have changed since.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from ipaddress import ip_address
from socket import AF_UNIX
from typing import Any, TypeAlias

from twisted.internet import unix
from twisted.internet.address import UNIXAddress
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import directlyProvides, providedBy

_Place: TypeAlias = tuple[str, int] | bytes
"""Address and port, or the path of a unix socket."""

ACTIVATED = "a socket from systemd"
"""The description of each of `activated`."""

FIRST = 3
"""The first descriptor that systemd passes."""

LONGEST_PATH = 107
"""Bytes that the kernel takes for a unix socket's address."""

_ANYWHERE = ("0.0.0.0", "::")


class Inherited:
    """The sockets; ``release`` has the predecessor close those of these descriptions, which are not wanted."""

    def __init__(
        self,
        sockets: Iterable[tuple[str, socket.socket]] = (),
        release: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        self._sockets = list(sockets)
        self._release = release

    def at(self, place: _Place) -> tuple[socket.socket | None, bool]:
        """The socket that listens there, which is the caller's from then on, and whether it is systemd's as well."""
        for description, bound in self._sockets:
            if _covers(_place(bound), place, loosely=description == ACTIVATED):
                self._sockets.remove((description, bound))
                return bound, description == ACTIVATED
        return None, False

    def named(self, named: str) -> socket.socket | None:
        """The socket of that description, which is the caller's from then on."""
        for description, bound in self._sockets:
            if description == named:
                self._sockets.remove((description, bound))
                return bound
        return None

    def idle(self, served: Iterable[socket.socket]) -> list[str]:
        """Where systemd listens for us and none of the ``served`` does, as text."""
        places = [_place(each) for each in served]
        waiting = [_place(bound) for description, bound in self._sockets if description == ACTIVATED]
        return [_spelled(place) for place in waiting if place not in places]

    def release(self) -> bool:
        """Let go of those that nobody wanted, here and in the predecessor; whether there were any."""
        unwanted = self.close()
        if unwanted:
            self._release(unwanted)
        return bool(unwanted)

    def close(self) -> list[str]:
        """Let go of those that nobody wanted; gives their descriptions."""
        unwanted, self._sockets = self._sockets, []
        for _, bound in unwanted:
            bound.close()
        return [description for description, _ in unwanted]


def activated() -> list[tuple[str, socket.socket]]:
    """The sockets that systemd listens on for this process, see sd_listen_fds(3), as copies.

    Twisted takes them out of the environment when it is imported; the kernel remembers what there was.
    """
    try:
        with open("/proc/self/environ", "rb") as stream:
            variables = dict(line.partition(b"=")[::2] for line in stream.read().split(b"\0"))
    except OSError:
        return []
    count = variables.get(b"LISTEN_FDS", b"")
    if variables.get(b"LISTEN_PID") != b"%d" % os.getpid() or not count.isdigit():
        return []
    return [(ACTIVATED, socket.socket(fileno=os.dup(FIRST + number))) for number in range(int(count))]


class Inheriting:
    """The reactor, except that it listens on an inherited socket where there is one for the address."""

    def __init__(self, reactor: Any, inherited: Inherited) -> None:
        self._reactor = reactor
        self._inherited = inherited
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def named(self, description: str) -> AdoptedStreamServerEndpoint | None:
        """The endpoint of a socket that came from systemd to a predecessor, and cannot be told by its address."""
        bound = self._inherited.named(description) if description.startswith("systemd:") else None
        return None if bound is None else AdoptedStreamServerEndpoint(self, bound.detach(), bound.family)

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See `IReactorTCP`."""
        bound, _ = self._inherited.at((_host(interface), port))
        if bound is None:
            return self._reactor.listenTCP(port, factory, backlog, interface)
        with bound:
            bound.setblocking(False)
            return self._reactor.adoptStreamPort(bound.fileno(), bound.family, factory)

    def listenSSL(self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = "") -> Any:
        """See `IReactorSSL`."""
        return self.listenTCP(port, TLSMemoryBIOFactory(contextFactory, False, factory), backlog, interface)

    def listenUNIX(
        self, address: str, factory: Any, backlog: int = 50, mode: int = 0o666, wantPID: object = False
    ) -> Any:
        """See `IReactorUNIX`; a socket that nobody listens on any more is in nobody's way, so no lock is needed."""
        path = address if address.startswith("\0") else os.path.abspath(address)
        bound, lasts = self._inherited.at(os.fsencode(path))
        if bound is None:
            try:
                bound = bind_unix(path, mode)
            except OSError as error:
                raise CannotListenError(None, path, error) from None
        return self._listening(bound, factory, backlog, None if lasts else path)

    def adoptStreamPort(self, fileno: int, family: int, factory: Any) -> Any:
        """See `IReactorSocket`: who made the socket keeps its path."""
        if family != AF_UNIX:
            return self._reactor.adoptStreamPort(fileno, family, factory)
        return self._listening(socket.socket(fileno=os.dup(fileno)), factory, 4096, None)

    def _listening(self, bound: socket.socket, factory: Any, backlog: int, path: str | None) -> Any:
        port: Any = UnixPort(self._reactor, bound, factory, backlog, path)
        port.startListening()
        return port


class Bound(socket.socket):
    """A socket that has its address already."""

    def bind(self, address: Any) -> None:
        """Nothing is left to do."""


class UnixPort(unix.Port):
    """Listens on a unix socket that is bound; at the end ``path`` is removed, if one is given.

    Twisted would set the mode of the path and remove it whoever it belongs to, so it is told an abstract name.
    """

    def __init__(
        self, reactor: Any, bound: socket.socket, factory: Any, backlog: int = 50, path: str | None = None
    ) -> None:
        super().__init__(b"\0" + os.fsencode(path or ""), factory, backlog, reactor=reactor)
        bound.setblocking(False)
        self._bound = Bound(fileno=bound.detach())
        self._path = path

    def createInternetSocket(self) -> Bound:
        """The one that there is."""
        return self._bound

    def connectionLost(self, reason: Any) -> None:
        """Nobody is listened to any more."""
        if self._path is not None and not self._path.startswith("\0"):
            with suppress(OSError):
                os.unlink(self._path)
        unix.Port.connectionLost(self, reason)

    def getHost(self) -> Any:
        """Where it listens."""
        return UNIXAddress(self.socket.getsockname() or None)


def bind_unix(path: str, mode: int) -> socket.socket:
    """A socket at ``path``, in place of one that nobody listens on; raises `OSError`, also if somebody does."""
    bound = socket.socket(AF_UNIX)
    before = os.umask(0o777 & ~mode)
    try:
        if not path.startswith("\0") and is_stale(path):
            os.unlink(path)
        bound.bind(sayable(path))
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(before)
    return bound


def is_stale(path: str) -> bool:
    """Whether there is a socket that nobody listens on, as a process leaves it that had no time to tidy up."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(AF_UNIX) as probe:
        try:
            probe.connect(sayable(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def sayable(path: str) -> str:
    """``path`` as a unix socket's address, seen from here if it is too long otherwise."""
    if path.startswith("\0") or len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    return os.path.relpath(path)


def _place(bound: socket.socket) -> _Place:
    name = bound.getsockname()
    if bound.family == AF_UNIX:
        return name if isinstance(name, bytes) else os.fsencode(name)
    return _host(name[0]), name[1]


def _spelled(place: _Place) -> str:
    return os.fsdecode(place) if isinstance(place, bytes) else f"{place[0]}:{place[1]}"


def _covers(bound: _Place, wanted: _Place, loosely: bool) -> bool:
    """Whether a socket bound to one place serves for the other; ``loosely``, all of IPv4 and all of IPv6 are one."""
    if loosely and bound[0] in _ANYWHERE and wanted[0] in _ANYWHERE:
        return bound[1] == wanted[1]
    return bound == wanted


def _host(interface: str) -> str:
    try:
        return str(ip_address(interface or "0.0.0.0"))
    except ValueError:
        with suppress(OSError):
            return socket.gethostbyname(interface)
        return interface
