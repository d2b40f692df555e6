"""Reads a TOML file into a plain tree; whatever prevents it is an error that names the file and the line."""

from __future__ import annotations

import re
import tomllib

from broadcaster.config.files import read_text
from broadcaster.config.place import Tree
from broadcaster.errors import ConfigError

_PLACED = re.compile(r"(?P<problem>.*) \(at (?P<place>.*)\)", re.DOTALL)
_REMEDIES = {
    "Invalid value": "text goes in double quotes, true and false in small letters, lists in brackets",
    "Cannot overwrite a value": "the key is there twice, keep one",
    "Cannot declare": "the table is there twice, make them one",
    "Expected '=' after a key": 'write key = "value"',
}


def read(file: str) -> Tree:
    """The tables of ``file``. Raises `ConfigError`."""
    return parse(read_text(file), file)


def parse(text: str, file: str) -> Tree:
    """The tables in ``text``, which ``file`` says or is to say. Raises `ConfigError`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(file, str(error)) from None
    except RecursionError:
        raise ConfigError(file, "", "is nested too deeply", "nothing in a configuration needs that") from None
    except ValueError:  # from int(), beyond sys.set_int_max_str_digits
        raise ConfigError(file, "", "a number has thousands of digits", "write one that is meant") from None


def _invalid(file: str, message: str) -> ConfigError:
    placed = _PLACED.fullmatch(message)
    problem, place = placed.group("problem", "place") if placed else (message, "")
    remedy = next((remedy for start, remedy in _REMEDIES.items() if problem.startswith(start)), "see https://toml.io")
    return ConfigError(file, place, f"is not valid TOML: {problem}", remedy)
