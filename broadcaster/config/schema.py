"""Turns a plain tree into the structs of `broadcaster.settings`: what they have is what a configuration may say."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Literal, TypeGuard, TypeVar, Union, get_args, get_origin

from msgspec import Struct
from msgspec.structs import fields, replace

from broadcaster.config.header_fields import HEADERS, header_fields
from broadcaster.config.nearest import Known, suggestion
from broadcaster.config.place import Path, Place, Tree, words
from broadcaster.config.scalars import READERS
from broadcaster.settings import App, Driver, Settings

Table = TypeVar("Table", bound=Struct)

_NEVER_EMPTY = ("listen", "secrets")


def keys(struct: type[Struct]) -> dict[str, object]:
    """The keys that a table of ``struct`` may have, and their types.

    They are its fields, but for what is written otherwise than it is kept: an app's only secret, a driver's
    options (tables beside its name), and ``source``, ``notes`` and ``directory``, which nobody writes.
    """
    kinds = {field.name: _without_none(field.type) for field in fields(struct)}
    if struct is Settings:
        del kinds["source"], kinds["notes"], kinds["directory"]
    elif struct is Driver:
        del kinds["options"], kinds["others"], kinds["presumed"]
    elif struct is App:
        kinds["secret"] = str
    return kinds


def leaves(struct: type[Struct] = Settings, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every key that holds a value, by its path, and its type; of a list of tables the first stands for all."""
    for key, kind in keys(struct).items():
        if _is_table(kind):
            yield from leaves(kind, (*path, key))
        elif _is_table(item := _item(kind)):
            yield from leaves(item, (*path, key, 0))
        else:
            yield (*path, key), kind


def read_table(struct: type[Table], found: object, place: Place, base: Table | None = None) -> Table:
    """``struct`` as the table ``found`` describes it; what the table leaves out is as in ``base``.

    A key without a value (JSON's null) is left out. Raises `ConfigError` for anything that cannot be meant.
    """
    table = _table(found, place)
    values = _driver(table, place, base) if struct is Driver else _values(struct, table, place, base)
    if struct is App:
        _only_secret(values, place)
    if base is not None:
        return replace(base, **values)
    for field in fields(struct):
        if field.required and field.name not in values:
            name = "secret" if field.name == "secrets" else field.name
            raise place.at(name).error("is missing", f'add {name} = "…"')
    return struct(**values)


def _table(found: object, place: Place, remedy: str = "") -> Tree:
    if not isinstance(found, dict):
        raise place.unexpected("a table", found, remedy, reveal=False)
    return {key: value for key, value in found.items() if value is not None}


def _values(struct: type[Struct], table: Tree, place: Place, base: object) -> Tree:
    kinds = keys(struct)
    for key in table:
        if key not in kinds:
            raise place.at(key).error("unknown key", _suggestion(place.path, key))
    return {key: _read(kinds[key], value, place.at(key), getattr(base, key, None)) for key, value in table.items()}


def _driver(table: Tree, place: Place, base: object) -> Tree:
    """The driver's name, the table of that name, and the tables of the other drivers."""
    values = _values(Driver, {key: value for key, value in table.items() if key == "name"}, place, base)
    name = values.get("name", getattr(base, "name", Driver().name))
    others: Tree = {}
    kept = base.options if isinstance(base, Driver) and base.name == name else {}
    if isinstance(base, Driver):
        values["options"] = kept
    for key, value in table.items():
        if key == "name":
            continue
        if key == name:
            values["options"] = kept | _table(value, place.at(key), f"its options go under [driver.{key}]")
        elif isinstance(value, dict):
            others[key] = value
        else:
            remedy = f"did you mean driver.name? a driver's options go into its own table, [driver.{name}]"
            raise place.at(key).error("unknown key", remedy)
    if others:
        values["others"] = others
    return values


def _only_secret(values: Tree, place: Place) -> None:
    """An app has one secret, or while it changes several; both are kept as several."""
    if "secret" in values:
        if "secrets" in values:
            raise place.at("secret").error("is given besides secrets", "keep one of the two")
        values["secrets"] = (values.pop("secret"),)


def _read(kind: object, value: object, place: Place, base: object) -> object:
    """``value`` as ``kind``: a table, a list of something, or a scalar."""
    if _is_table(kind):
        return read_table(kind, value, place, base if isinstance(base, kind) else None)
    if get_origin(kind) is tuple:
        return _read_list(_item(kind), value, place, base if isinstance(base, tuple) else ())
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        if value not in choices:
            *others, last = (f'"{choice}"' for choice in choices)
            raise place.unexpected(f"{', '.join(others)} or {last}", value)
        return value
    if kind == HEADERS:
        return header_fields(value, place)
    return READERS[kind](value, place)


def _read_list(item: object, value: object, place: Place, base: tuple[object, ...]) -> tuple[object, ...]:
    key = place.path[-1]
    if not isinstance(value, list):
        if _is_table(item):
            raise place.unexpected("a list of tables", value, f"write [[{key}]]", reveal=False)
        raise place.unexpected("a list of strings", value, f'write {key} = ["…"]')
    if not value and key in _NEVER_EMPTY:
        raise place.error("is empty", "give at least one")
    bases = (*base, *[None] * len(value))
    rest = base[len(value) :] if _is_table(item) else ()
    return (*(_read(item, each, place.at(index), bases[index]) for index, each in enumerate(value)), *rest)


def _suggestion(table: Path, key: str) -> str:
    """Where ``key`` most likely belongs: in its own table or, if nothing there resembles it, in another."""
    names = [words(path) for path, _ in leaves()]
    known = dict.fromkeys(name[:end] for name in names for end in range(1, len(name) + 1))
    return suggestion(key, [Known(".".join(name), name[-1], name[:-1] == words(table)) for name in known])


def _is_table(kind: object) -> TypeGuard[type[Struct]]:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _item(kind: object) -> object:
    """The type of a list's items; None for what is no list."""
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _without_none(kind: object) -> object:
    if get_origin(kind) in (Union, UnionType):
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
    return kind
