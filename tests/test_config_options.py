"""The options of a driver: what its table may hold, from a file or from the environment."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from msgspec import Struct

from broadcaster.config.options import read_options
from broadcaster.errors import ConfigError


class Options(Struct, frozen=True, kw_only=True):
    """Of a driver of the test's."""

    url: str
    size: int = 3
    seconds: float = 1
    eager: bool = False
    names: tuple[str, ...] = ()
    policy: Literal["drop", "refuse"] = "drop"


FULL = Options(url="x", size=7, seconds=0.5, eager=True, names=("a", "b"), policy="refuse")


@pytest.mark.parametrize(
    "written",
    (
        {"url": "x", "size": 7, "seconds": 0.5, "eager": True, "names": ["a", "b"], "policy": "refuse"},
        {"url": "x", "size": "7", "seconds": "0.5", "eager": "on", "names": "a, b", "policy": "refuse"},
    ),
    ids=("typed", "text"),
)
def test_options_are_read_typed_or_as_text(written: dict[str, Any]) -> None:
    assert read_options(Options, written, "mine") == FULL


def test_what_is_left_out_is_as_the_struct_says() -> None:
    assert read_options(Options, {"url": "x"}, "mine") == Options(url="x")


@pytest.mark.parametrize(
    ("written", "line"),
    (
        ({}, "driver.mine.url: is missing; add url"),
        ({"url": "x", "sise": 1}, "driver.mine.sise: unknown key; did you mean driver.mine.size?"),
        ({"url": "x", "size": "many"}, 'driver.mine.size: expected an integer, got a string "many"'),
        ({"url": "x", "size": -1}, "driver.mine.size: expected 0 or more, got an integer -1"),
        ({"url": "x", "eager": 1}, "driver.mine.eager: expected true or false, got an integer 1"),
        ({"url": "x", "policy": "wait"}, 'driver.mine.policy: expected "drop" or "refuse", got a string "wait"'),
    ),
)
def test_what_cannot_be_meant_is_one_line_that_names_the_key(written: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(Options, written, "mine")
    assert line in str(caught.value)
