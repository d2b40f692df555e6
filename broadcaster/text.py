"""Published data as the text that it stays all the way: JSON that is never parsed cannot be changed by us."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, UnsetType

UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError)
"""What reading somebody's JSON may raise: broken, too deep, or not UTF-8."""

_BLANKS = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\n\r]+')
_string = msgspec.json.Decoder(str).decode


def text_of(data: Raw | UnsetType) -> str:
    """Published data as text: a JSON string is what it says, any other value its JSON without blanks, absent null.

    Numbers and escapes stay as they were written, since nothing is parsed. Raises `UNREADABLE` for what is no text.
    """
    raw = b"null" if isinstance(data, UnsetType) else bytes(data).strip()
    if raw[:1] == b'"':
        return _string(raw)
    return _BLANKS.sub(rb"\1", raw).decode()
