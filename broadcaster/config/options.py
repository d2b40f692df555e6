"""A driver's own table, read as strictly as the tables of the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct

from broadcaster.config.environment import typed
from broadcaster.config.nearest import Known, suggestion
from broadcaster.config.place import Place
from broadcaster.config.schema import keys, read_table

Table = TypeVar("Table", bound=Struct)


def read_options(struct: type[Table], options: Mapping[str, Any], driver: str) -> Table:
    """``[driver.<driver>]`` as ``struct`` describes it: its fields are the keys, with their types and defaults.

    Text does for a number, a switch or a list as well, since an environment variable has nothing else. Raises
    `ConfigError`, which names the key, for whatever else there is.
    """
    place = Place("configuration", {}, ("driver", driver))
    kinds = keys(struct)
    for key in options:
        if key not in kinds:
            known = [Known(f"driver.{driver}.{name}", name, True) for name in kinds]
            raise place.at(key).error("unknown key", suggestion(key, known) if known else "it has no options")
    values = {key: typed(value, kinds[key]) if isinstance(value, str) else value for key, value in options.items()}
    return read_table(struct, values, place)
