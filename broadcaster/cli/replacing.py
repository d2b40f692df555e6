"""Replaces a file as a whole: whoever reads it meanwhile sees the old one or the new one, never half of either."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress

import click


class Unwritable(click.ClickException):
    """A file cannot be written; one line that names it and the remedy."""

    def __init__(self, file: str, error: OSError) -> None:
        match error:
            case PermissionError():
                problem, remedy = "cannot be written by this user", "run as its owner, or give this user its directory"
            case FileNotFoundError() | NotADirectoryError():
                problem, remedy = "its directory does not exist", "make it first"
            case IsADirectoryError():
                problem, remedy = "is a directory", "name the file in it"
            case _:
                problem, remedy = f"cannot be written ({error.strerror})", "it is as it was"
        super().__init__(f"{file}: {problem}; {remedy}")

    def format_message(self) -> str:
        """The line as it is: it begins with a file's name."""
        return self.message


def overwrite(file: str, content: bytes, may_overwrite: Callable[[str], bool], mode: int = 0o600) -> None:
    """As `replace`, but what is there already only if ``may_overwrite`` says so; else raises `click.ClickException`."""
    if os.path.lexists(file) and not os.path.isdir(file) and not may_overwrite(file):
        raise click.ClickException(f"{file} is there already; --force overwrites it")
    replace(file, content, mode)


def replace(file: str, content: bytes, mode: int = 0o600) -> None:
    """Give ``file`` this content at once; an old one keeps its mode and owner, a new one gets ``mode``.

    A link stays one. Raises `Unwritable`.
    """
    target = os.path.realpath(file)
    try:
        _replace(target, content, mode)
    except OSError as error:
        raise Unwritable(file, error) from None


def _replace(target: str, content: bytes, mode: int) -> None:
    if os.path.isdir(target):
        raise IsADirectoryError
    descriptor, temporary = tempfile.mkstemp(prefix=".broadcaster-", dir=os.path.dirname(target))
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            _as_before(target, stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _as_before(target: str, descriptor: int, mode: int) -> None:
    try:
        before = os.stat(target)
    except FileNotFoundError:
        os.fchmod(descriptor, mode)
        return
    now = os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        os.fchown(descriptor, before.st_uid, before.st_gid)  # before the mode, which it may clear
    os.fchmod(descriptor, before.st_mode & 0o7777)
