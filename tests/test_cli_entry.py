"""Whatever goes wrong in a command is one line on standard error and an exit status, never a traceback."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from broadcaster.cli.commands import COMMANDS, broadcaster
from broadcaster.cli.printing import printable
from broadcaster.errors import BroadcasterError, ConfigError
from tests.commands import Shell


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


@pytest.mark.parametrize(
    ("arguments", "line"),
    (
        (["strt"], "no such command 'strt'"),
        (["--nope"], "no such option"),
        (["check", "--nope"], "no such option"),
        (["check", "a"], "got unexpected extra argument (a)"),
        (["check", "--config"], "option '--config' requires an argument"),
        (["client:remove"], "missing argument 'ID'"),
    ),
)
def test_a_wrong_command_line_is_one_line_that_says_where_to_read_on(
    shell: Shell, arguments: list[str], line: str
) -> None:
    command = f"broadcaster {arguments[0]}" if arguments[0] in COMMANDS else "broadcaster"
    refusal = shell(*arguments).refusal(2)
    assert refusal.startswith(line)
    assert refusal.endswith(f"; see {command} --help")


def test_without_a_command_it_lists_them_and_says_so(shell: Shell) -> None:
    ended = shell()
    assert (ended.status, ended.errors) == (2, "broadcaster: no command is given; see broadcaster --help\n")
    assert all(name in ended.output for name in COMMANDS)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_it_tells_its_version(shell: Shell, option: str) -> None:
    assert shell(option).result() == f"broadcaster {version('broadcaster')}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_and_all_its_options(shell: Shell, name: str) -> None:
    said = shell(name, "--help").result()
    assert f"broadcaster {name}" in said
    command = broadcaster.get_command(click.Context(broadcaster), name)
    assert command is not None and command.get_short_help_str()
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option))


@pytest.fixture
def interruptible() -> Iterator[None]:
    """An interrupted command hears no further interrupt; this process does."""
    ours = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, ours)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("error", "status", "line"),
    (
        (ConfigError("f", "k", "is wrong", "mend it"), 2, "f: k: is wrong; mend it"),
        (BroadcasterError("no"), 1, "no"),
        (click.Abort(), 1, "interrupted"),
        (KeyboardInterrupt(), 1, "interrupted"),
        (PermissionError(13, "Permission denied", "/a"), 1, "/a: Permission denied"),
        (OSError("odd"), 1, "odd"),
        (ValueError("two\nlines"), 1, "a mistake of ours, please report it: ValueError: two lines"),
    ),
)
def test_what_fails_is_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, line: str
) -> None:
    monkeypatch.setattr(broadcaster, "get_command", _failing(error))
    assert shell("check").refusal(status) == line


def _failing(error: BaseException) -> Callable[..., click.Command]:
    @click.command
    def fail() -> None:
        raise error

    return lambda *_: fail


def test_a_configuration_that_is_none_is_status_2(shell: Shell, tmp_path: Path) -> None:
    assert "is a directory" in shell("check", "--config", str(tmp_path)).refusal(2)
    assert "no such file" in shell("check", "--config", str(tmp_path / "a.toml")).refusal(2)
    assert "no such directory" in shell("check", "--dir", str(tmp_path / "a")).refusal(2)


def test_nothing_that_is_printed_steers_a_terminal() -> None:
    assert printable("é\x1b[31m\n\u202e") == "é\\x1b[31m\\n\\u202e"
