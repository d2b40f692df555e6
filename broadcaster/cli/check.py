"""``check``: whether the configuration is valid, what is in force, and where each value came from."""

from __future__ import annotations

import os

import click

from broadcaster.cli.printing import print_json, print_table
from broadcaster.cli.where import Where, configuration
from broadcaster.config.loading import read
from broadcaster.config.provenance import DEFAULT, Entry, entries
from broadcaster.settings import Settings


@click.command
@configuration
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(where: Where, as_json: bool) -> None:
    """Validate the configuration; print what is in force and where each value came from.

    Secrets are hidden. The exit status is 2 if the server would not start with it.
    """
    reading = read(where.file, where.directory, os.environ)
    _build(reading.settings)
    found = list(entries(reading))
    if as_json:
        values = [{"key": entry.key, "value": entry.value, "from": entry.origin} for entry in found]
        print_json({"source": reading.settings.source, "values": values, "notes": reading.settings.notes})
        return
    rows = [(entry.key, _written(entry), entry.origin) for entry in found]
    print_table(("key", "value", "from"), rows, [entry.origin == DEFAULT for entry in found])
    for note in reading.settings.notes:
        click.echo(f"broadcaster: {note}", err=True)


def _build(settings: Settings) -> None:
    """Make the server, though not start it: driver, certificates and addresses are looked at then."""
    from twisted.internet import reactor

    from broadcaster.service import build

    build(reactor, settings).listeners.check()


def _written(entry: Entry) -> str:
    """The value as the file would have it, as far as there is such a form."""
    match entry.value:
        case bool():
            return "true" if entry.value else "false"
        case float():
            return f"{entry.value:g}"
        case tuple() | list():
            return ", ".join(map(str, entry.value)) or "[]"
        case None:
            return "none"
        case _:
            return str(entry.value)
