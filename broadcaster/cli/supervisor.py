"""``supervisor``: the program section that runs the server of the configuration in force."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from broadcaster.cli.installation import Installation
from broadcaster.cli.where import Where, configuration


@click.command
@configuration
def supervisor(where: Where) -> None:
    """Print the supervisor program for the configuration in force."""
    click.echo("\n".join(_lines(Installation.of(where))))


def _lines(installation: Installation) -> Iterator[str]:
    yield "; /etc/supervisor/conf.d/broadcaster.conf, made by broadcaster supervisor"
    yield "; Set minfds in [supervisord] to the connections that you expect: the program may have no more files."
    yield "[program:broadcaster]"
    yield f"command={_escaped(shlex.join(installation.command('start')))}"
    yield f"directory={_escaped(str(installation.directory))}"
    yield f"user={installation.user}"
    yield "autostart=true"
    yield "autorestart=true"
    yield "redirect_stderr=true"
    yield "stopsignal=TERM"
    yield "; SIGTERM drains: longer than server.drain_seconds."
    yield f"stopwaitsecs={installation.stop_seconds}"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
