"""``start``, ``stop``, ``restart``, ``status`` and ``reload``: the server of a configuration."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

import click

from broadcaster.cli.controlling import Control, NotRunning
from broadcaster.cli.printing import print_json, print_table
from broadcaster.cli.where import Where, configuration
from broadcaster.process import started

LISTEN = click.option(
    "-l",
    "--listen",
    "listen",
    multiple=True,
    metavar="ENDPOINT",
    help="Listen here instead; may be given several times.",
)
DEV = click.option("--dev", is_flag=True, help="Log verbosely.")


@click.command
@configuration
@LISTEN
@DEV
@click.option("--force", is_flag=True, help="Take over from a server of this configuration that runs already.")
def start(where: Where, listen: tuple[str, ...], dev: bool, force: bool) -> None:
    """Run the server, in the foreground.

    If another one of this configuration is about to stop, this one takes its listening sockets over: no client finds
    the door closed. With --force it does so in any case.
    """
    _serve(where, listen, dev, force)


@click.command
@configuration
@LISTEN
@DEV
def restart(where: Where, listen: tuple[str, ...], dev: bool) -> None:
    """Run the server, in the foreground, in place of the one that runs.

    It takes the listening sockets over; the old one sends its clients here and ends.
    """
    _serve(where, listen, dev, force=True)


def _serve(where: Where, listen: tuple[str, ...], dev: bool, force: bool) -> None:
    """Become twistd, whose plugin the server is."""
    from twisted.scripts.twistd import run

    named = [] if where.config is None else ["--config", str(where.file)]
    addresses = [option for endpoint in listen for option in ("--listen", endpoint)]
    forced = ["--force"] if force else []
    if dev:
        os.environ["BROADCASTER_LOG_LEVEL"] = "debug"  # the environment, so that it holds after a reload too
    server = ["broadcaster", "--sole", *forced, "--dir", where.directory, *named, *addresses]
    sys.argv = ["broadcaster", "--nodaemon", "--pidfile=", *server]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the server has handlers of its own
    with suppress(KeyboardInterrupt):
        run()


@click.command
@configuration
def stop(where: Where) -> None:
    """Stop the server that runs, and wait until it has gone or has a successor.

    A server that was started after this command was is left alone: it is the successor. That none runs is no error.
    """
    try:
        with Control(where) as control:
            told = control.ask("stop", started=started())
            if not told.get("stopping"):
                click.echo(f"left alone: process {told.get('pid')} was started later, as the successor")
                return
            news = control.listen(None)
            if news is not None and "successor" in news:
                click.echo(f"stopped: process {news['successor']} has taken over")
            else:
                click.echo("stopped")
    except NotRunning as nobody:
        click.echo(str(nobody))


@click.command
@configuration
def reload(where: Where) -> None:
    """Have the server that runs read its configuration, apps and certificates again; no connection drops.

    If they are wrong nothing changes.
    """
    with Control(where) as control:
        told = control.ask("reload")
    click.echo("reloaded")
    for note in told.get("notes", ()):
        click.echo(f"broadcaster: {note}", err=True)


@click.command
@configuration
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(where: Where, as_json: bool) -> None:
    """Say whether a server runs, and how it is. The exit status is 1 if none does."""
    try:
        with Control(where) as control:
            told = control.ask("status")
    except NotRunning:
        if as_json:
            print_json({"running": False})
        raise
    told = {key: value for key, value in told.items() if key not in ("ok", "endpoints")}
    if as_json:
        print_json({"running": True, **told})
        return
    print_table(("", ""), [(key, _worded(value)) for key, value in told.items() if value not in ([], None)])


def _worded(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.0f}"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
