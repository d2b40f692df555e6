"""Which configuration is in force: the file that was named, one that was found, or the embedded default."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

from msgspec.structs import replace

from broadcaster.apps import Apps
from broadcaster.config import toml
from broadcaster.config.environment import overlay
from broadcaster.config.place import Place, Tree
from broadcaster.config.schema import read_table
from broadcaster.errors import ConfigError
from broadcaster.settings import EMBEDDED, Settings

TOML = "broadcaster.toml"
ECHO_JSON = "laravel-echo-server.json"

_FIRST_APP = (
    'add [[apps]] with id = "app-id", key = "app-key" and secret = "…", '
    "or set PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET"
)


def load(config: str | None, directory: str, environ: Mapping[str, str]) -> Settings:
    """The settings in force: those of ``config``, else of the file found in ``directory``, else the embedded default.

    ``environ`` goes over all of them. Raises `ConfigError` for whatever is wrong, and reads nothing else.
    """
    file = config if config is not None else _found(directory)
    written: Tree = {} if file is None else _read(file)
    base, source = (EMBEDDED, EMBEDDED.source) if file is None else (Settings(), file)

    tree, variables = overlay(written, environ)
    settings = read_table(Settings, tree, Place(source, variables), base)
    if not settings.apps:
        raise ConfigError(source, "apps", "no app is configured", _FIRST_APP)
    if tree != written:
        source = f"{source} and the environment"
    Apps(settings.apps, source)
    return replace(settings, source=source)


def _read(file: str) -> Tree:
    if file.endswith(".json"):
        raise ConfigError(file, "", "JSON is not read by this version yet", f"write the same settings into {TOML}")
    return toml.read(file)


def _found(directory: str) -> str | None:
    if not os.path.isdir(directory or "."):
        raise ConfigError(directory, "", "no such directory", "name the one where the configuration is")
    for name in (TOML, ECHO_JSON):
        file = str(pathlib.Path(directory, name))
        if _exists(file):
            return file
    return None


def _exists(file: str) -> bool:
    """Whether there is a directory entry: a dangling link must fail when it is read, not start the default."""
    try:
        os.lstat(file)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise toml.unreadable(file, error) from None
    return True
