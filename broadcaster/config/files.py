"""The text of a file that an operator wrote, or the one line that says why there is none."""

from __future__ import annotations

from broadcaster.errors import ConfigError


def read_text(file: str) -> str:
    """What ``file`` says, without a byte order mark. Raises `ConfigError`."""
    try:
        with open(file, "rb") as stream:
            written = stream.read()
    except OSError as error:
        raise unreadable(file, error) from None
    try:
        return written.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = written.count(b"\n", 0, error.start) + 1
        raise ConfigError(file, f"line {line}", "is not valid UTF-8", "save the file as UTF-8") from None


def unreadable(file: str, error: OSError) -> ConfigError:
    """Why ``file`` cannot be read, and what to do about it."""
    match error:
        case FileNotFoundError():
            return ConfigError(file, "", "no such file", "check the path, or leave it out for the embedded default")
        case IsADirectoryError():
            return ConfigError(file, "", "is a directory", "name the file in it")
        case PermissionError():
            return ConfigError(file, "", "may not be read by this user", "give the user that runs the server access")
        case _:
            return ConfigError(file, "", f"cannot be read ({error.strerror})", "check the path")
