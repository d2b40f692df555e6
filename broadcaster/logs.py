"""Where log lines go and how they look: text for people, JSON for machines, from one level upwards."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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

from broadcaster.settings import Log

_json = msgspec.json.Encoder(enc_hook=str).encode


def observer(log: Log, twistd: Mapping[str, Any]) -> ILogObserver | None:
    """An observer by ``log``, writing where twistd's own options say; None if those ask for another kind."""
    if twistd.get("syslog") or twistd.get("logger"):
        return None
    write = _as_json if log.format == "json" else _as_text
    threshold = LogLevelFilterPredicate(LogLevel.levelWithName(log.level))
    return cast(ILogObserver, FilteringLogObserver(FileLogObserver(_destination(twistd), write), [threshold]))


def _destination(twistd: Mapping[str, Any]) -> IO[Any]:
    name = twistd.get("logfile") or ""
    if name == "-" or (not name and twistd.get("nodaemon")):
        return sys.stdout
    return cast("IO[Any]", LogFile.fromFullPath(name or "twistd.log"))


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
