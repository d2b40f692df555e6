"""Reads a ``.env`` file as Node's dotenv 8 does: no ``export``, no comments behind a value, nothing is replaced.

Whoever wrote the file has seen it work with those rules (github.com/motdotla/dotenv, 8.2.0).
"""

from __future__ import annotations

import re

_LINE = re.compile(r"[\s\ufeff]*([\w.-]+)\s*=\s*(.*?)\s*", re.ASCII)
_QUOTES = ('"', "'")


def read(file: str = ".env") -> dict[str, str]:
    """What ``file`` says; nothing where there is none. Raises `OSError` for one that cannot be read."""
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return parse(stream.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}


def parse(text: str) -> dict[str, str]:
    """The variables that ``text`` sets; the last of the same name counts, and what is no assignment is read over."""
    found = (_LINE.fullmatch(line) for line in re.split(r"\r\n|\r|\n", text))
    return {line[1]: _unquoted(line[2]) for line in found if line is not None}


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in _QUOTES:
        return value
    return value[1:-1].replace("\\n", "\n") if value[0] == '"' else value[1:-1]
