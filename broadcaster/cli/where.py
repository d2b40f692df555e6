"""``--config`` and ``--dir``: which configuration a command is about."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from broadcaster.config import load
from broadcaster.config.loading import found
from broadcaster.errors import ConfigError
from broadcaster.settings import Settings


@dataclass(frozen=True, slots=True)
class Where:
    """A configuration as a command line names it. As in laravel-echo-server `config` is relative to `directory`."""

    config: str | None
    directory: str

    @property
    def file(self) -> str | None:
        """The file that counts, or None for the embedded default. Raises `ConfigError` for a bad directory."""
        if self.config is not None:
            return os.path.join(self.directory, self.config) if self.directory != "." else self.config
        return found(self.directory)

    def load(self) -> Settings:
        """The settings in force. Raises `ConfigError`."""
        return load(self.file, self.directory, os.environ)

    def written(self) -> str:
        """The file, for whoever edits it. Raises `ConfigError` if there is none."""
        file = self.file
        if file is None:
            raise ConfigError(self.directory, "", "there is no configuration", "make one with broadcaster init")
        return file


def configuration(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--config`` and ``--dir``, and as its first argument the `Where` that they make."""

    @click.option("-c", "--config", metavar="FILE", help="Configuration file; else the one found in --dir.")
    @click.option("-d", "--dir", "directory", metavar="DIR", default=".", help="Where to look for the configuration.")
    @functools.wraps(command)
    def with_configuration(config: str | None, directory: str, **options: Any) -> None:
        command(Where(config, directory), **options)

    return with_configuration
