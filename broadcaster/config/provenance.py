"""Where each value that is in force came from: a file, a variable, or the default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from broadcaster.config.loading import Reading
from broadcaster.config.place import Path, dotted, sensitive, words
from broadcaster.config.schema import keys
from broadcaster.settings import App, Driver

DEFAULT = "default"
HIDDEN = "(hidden)"

_BECOMES = {
    "authHost": ("apps", "auth", "host"),
    "devMode": ("log", "level"),
    "host": ("server", "listen"),
    "port": ("server", "listen"),
    "protocol": ("server", "listen"),
    "databaseConfig": ("driver",),
    "sslCertPath": ("tls", "certificate"),
    "sslKeyPath": ("tls", "key"),
    "sslCertChainPath": ("tls", "chain"),
    "sslPassphrase": ("tls", "passphrase"),
}
"""What the keys that laravel-echo-server's variables set become here."""

_PASSWORD_IN_URL = re.compile(r"(?<=://)([^/?#@]*:)[^/?#]*(?=@)")


@dataclass(frozen=True, slots=True)
class Entry:
    """One value in force; what is secret in it is hidden. ``origin`` names a file, a variable, or `DEFAULT`."""

    key: str
    value: object
    origin: str


def entries(reading: Reading) -> Iterator[Entry]:
    """Every value of ``reading``, table by table in the order of the documentation."""
    for path, value, default in _values(reading.settings, ()):
        yield Entry(dotted(path), _revealed(path, value, reading), _origin(path, value == default, reading))


def _values(table: Struct, path: Path) -> Iterator[tuple[Path, object, object]]:
    """The path, the value and the default of every leaf below ``table``."""
    defaults = {field.name: _default(field) for field in fields(table)}
    for key in keys(type(table)):
        value = getattr(table, key, None)
        if isinstance(value, Struct):
            yield from _values(value, (*path, key))
        elif isinstance(value, tuple) and value and isinstance(value[0], Struct):
            for index, item in enumerate(value):
                yield from _values(item, (*path, key, index))
        elif hasattr(table, key):
            yield (*path, key), value, defaults.get(key, NODEFAULT)
    if isinstance(table, Driver):
        for key, value in table.options.items():
            yield (*path, table.name, key), value, NODEFAULT


def _default(field: FieldInfo) -> object:
    return field.default if field.default_factory is NODEFAULT else field.default_factory()


def _origin(path: Path, as_by_default: bool, reading: Reading) -> str:
    for end in range(len(path), 0, -1):
        if variable := reading.variables.get(path[:end]):
            return variable
    if any(_is_written(spelling, reading.written) for spelling in _spellings(path)):
        return reading.base.source
    foreign = [variable for key, variable in reading.foreign.items() if _becomes(key, path)]
    if foreign:
        return ", ".join(foreign)
    return DEFAULT if as_by_default else reading.base.source


def _spellings(path: Path) -> tuple[Path, ...]:
    """An app's secrets may be written as its only one."""
    return (path, (*path[:-1], "secret")) if path[-1] == "secrets" else (path,)


def _is_written(path: Path, node: object) -> bool:
    for step in path:
        if isinstance(step, int):
            node = node[step] if isinstance(node, list) and step < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    return node is not None


def _becomes(key: Path, path: Path) -> bool:
    ours = _BECOMES[str(key[0])]
    return words(path)[: len(ours)] == ours


def _revealed(path: Path, value: object, reading: Reading) -> object:
    names_file = str(path[-1]).endswith("_file")
    if (sensitive(dotted(path)) and not names_file) or _is_bearer_key(path, reading.settings.apps):
        return HIDDEN if value else value
    if path[:1] == ("apps",) and path[-1] == "headers":
        return HIDDEN if value else value  # what receivers of webhooks are sent, such as Authorization
    if isinstance(value, str):
        return _PASSWORD_IN_URL.sub(rf"\1{HIDDEN}", value)
    return value


def _is_bearer_key(path: Path, apps: tuple[App, ...]) -> bool:
    """Whether it is the key of an app in which the key alone lets publishers in."""
    match path:
        case "apps", int(index), "key":
            return apps[index].bearer
    return False
