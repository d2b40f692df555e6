"""``client:add`` and ``client:remove``, also called ``app:…``: the apps in the configuration file."""

from __future__ import annotations

import click

from broadcaster.cli import app_files
from broadcaster.cli.controlling import Control, NotRunning
from broadcaster.cli.credentials import Credentials, random_id, random_key
from broadcaster.cli.printing import print_json
from broadcaster.cli.where import Where, configuration
from broadcaster.errors import BroadcasterError

RELOADED = "The running server has taken it over."


def _text(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and (not value.strip() or not value.isprintable()):
        raise click.BadParameter("it must be text on one line", context, parameter)
    return value


@click.command
@configuration
@click.argument("app_id", metavar="[ID]", required=False, callback=_text)
@click.option("--key", callback=_text, help="The key; else a random one.")
@click.option("--secret", callback=_text, help="The secret; else a random one.")
@click.option("--bearer", is_flag=True, help="Let publishers in by the key alone, which no page may have then.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def add(where: Where, app_id: str | None, key: str | None, secret: str | None, bearer: bool, as_json: bool) -> None:
    """Add an app to the configuration file and print its credentials.

    An app that has this ID already gets the new key, and keeps its secret unless one is given.
    """
    file = where.written()
    wanted = Credentials(app_id or random_id(), key or random_key(), secret, bearer)
    if file.endswith(".json") and secret is not None:
        raise click.UsageError(f"{file}: laravel-echo-server's format has no secrets; set PUSHER_APP_SECRET instead")
    app, new = app_files.put(file, wanted)
    reloaded = _reloaded(where)
    if as_json:
        told = {"file": file, "new": new, "id": app.id, "key": app.key, "secret": app.secret, "reloaded": reloaded}
        print_json(told)
        return
    click.echo("API Client added!" if new else "API Client updated!")
    click.echo(f"appId: {app.id}")
    click.echo(f"key: {app.key}")
    if app.secret is not None:
        click.echo(f"secret: {app.secret}")
    if reloaded:
        click.echo(RELOADED)


@click.command
@configuration
@click.argument("app_id", metavar="ID")
def remove(where: Where, app_id: str) -> None:
    """Remove an app from the configuration file."""
    file = where.written()
    if not app_files.take(file, app_id):
        raise click.ClickException(f"{file}: there is no app {app_id!r}; broadcaster check lists those that are there")
    reloaded = _reloaded(where)
    click.echo(f"Client removed: {app_id}")
    if reloaded:
        click.echo(RELOADED)


def _reloaded(where: Where) -> bool:
    """Whether a server runs and has taken the change over; one that could not is told on standard error."""
    try:
        with Control(where) as control:
            control.ask("reload")
        return True
    except NotRunning:
        return False
    except BroadcasterError as error:
        click.echo(f"broadcaster: the file is changed, but no server uses it: {error}", err=True)
        return False
