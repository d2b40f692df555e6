"""The client's end of the control socket: asks the server of a configuration, and tells whether one runs at all."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from typing import Any, Self

import msgspec

from broadcaster.cli.where import Where
from broadcaster.errors import BroadcasterError, ConfigError

PATIENCE = 10.0
"""Seconds within which a server answers that is neither stopped nor overloaded."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

Reply = dict[str, Any]


class NotRunning(BroadcasterError):
    """No server of this configuration runs."""


class Unanswered(BroadcasterError):
    """A server runs but does not answer, or may not be asked, or says no; one line that names the remedy."""


class Control:
    """A conversation with the running server; a context manager. Raises `NotRunning`, `Unanswered` or `ConfigError`."""

    def __init__(self, where: Where) -> None:
        settings = where.load()
        if settings.control_path is None:
            raise ConfigError(
                settings.source, "server.control", "is empty", "name a socket, so that a server can be asked"
            )
        self.path = settings.control_path
        self._heard = b""
        self._link = socket.socket(socket.AF_UNIX)
        self._link.settimeout(PATIENCE)
        try:
            self._link.connect(_shortest(self.path))
        except OSError as error:
            self._link.close()
            raise _unconnected(self.path, error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()

    def ask(self, verb: str, **details: object) -> Reply:
        """What the server answers; what it refuses is raised."""
        try:
            self._link.sendall(_encode({"do": verb, **details}) + b"\n")
        except OSError as error:
            raise self._lost(error) from None
        reply = self.listen()
        if reply is None:
            raise Unanswered(f"{self.path}: the server ended while it was asked; look into its log")
        if reply.get("ok") is not True:
            raise Unanswered(str(reply.get("error", "it refused without a reason")))
        return reply

    def listen(self, patience: float | None = PATIENCE) -> Reply | None:
        """The next thing that it says; None when it has hung up. Without ``patience`` it may take for ever."""
        self._link.settimeout(patience)
        try:
            while b"\n" not in self._heard:
                heard = self._link.recv(65_536)
                if not heard:
                    return None
                self._heard += heard
            line, _, self._heard = self._heard.partition(b"\n")
            return _decode(line)
        except ConnectionResetError:
            return None
        except OSError as error:
            raise self._lost(error) from None
        except msgspec.MsgspecError:
            raise Unanswered(f"{self.path}: another program listens there; stop it, or set server.control") from None

    def _lost(self, error: OSError) -> Unanswered:
        if isinstance(error, TimeoutError):
            return Unanswered(f"{self.path}: the server does not answer; look whether it is stopped or overloaded")
        return Unanswered(f"{self.path}: {error.strerror}; look into the server's log")


def _unconnected(path: str, error: OSError) -> BroadcasterError:
    match error:
        case PermissionError():
            return Unanswered(f"{path}: this user may not ask the server; use the one that runs it")
        case ConnectionRefusedError() if not stat.S_ISSOCK(os.stat(path).st_mode):
            return Unanswered(f"{path}: is there already and is no socket; remove it, or set server.control")
        case FileNotFoundError() | ConnectionRefusedError() if not _is_locked(path):
            return NotRunning(f"no server runs here: nobody listens at {path}")
        case FileNotFoundError() | ConnectionRefusedError():
            return Unanswered(f"{path}: a server holds its lock but does not listen; try again, or end that process")
        case _:
            return Unanswered(f"{path}: {error.strerror}; set server.control to another path")


def _is_locked(path: str) -> bool:
    """Whether a process has the lock that belongs to the socket, such as one that is about to listen."""
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _shortest(path: str) -> str:
    """The kernel takes 107 bytes; a path from here may be shorter than the whole."""
    return min(path, os.path.relpath(path), key=len)
