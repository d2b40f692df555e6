"""Adds and removes apps in a configuration file, in place; of several processes one after the other."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from broadcaster.cli import json_apps, toml_apps
from broadcaster.cli.credentials import Credentials
from broadcaster.cli.replacing import replace
from broadcaster.config.files import read_text


def put(file: str, wanted: Credentials) -> tuple[Credentials, bool]:
    """Add an app, or give the one of that id the new key; gives what stands there then, and whether it is new.

    Raises `ConfigError` or `Unwritable`; nothing is changed then.
    """
    with _alone(file):
        text = read_text(file)
        change = json_apps.put if file.endswith(".json") else toml_apps.put
        changed, standing, new = change(text, file, wanted)
        replace(file, changed.encode())
    return standing, new


def take(file: str, app_id: str) -> bool:
    """Remove the app of that id; gives whether there was one. Raises as `put` does."""
    with _alone(file):
        text = read_text(file)
        change = json_apps.take if file.endswith(".json") else toml_apps.take
        changed = change(text, file, app_id)
        if changed is not None:
            replace(file, changed.encode())
    return changed is not None


@contextmanager
def _alone(file: str) -> Iterator[None]:
    """Be the only one who edits a file of that directory; a lock on the file itself would go with its replacement."""
    try:
        directory = os.open(os.path.dirname(os.path.realpath(file)), os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # who reads the file will be told why that cannot be
        return
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)
