"""Where log lines go and how they look: text for people, JSON for machines, from one level upwards."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from io import FileIO
from typing import IO, Any, cast

import msgspec
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    formatEvent,
    formatTime,
)
from twisted.python.logfile import LogFile
from zope.interface import implementer

from broadcaster.settings import Log

_json = msgspec.json.Encoder(enc_hook=str).encode


def observer(log: Log, twistd: Mapping[str, Any]) -> Observer | None:
    """An observer by ``log``, writing where twistd's own options say; None if those ask for another kind."""
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    return Observer(log, _destination(twistd))


@implementer(ILogObserver)
class Observer:
    """Writes lines to a file. A line that cannot be written is lost, and nothing else: a full disk stops no server."""

    def __init__(self, log: Log, file: IO[Any] | LogFile) -> None:
        self._file = file
        self._failed = False
        self.adopt(log)

    def adopt(self, log: Log) -> None:
        """Write by ``log`` from now on."""
        write = _as_json if log.format == "json" else _as_text
        threshold = LogLevelFilterPredicate(LogLevel.levelWithName(log.level))
        self._observe: Any = FilteringLogObserver(FileLogObserver(cast("IO[Any]", self._file), write), [threshold])

    def __call__(self, event: LogEvent) -> None:
        """See `ILogObserver`."""
        try:
            self._observe(event)
        except OSError as error:
            self._complain(error.strerror or str(error))
        except ValueError as error:
            # A file that grew too large was closed, and there was no room for the next.
            self._complain(str(error))
            if isinstance(self._file, LogFile):
                with suppress(OSError):
                    self._file.reopen()
        else:
            self._failed = False

    def _complain(self, reason: str) -> None:
        # Twisted's own sys.stderr is the log.
        if self._failed or sys.__stderr__ is None:
            return
        self._failed = True
        name = getattr(self._file, "path", "standard output")
        with suppress(OSError, ValueError):
            line = f"broadcaster: {name}: the log cannot be written ({reason}); make room, or log elsewhere\n"
            sys.__stderr__.write(line)
            sys.__stderr__.flush()


def _destination(twistd: Mapping[str, Any]) -> IO[Any] | LogFile:
    name = twistd.get("logfile") or ""
    if name == "-" or (not name and twistd.get("nodaemon")):
        return _unbuffered(sys.stdout)
    file: LogFile = LogFile.fromFullPath(name or "twistd.log")
    return file


def _unbuffered(stream: IO[Any]) -> IO[Any]:
    """What could not be written must not be tried again when the process ends: its exit status would be 120."""
    try:
        return cast("IO[Any]", FileIO(stream.fileno(), "w", closefd=False))
    except OSError:
        return stream


def _as_text(event: LogEvent) -> str | None:
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    if not text:
        return None
    line = f"{formatTime(event['log_time'])} {_level(event):<5} {_system(event)}: {text}\n".replace("\n\n", "\n")
    return _encodable(line)


def _as_json(event: LogEvent) -> str | None:
    text = formatEvent(event)
    failure = event.get("log_failure")
    if not text and failure is None:
        return None
    line: dict[str, object] = {
        "time": formatTime(event["log_time"]),
        "level": _level(event),
        "system": _system(event),
        "message": text,
    }
    if failure is not None:
        line["failure"] = failure.getTraceback()
    for key, value in event.items():
        if not key.startswith("log_") and isinstance(value, str | int | float | bool) and key not in line:
            line[key] = value
    encodable = {key: _encodable(value) if isinstance(value, str) else value for key, value in line.items()}
    return _json(encodable).decode() + "\n"


def _encodable(text: str) -> str:
    # File names and the errors about them may hold what is no character; the line about it must not be lost.
    return text.encode(errors="backslashreplace").decode()


def _level(event: LogEvent) -> str:
    return str(event["log_level"].name)


def _system(event: LogEvent) -> str:
    return str(event.get("log_system") or event.get("log_namespace") or "-").removeprefix("broadcaster.")
