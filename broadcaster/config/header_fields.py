"""HTTP header fields that a configuration adds to answers: what is none is refused before it is sent (RFC 9110 §5)."""

from __future__ import annotations

import re

from broadcaster.config.loose import texts
from broadcaster.config.place import Place

HEADERS = dict[str, str]
"""The type of a key that holds such fields."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def header_fields(found: object, place: Place) -> dict[str, str]:
    """Names and values; what has no value (JSON's null) is left out."""
    if not isinstance(found, dict):
        raise place.unexpected("a table of strings", found, reveal=False)
    for name in found:
        if not _NAME.fullmatch(name):
            raise place.at(name).error("is no name of a header", "use letters, digits and dashes")
    return {name: header_value(value, place.at(name)) for name, value in found.items() if value is not None}


def header_value(value: object, place: Place) -> str:
    """A string, or a list that is sent as one."""
    line = ", ".join(texts(value, place))
    if not _VALUE.fullmatch(line):
        raise place.error("cannot be sent in a header", "use one line of Latin letters, digits and signs")
    return line
