"""Every key from the environment: ``BROADCASTER_<SECTION>_<KEY>``, and Laravel's names for the first app."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import get_origin

from broadcaster.config.header_fields import HEADERS
from broadcaster.config.nearest import Known, suggestion
from broadcaster.config.place import Path, Tree, put, quoted, words
from broadcaster.config.schema import leaves
from broadcaster.errors import ConfigError
from broadcaster.settings import App, Driver

PREFIX = "BROADCASTER_"
LARAVEL = "PUSHER_APP_"

_SECRET: Path = ("apps", 0, "secret")
_SECRETS: Path = ("apps", 0, "secrets")
_BOOLEANS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)

_OTHER_DRIVER = re.compile(r"BROADCASTER_DRIVER_([A-Z0-9]+)_(\w+)", re.ASCII)

# What Kubernetes (kubelet/envvars, after Docker's links) sets in every pod beside a service named broadcaster or
# broadcaster-<something>. The port is told from a mistaken key by its value, an address.
_SERVICE_LINK = re.compile(
    r"BROADCASTER_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))=.*"
    r"|BROADCASTER_(\w+_)?PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://.*",
    re.ASCII | re.DOTALL,
)


def variables() -> dict[str, tuple[Path, object]]:
    """The variables that set a key, the path and the type of each."""
    known = {PREFIX + "_".join(words(path)).upper(): (path, kind) for path, kind in leaves()}
    laravel = {LARAVEL + key: known[f"{PREFIX}APPS_{key}"] for key in ("ID", "KEY", "SECRET")}
    return laravel | known


def overlay(tree: Tree, environ: Mapping[str, str], driver: str = Driver().name) -> tuple[Tree, dict[Path, str]]:
    """``tree`` with what ``environ`` says put over it, and which variable it was that set a path.

    ``driver`` is the one unless something else is said. A value that is not what its key wants stays text, for the
    reader of the tree to refuse. Raises `ConfigError` for a variable that looks like ours and is not.
    """
    known = variables()
    origins: dict[Path, str] = {}
    unknown: list[str] = []
    for variable in sorted(environ, reverse=True):  # backwards: Laravel's come first, so that ours win
        text = environ[variable]
        if variable.startswith(LARAVEL) and not text:
            continue  # as Laravel's .env.example has them
        if variable in known:
            path, kind = known[variable]
            value = typed(_decoded(variable, text), kind)
            if path == _SECRET:
                path, value = _SECRETS, [value]
            if origins.get(path, "").startswith(PREFIX):
                raise ConfigError("environment", variable, f"is set besides {origins[path]}", "keep one of the two")
            tree = put(tree, path, value)
            origins[path] = variable
        elif variable.startswith(PREFIX):
            unknown.append(variable)
    if _SECRETS in origins:
        tree = put(tree, _SECRET, None)
    return _with_driver_options(tree, driver, origins, {variable: environ[variable] for variable in unknown}), origins


def without_public_names(environ: Mapping[str, str], apps: Iterable[App]) -> tuple[Mapping[str, str], list[str]]:
    """``environ`` without Laravel's id and key, and a note for each, if the first app has a bearer key.

    Laravel gives its key to every page, and a page that has the bearer key can publish.
    """
    first = next(iter(apps), None)
    if first is None or not first.bearer:
        return environ, []
    named = {f"{LARAVEL}ID": ("clients[0].appId", first.id), f"{LARAVEL}KEY": ("clients[0].key", first.key)}
    aside = f"is not used: {{}} stands, since Laravel's key is public; {PREFIX}APPS_{{}} would win"
    notes = [
        str(ConfigError("environment", variable, aside.format(key, variable.removeprefix(LARAVEL))))
        for variable, (key, value) in named.items()
        if environ.get(variable, value) not in ("", value)
    ]
    return {variable: text for variable, text in environ.items() if variable not in named}, notes


def _with_driver_options(tree: Tree, driver: str, origins: dict[Path, str], given: Mapping[str, str]) -> Tree:
    """``tree`` with those of the variables that are options of drivers; they may be called anything."""
    table = tree.get("driver")
    name = table.get("name", driver) if isinstance(table, dict) else driver
    own = f"{PREFIX}DRIVER_{re.sub('[^A-Z0-9]', '_', str(name).upper())}_"
    for variable, text in given.items():
        if variable.startswith(own) and variable != own:
            path: Path = ("driver", str(name), variable.removeprefix(own).lower())
        elif other := _OTHER_DRIVER.fullmatch(variable):
            path = ("driver", other[1].lower(), other[2].lower())
        elif _SERVICE_LINK.fullmatch(f"{variable}={text}"):
            continue
        else:
            raise ConfigError("environment", _printable(variable), "unknown variable", _suggestion(variable))
        tree = put(tree, path, _decoded(variable, text))
        origins[path] = variable
    return tree


def _suggestion(variable: str) -> str:
    ours = [name for name in variables() if name.startswith(PREFIX)]
    return suggestion(variable.removeprefix(PREFIX), [Known(name, name.removeprefix(PREFIX)) for name in ours])


def typed(text: str, kind: object) -> object:
    """``text`` as TOML would have it; as it is where it cannot be ``kind``."""
    if get_origin(kind) is tuple:
        return [item.strip() for item in text.split(",") if item.strip()]
    if kind is bool:
        return _BOOLEANS.get(text.strip().lower(), text)
    if kind == HEADERS:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    if kind is int or kind is float:
        try:
            return int(text) if kind is int else float(text)
        except ValueError:
            return text
    return text


def _decoded(variable: str, text: str) -> str:
    """``text``, unless the process was given bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError("environment", _printable(variable), "is not valid UTF-8", "set it to text") from None
    return text


def _printable(variable: str) -> str:
    return variable if variable.isprintable() else quoted(variable)
