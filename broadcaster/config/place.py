"""Where a value stands in the configuration, and errors that point there without betraying a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from broadcaster.errors import ConfigError

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indices from the top: ``("apps", 0, "secret")``."""

Tree: TypeAlias = dict[str, object]
"""A table as a reader found it: scalars, lists and further tables."""

LARGEST_INTEGER = 2**63 - 1

_SENSITIVE = re.compile("secret|pass|token|credential", re.IGNORECASE)
_BARE_KEY = re.compile("[A-Za-z0-9_-]{1,80}", re.ASCII)
_TYPES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A path in ``source``; ``variables`` says which paths the environment has set, and with which variable."""

    source: str
    variables: Mapping[Path, str] = field(default_factory=dict)
    path: Path = ()

    def at(self, step: str | int) -> Place:
        """The place of a key, or of an index, below this one."""
        return replace(self, path=(*self.path, step))

    def error(self, problem: str, remedy: str = "") -> ConfigError:
        """An error that names the key in its file, or the variable that the value came from."""
        source, key = self._name()
        return ConfigError(source, key, problem, remedy)

    def unexpected(self, expected: str, value: object, remedy: str = "", reveal: bool = True) -> ConfigError:
        """An error that says what should stand here and what does; of a secret, or not to ``reveal``, only its type."""
        found = _TYPES.get(type(value), "a date or time")
        if reveal and not sensitive(self._name()[1]):
            found += _shown(value)
        return self.error(f"expected {expected}, got {found}", remedy)

    def _name(self) -> tuple[str, str]:
        for end in range(len(self.path), 0, -1):
            if variable := self.variables.get(self.path[:end]):
                return "environment", variable
        return self.source, dotted(self.path)


def sensitive(key: str) -> bool:
    """Whether what stands at ``key`` is nobody's business."""
    return _SENSITIVE.search(key) is not None


def words(path: Path) -> tuple[str, ...]:
    """The keys of ``path`` without its indices: the same for every item of a list."""
    return tuple(step for step in path if isinstance(step, str))


def dotted(path: Path) -> str:
    """``apps[0].secret``, with quotes around what TOML would want quoted."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (step if _BARE_KEY.fullmatch(step) else quoted(step))
    return text


def quoted(text: str) -> str:
    """``text`` in quotes, cut to a readable length, and with nothing in it that a terminal would obey."""
    short = text if len(text) <= 40 else text[:39] + "…"
    return json.dumps(short, ensure_ascii=not short.isprintable())


def put(table: Tree, path: Path, value: object) -> Tree:
    """A copy of ``table`` with ``value`` at ``path``. What is in the way stays, for whoever reads it to refuse."""
    key = str(path[0])
    return {**table, key: _put_below(table.get(key), path[1:], value)}


def _put_below(node: object, path: Path, value: object) -> object:
    if not path:
        return value
    if isinstance(path[0], int):
        items = [] if node is None else node
        if not isinstance(items, list):
            return node
        return [_put_below(items[0] if items else None, path[1:], value), *items[1:]]
    table = {} if node is None else node
    return put(table, path, value) if isinstance(table, dict) else node


def _shown(value: object) -> str:
    match value:
        case bool():
            return " true" if value else " false"
        case int():
            return f" {value}" if abs(value) <= LARGEST_INTEGER else " beyond 64 bits"
        case float():
            return f" {value}"
        case str():
            return f" {quoted(value)}"
        case _:
            return ""
