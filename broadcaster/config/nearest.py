"""What a mistyped key was probably meant to be."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

_ALIKE = 0.7  # difflib's own 0.6 takes "port" for "format"


class Known(NamedTuple):
    """Something that could have been meant: its full name, the word that is compared, whether it stands close by."""

    name: str
    word: str
    near: bool = False


def suggestion(wrong: str, known: Sequence[Known]) -> str:
    """A remedy that names the nearest of ``known``; of equals the one close by, then the one that comes first."""
    best = max(known, key=lambda each: _likeness(wrong, each.word) + each.near / 10)
    if _likeness(wrong, best.word) >= _ALIKE:
        return f"did you mean {best.name}?"
    close_by = [each for each in known if each.near] or known
    nearest = max(close_by, key=lambda each: _likeness(wrong, each.word))
    return f"the nearest that is known is {nearest.name}"


def _likeness(wrong: str, right: str) -> float:
    """Between 0 and 1; dashes and capitals, as other formats spell keys, make no difference."""
    return SequenceMatcher(None, right.lower(), wrong[:80].lower().replace("-", "_")).ratio()
