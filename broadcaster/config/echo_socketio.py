"""``socketio`` of laravel-echo-server.json: the options of socket.io 2 that mean something here."""

from __future__ import annotations

import re

from broadcaster.config.echo_keys import Keys
from broadcaster.config.loose import number, switch, text, texts, wanted
from broadcaster.config.place import Place, quoted
from broadcaster.settings import SHORTEST_BEAT, SocketIO


def engine(keys: Keys) -> SocketIO:
    """Engine.IO's part of it. Zero is no time and no size: the original has ``opts.pingTimeout || …``."""
    default = SocketIO()
    found = SocketIO(
        path=keys.take("path", _path, default.path),
        ping_interval=_beat(keys, "pingInterval", default.ping_interval),
        ping_timeout=_beat(keys, "pingTimeout", default.ping_timeout),
        max_bytes=int(keys.take("maxHttpBufferSize", number, 0.0)) or default.max_bytes,
        transports=_transports(keys, default.transports),
        upgrades=keys.take("allowUpgrades", switch, True),
        cookie=_cookie(keys),
    )
    for option in ("httpCompression", "serveClient"):
        if not keys.take(option, wanted, True):
            keys.note(option, "is left out: it cannot be switched off")
    keys.leave()
    return found


def origins(value: object, place: Place) -> tuple[str, ...]:
    """Whose pages may connect, as ``server.origins`` has it, which knows all the forms that there are here."""
    found = [origin for entry in texts(value, place) for origin in re.split(r"[\s,]+", entry) if origin]
    return tuple(found) if found and {"*", "*:*"}.isdisjoint(found) else ("*",)


def _beat(keys: Keys, key: str, default: float) -> float:
    seconds = keys.take(key, number, 0.0) / 1000 or default
    if seconds < SHORTEST_BEAT:
        keys.note(key, f"is taken for {SHORTEST_BEAT * 1000:g}: that is the shortest that there is")
    return max(seconds, SHORTEST_BEAT)


def _path(value: object, place: Place) -> str:
    path = text(value, place)
    if not path:
        return SocketIO().path
    if not path.startswith("/") or not path.strip("/"):
        raise place.unexpected("a path below /", value, 'write it as "/socket.io"')
    return path.removesuffix("/")


def _transports(keys: Keys, known: tuple[str, ...]) -> tuple[str, ...]:
    named = keys.take("transports", texts, known)
    for transport in named:
        if transport not in known:
            keys.note("transports", f"{quoted(transport)} is left out: there is no such transport")
    found = tuple(transport for transport in known if transport in named)
    if not found:
        raise keys.at("transports").error("names no transport that there is", 'name "polling", "websocket" or both')
    return found


def _cookie(keys: Keys) -> bool:
    """Text is the cookie's name there, and no text means "io"."""
    named = keys.take("cookie", _name, "io")
    if named not in ("", "io"):
        keys.note("cookie", "is taken for true: the cookie is called io")
    return named != ""


def _name(value: object, place: Place) -> str:
    if isinstance(value, str):
        return value or "io"
    return "io" if switch(value, place) else ""
