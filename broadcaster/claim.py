"""Being the one server of a configuration: a lock that dies with its process, and the control socket that goes with it.

Whether a server runs is decided by these two and by nothing that could be stale. It is settled before the reactor runs,
hence with plain sockets; `broadcaster.handover` is the other end of the conversation.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from socket import AF_UNIX, MSG_CMSG_CLOEXEC, recv_fds, socket
from time import monotonic, sleep
from typing import Any

import msgspec

from broadcaster.errors import BroadcasterError, ConfigError
from broadcaster.inheritance import LONGEST_PATH, Inherited, bind_unix, sayable

PATIENCE = 3.0
"""Seconds that a start waits for another server to begin its end, or to say anything."""

PAUSE = 0.05
"""Seconds between two questions to it."""

MOST_SOCKETS = 250
"""Descriptors in one message; the kernel takes 253."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Running(BroadcasterError):
    """Another server has the control socket and goes on; ``str()`` is one line."""


class Unclaimable(BroadcasterError):
    """The control socket cannot be had; ``str()`` is one line that names the key and the remedy."""


class Predecessor:
    """The conversation with the server that hands over, open until the successor serves."""

    def __init__(self, link: socket) -> None:
        self._link = link
        self._heard = b""
        self.descriptors: list[int] = []

    def ask(self, question: dict[str, object]) -> dict[str, Any] | None:
        """Its answer, or None if there is none in time; descriptors that come with it are kept."""
        try:
            self._link.sendall(_encode(question) + b"\n")
            while b"\n" not in self._heard:
                heard, descriptors, _, _ = recv_fds(self._link, 65_536, MOST_SOCKETS, MSG_CMSG_CLOEXEC)
                self.descriptors += descriptors
                if not heard:
                    return None
                self._heard += heard
            line, _, self._heard = self._heard.partition(b"\n")
            return _decode(line)
        except (OSError, msgspec.MsgspecError):
            return None

    def tell(self, news: dict[str, object]) -> socket:
        """Say the last thing there is to say, whether it is still there or not; the link is the caller's then."""
        with suppress(OSError):
            self._link.sendall(_encode(news) + b"\n")
        return self._link

    def leave(self) -> None:
        """Break off: it keeps, or takes back, all that it has handed out."""
        self._link.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


class Claim:
    """The lock and the control socket, both ours; ``path`` is absolute."""

    def __init__(
        self,
        path: str,
        lock: int,
        control: socket,
        listening: Sequence[tuple[str, socket]] = (),
        predecessor: Predecessor | None = None,
    ) -> None:
        self.path = path
        self.lock = lock
        self.control = control
        self._listening = listening
        self._predecessor = predecessor

    def inherited(self, activated: Sequence[tuple[str, socket]]) -> Inherited:
        """What there is to listen on: of ``activated``, which systemd passed, and from the predecessor."""
        return Inherited((*activated, *self._listening), self._release)

    def _release(self, unwanted: list[str]) -> None:
        if self._predecessor is not None:
            self._predecessor.ask({"do": "release", "listeners": unwanted})

    def served(self) -> socket | None:
        """We serve: the predecessor lets go of everything. Gives the link to it, if there is one."""
        predecessor, self._predecessor = self._predecessor, None
        return None if predecessor is None else predecessor.tell({"do": "taken", "pid": os.getpid()})

    def give_up(self) -> None:
        """We do not serve any more, or never will: the path and the lock are free again, or the predecessor's."""
        predecessor, self._predecessor = self._predecessor, None
        if predecessor is None:
            with suppress(OSError):
                os.unlink(self.path)
        self.surrender()
        if predecessor is not None:
            predecessor.leave()

    def surrender(self) -> None:
        """A successor has both: let go of them as they are."""
        self.control.close()
        with suppress(OSError):
            os.close(self.lock)


