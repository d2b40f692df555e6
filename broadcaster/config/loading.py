"""Which configuration is in force: the file that was named, one that was found, or the embedded default."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from broadcaster.apps import Apps
from broadcaster.config import dotenv, echo_environment, echo_json, json, toml
from broadcaster.config.environment import overlay, without_public_names
from broadcaster.config.files import unreadable
from broadcaster.config.place import Path, Place, Tree
from broadcaster.config.schema import read_table
from broadcaster.errors import ConfigError
from broadcaster.settings import EMBEDDED, TLS, Certificate, Settings

TOML = "broadcaster.toml"
ECHO_JSON = "laravel-echo-server.json"

Table = TypeVar("Table", bound=Certificate)

_FILES = ("certificate", "key", "passphrase_file", "chain")

_FIRST_APP = (
    'add [[apps]] with id = "app-id", key = "app-key" and secret = "…", '
    "or set PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The settings in force, and what they were made of.

    ``variables`` says which paths the environment has set; below that stand the paths that ``written`` has, and below
    those ``base``. ``foreign`` says which keys laravel-echo-server's own variables have set, in its own words.
    """

    settings: Settings
    base: Settings
    written: Tree
    variables: Mapping[Path, str]
    foreign: Mapping[Path, str]


def load(config: str | None, directory: str, environ: Mapping[str, str]) -> Settings:
    """The settings in force: those of ``config``, else of the file found in ``directory``, else the embedded default.

    A name that ends in ``.json`` is laravel-echo-server's format. ``environ`` goes over all of them; over that one
    laravel-echo-server's own variables too, and those of the working directory's ``.env``. Raises `ConfigError` for
    whatever is wrong, and reads nothing else but the certificates that laravel-echo-server.json names.
    """
    return read(config, directory, environ).settings


def read(config: str | None, directory: str, environ: Mapping[str, str]) -> Reading:
    """As `load`, for whoever wants to know where a value came from."""
    file = config if config is not None else found(directory)
    beside = os.path.dirname(file) if file is not None else directory
    reading = _read(file, environ)
    return dataclasses.replace(reading, settings=replace(reading.settings, directory="" if beside == "." else beside))


def _read(file: str | None, environ: Mapping[str, str]) -> Reading:
    if file is not None and file.endswith(".json"):
        return _laravel_echo_server(file, environ)
    if file is not None:
        return _overlaid(toml.read(file), environ, Settings(source=file), directory=os.path.dirname(file))
    return _overlaid({}, environ, EMBEDDED)


def found(directory: str) -> str | None:
    """The configuration file in ``directory``, if there is one. Raises `ConfigError` where there is no directory."""
    if not os.path.isdir(directory or "."):
        raise ConfigError(directory, "", "no such directory", "name the one where the configuration is")
    for name in (TOML, ECHO_JSON):
        file = str(pathlib.Path(directory, name))
        if _exists(file):
            return file
    return None


def _laravel_echo_server(file: str, environ: Mapping[str, str]) -> Reading:
    written = json.read(file)
    try:
        variables, unread = dotenv.read() | dict(environ), []
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
        variables, unread = dict(environ), [str(ConfigError(".env", "", problem, "it is left out"))]
    tree, origins = echo_environment.overlay(written, variables)
    base = echo_json.settings(tree, Place(file, origins))
    kept, aside = without_public_names(environ, base.apps)
    return _overlaid({}, kept, replace(base, notes=(*unread, *base.notes, *aside)), origins if tree != written else {})


def _overlaid(
    written: Tree,
    environ: Mapping[str, str],
    base: Settings,
    foreign: Mapping[Path, str] | None = None,
    directory: str = "",
) -> Reading:
    """What ``written`` says over ``base``, and ``environ`` over both; of ``foreign`` ``base`` knows already.

    Relative paths are seen from ``directory``.
    """
    tree, variables = overlay(written, environ, base.driver.name)
    settings = read_table(Settings, tree, Place(base.source, variables), base)
    if not settings.apps:
        raise ConfigError(base.source, "apps", "no app is configured", _FIRST_APP)
    source = f"{base.source} and the environment" if foreign or tree != written else base.source
    Apps(settings.apps, source)
    in_force = replace(settings, source=source, tls=_rooted(settings.tls, directory))
    return Reading(in_force, base, written, variables, foreign or {})


def _rooted(tls: Table, directory: str) -> Table:
    """``tls`` with its files as seen from ``directory``, that of the file which names them."""
    files = {name: getattr(tls, name) for name in _FILES}
    rooted = {name: os.path.abspath(os.path.join(directory, file)) for name, file in files.items() if file is not None}
    if isinstance(tls, TLS):
        return replace(tls, **rooted, hosts=tuple(_rooted(host, directory) for host in tls.hosts))
    return replace(tls, **rooted)


def _exists(file: str) -> bool:
    """Whether there is a directory entry: a dangling link must fail when it is read, not start the default."""
    try:
        os.lstat(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(file, error) from None
    return True
