"""The options of drivers are documented with their defaults, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from broadcaster.drivers.pusher.options import Options as Pusher

DOCS = Path(__file__).parents[1] / "docs"

WORDS = {NODEFAULT: "–", "": ("none", "Pusher's, by the cluster"), 0: "by the scheme", (): ("none", "all")}


def rows(document: str) -> dict[str, str]:
    """Each option's default, as the table of all options has it."""
    text = (DOCS / document).read_text().partition("## All options")[2]
    table = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", text, re.MULTILINE)
    return {name: default for names, default in table for name in re.findall(r"\w+", names)}


@pytest.mark.parametrize(("document", "options"), (("leaving-pusher.md", Pusher),))
def test_every_option_is_told_with_its_default(document: str, options: type[Struct]) -> None:
    told = rows(document)
    assert list(told) == [field.name for field in fields(options)]
    for field in fields(options):
        default = field.default
        words = WORDS.get(default) if not isinstance(default, bool) else None
        expected = words or f"`{str(default).lower() if isinstance(default, bool) else default}`"
        assert told[field.name] in expected if isinstance(expected, tuple) else told[field.name] == expected
