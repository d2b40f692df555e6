"""What a single value may be: text, a switch, a count, a time."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import TypeVar

from broadcaster.config.place import LARGEST_INTEGER, Place
from broadcaster.settings import SHORTEST_BEAT

Number = TypeVar("Number", int, float)

_LEAST = {"activity_timeout": 1, "ping_interval": SHORTEST_BEAT, "ping_timeout": SHORTEST_BEAT}


def _string(value: object, place: Place) -> str:
    if not isinstance(value, str):
        raise place.unexpected("a string", value, "" if isinstance(value, list | dict) else "put it in quotes")
    if not value.strip():
        raise place.error("is empty", "take it out" if isinstance(place.path[-1], int) else "give it a value")
    return value


def _boolean(value: object, place: Place) -> bool:
    if not isinstance(value, bool):
        raise place.unexpected("true or false", value, _unquoted(value, "true|false"))
    return value


def _integer(value: object, place: Place) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise place.unexpected("an integer", value, _unquoted(value, "-?[0-9]+"))
    return _bounded(value, place)


def _number(value: object, place: Place) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise place.unexpected("a number", value, _unquoted(value, "-?[0-9]+([.][0-9]+)?"))
    if isinstance(value, float) and not isfinite(value):
        raise place.unexpected("a finite number", value)
    return _bounded(value, place)


def _bounded(value: Number, place: Place) -> Number:
    """Nothing here counts below nothing, and nothing that is handed a number takes more than 64 bits."""
    least = _LEAST.get(str(place.path[-1]), 0)
    if value < least:
        raise place.unexpected(f"{least} or more", value)
    if value > LARGEST_INTEGER:
        raise place.unexpected(f"{LARGEST_INTEGER} or less", value)
    return value


def _unquoted(value: object, wanted: str) -> str:
    return "write it without quotes" if isinstance(value, str) and re.fullmatch(wanted, value) else ""


READERS: dict[object, Callable[[object, Place], object]] = {
    str: _string,
    bool: _boolean,
    int: _integer,
    float: _number,
}
"""By type: the value as it is, or `ConfigError`."""
