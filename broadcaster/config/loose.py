"""What a single value may be where JavaScript read it: numbers may be text, text may be a number, one may be many."""

from __future__ import annotations

import re
from math import isfinite

from broadcaster.config.place import LARGEST_INTEGER, Place
from broadcaster.config.scalars import READERS

_NUMBER = re.compile(r"\s*-?[0-9]+(\.[0-9]+)?\s*")
_SWITCHES = {"true": True, "1": True, "false": False, "0": False, "": False}


def text(value: object, place: Place) -> str:
    """A string, or a number as JavaScript writes it; an error never tells what stands there."""
    match value:
        case str():
            return _encodable(value, place)
        case float() if isfinite(value) and not value.is_integer():
            return repr(value)
        case int() | float() if not isinstance(value, bool) and -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
            return str(int(value))
        case _:
            raise place.unexpected("a string", value, reveal=False)


def texts(value: object, place: Place) -> tuple[str, ...]:
    """A list of strings, or a single one."""
    if not isinstance(value, list):
        return (text(value, place),)
    return tuple(text(item, place.at(index)) for index, item in enumerate(value))


def number(value: object, place: Place) -> float:
    """A number that is not negative, or the text of one."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    found = READERS[float](value, place)
    assert isinstance(found, int | float)
    return found


def switch(value: object, place: Place) -> bool:
    """True or false, or the text or the number that means it."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str | int):
        found = _SWITCHES.get(str(value).strip().lower())
        if found is not None:
            return found
    raise place.unexpected("true or false", value)


def wanted(value: object, place: Place) -> bool:
    """As `switch`; options in its place mean that it is wanted."""
    return isinstance(value, dict) or switch(value, place)


def exactly_true(value: object, place: Place) -> bool:
    """Whether it is true, or says so; everything else means no."""
    return value is True or value == "true"


def _encodable(value: str, place: Place) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise place.error("is not valid UTF-8", "write it as text") from None
    return value