def claim(path: str, source: str, force: bool = False, patience: float = 0.0) -> Claim:
    """Become the server whose control socket is ``path``.

    One that ends hands over what it has, one that does not with ``force`` only; until then ``patience`` is had with
    it, in seconds. Raises `Running`, `Unclaimable` or `ConfigError`.
    """
    path = os.path.abspath(path)
    _check(path, source)
    lock = _open(path, source)
    began = monotonic()
    try:
        while True:
            locked = _lock(lock)
            predecessor, answer = _ask(path, source, force)
            if predecessor is not None and answer is not None and _is_handed(predecessor, answer):
                os.close(lock)
                return _taken(path, predecessor, answer)
            if predecessor is not None:
                predecessor.leave()
            elif locked:
                return Claim(path, lock, _bind(path, source))
            waited = monotonic() - began
            if locked and answer is None:
                # No server of ours holds the lock, so it is none that is only slow.
                raise _refused(path, source, locked, answer)
            if answer is not None and answer.get("state") == "busy":
                over = waited > 2 * PATIENCE
            else:
                over = waited >= (patience if answer is not None else PATIENCE)
            if over:
                raise _refused(path, source, locked, answer)
            sleep(PAUSE)
    except BaseException:
        with suppress(OSError):
            os.close(lock)
        raise


def _check(path: str, source: str) -> None:
    if len(os.fsencode(sayable(path))) > LONGEST_PATH:
        problem = f"{path!r} is too long for a unix socket ({LONGEST_PATH} bytes at most)"
        raise ConfigError(source, "server.control", problem, 'set it elsewhere, e.g. "/run/broadcaster.sock"')


def _open(path: str, source: str) -> int:
    try:
        return os.open(path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path + ".lock", source, error) from None


def _lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _bind(path: str, source: str) -> socket:
    try:
        control = bind_unix(path, 0o600)
        control.listen(64)
    except OSError as error:
        raise _unwritable(path, source, error) from None
    return control


def _ask(path: str, source: str, force: bool) -> tuple[Predecessor | None, dict[str, Any] | None]:
    """Who answers at ``path``, and what; both None if nobody listens there."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            problem = f"{path!r} is there already and is no socket"
            raise _unclaimable(source, problem, "remove it, or set another path")
    except FileNotFoundError:
        return None, None
    except OSError as error:
        raise _unwritable(path, source, error) from None
    link = socket(AF_UNIX)
    link.settimeout(PATIENCE)
    try:
        link.connect(sayable(path))
    except PermissionError as error:
        link.close()
        raise _unwritable(path, source, error) from None
    except OSError:
        link.close()
        return None, None
    predecessor = Predecessor(link)
    return predecessor, predecessor.ask({"do": "takeover", "force": force})


def _taken(path: str, predecessor: Predecessor, answer: dict[str, Any]) -> Claim:
    lock, control, *listening = predecessor.descriptors
    predecessor.descriptors = []
    named = [(name, socket(fileno=descriptor)) for name, descriptor in zip(answer["listeners"], listening, strict=True)]
    return Claim(path, lock, socket(fileno=control), named, predecessor)


def _is_handed(predecessor: Predecessor, answer: dict[str, Any]) -> bool:
    listeners = answer.get("listeners")
    return isinstance(listeners, list) and len(predecessor.descriptors) == len(listeners) + 2


def _refused(path: str, source: str, locked: bool, answer: dict[str, Any] | None) -> BroadcasterError:
    if answer is not None and answer.get("state") is not None:
        return Running(f"{source}: {answer.get('error')}; stop it first, or use --force")
    if answer is not None or locked:
        return _unclaimable(source, f"another program listens on {path!r}", "stop it, or set another path")
    problem = f"the server that holds {path + '.lock'!r} does not answer at {path!r}"
    return _unclaimable(source, problem, "end that process, or set another path")


def _unwritable(path: str, source: str, error: OSError) -> BroadcasterError:
    problem = f"{path!r} cannot be used ({error.strerror})"
    return _unclaimable(source, problem, "let the user that runs the server write there, or set another path")


def _unclaimable(source: str, problem: str, remedy: str) -> BroadcasterError:
    return Unclaimable(str(ConfigError(source, "server.control", problem, remedy)))
