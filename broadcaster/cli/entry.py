"""Runs a command and turns whatever goes wrong into one line on standard error and an exit status."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

import click

from broadcaster.cli.commands import COMMANDS, broadcaster
from broadcaster.errors import BroadcasterError, ConfigError

DONE, FAILED, WRONG = 0, 1, 2
"""Exit statuses: done; it failed; the command line or the configuration is wrong."""


def main() -> NoReturn:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know every character
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` describe; gives the exit status. Raises only `SystemExit`."""
    try:
        # Not main(): it says an empty line when it is interrupted.
        with suppress(click.exceptions.Exit), broadcaster.make_context("broadcaster", list(arguments)) as context:
            broadcaster.invoke(context)
        sys.stdout.flush()
        return DONE
    except BrokenPipeError:
        _discard_output()  # whoever read it has read enough
        return DONE
    except click.UsageError as error:
        return _refused(WRONG, f"{_sentence(error)}; see {_command(error.ctx, arguments)} --help")
    except click.ClickException as error:
        return _refused(FAILED, _sentence(error))
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # some press it twice
        return _refused(FAILED, "interrupted", "\n" if sys.stderr.isatty() else "")
    except ConfigError as error:
        return _refused(WRONG, str(error))
    except BroadcasterError as error:
        return _refused(FAILED, str(error))
    except OSError as error:
        return _refused(FAILED, _os_error(error))
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        return _refused(FAILED, f"a mistake of ours, please report it: {type(error).__name__}: {error}")


def _refused(status: int, problem: str, before: str = "") -> int:
    _discard_output()
    with suppress(OSError):
        click.echo(f"{before}broadcaster: {' '.join(problem.split())}", err=True)
    return status


def _discard_output() -> None:
    """Write out what was printed; if that cannot be, let the interpreter not try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def _sentence(error: click.ClickException) -> str:
    text = error.format_message().strip().removesuffix(".")
    return text[:1].lower() + text[1:]


def _command(context: click.Context | None, arguments: Sequence[str]) -> str:
    if context is not None:
        return context.command_path
    return f"broadcaster {arguments[0]}" if arguments and arguments[0] in COMMANDS else "broadcaster"


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename is not None else reason
