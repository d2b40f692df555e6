"""Reads a JSON file into a plain tree; whatever prevents it is an error that names the file and the line."""

from __future__ import annotations

import json

from broadcaster.config.files import read_text
from broadcaster.config.place import Tree
from broadcaster.errors import ConfigError

_REMEDY = "text goes in double quotes; JSON has no comments, and no comma after the last item"


def read(file: str) -> Tree:
    """The object that ``file`` holds; of a key that is there twice the last counts. Raises `ConfigError`."""
    return parse(read_text(file), file)


def parse(text: str, file: str) -> Tree:
    """The object in ``text``, which is that of ``file``. Raises `ConfigError`."""
    try:
        found: object = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(file, place, f"is not valid JSON: {error.msg}", _REMEDY) from None
    except RecursionError:
        raise ConfigError(file, "", "is nested too deeply", "nothing in a configuration needs that") from None
    except _NotJson as error:
        raise ConfigError(file, "", f"is not valid JSON: {error}", "write a number") from None
    except ValueError:  # from int(), beyond sys.set_int_max_str_digits
        raise ConfigError(file, "", "a number has thousands of digits", "write one that is meant") from None
    if not isinstance(found, dict):
        raise ConfigError(file, "", "is no JSON object", 'write its keys between braces: {"port": 6001}')
    return found


class _NotJson(ValueError):
    """Python's parser takes words for numbers that JSON does not have."""


def _no_constant(word: str) -> None:
    raise _NotJson(word)
