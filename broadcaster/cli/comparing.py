"""``compare``: what Pusher and this server told, side by side."""

from __future__ import annotations

import click

from broadcaster.cli.controlling import Control
from broadcaster.cli.printing import print_json, print_table
from broadcaster.cli.where import Where, configuration

SIDES = {"here": "only here", "pusher": "only at Pusher"}


@click.command
@configuration
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def compare(where: Where, as_json: bool) -> None:
    """Say which events both Pusher and this server told, by channel, and which only one of them did.

    Needs driver "pusher" with compare = true; counted since the server was started, on channels that somebody here
    is subscribed to.
    """
    with Control(where) as control:
        report = control.ask("compare")
    if as_json:
        print_json({key: value for key, value in report.items() if key != "ok"})
        return
    columns = ("channel", "both", *SIDES.values())
    counts = [*report["channels"], {"channel": "all", **report["total"]}]
    print_table(columns, [(row["channel"], *(str(row[side]) for side in ("both", *SIDES))) for row in counts])
    for event in report["alone"]:
        told = f"{event['event']} on {event['channel']}, {event['seconds_ago']:g} seconds ago: {event['data']}"
        print_table(("", ""), [(SIDES[event["side"]], told)])
    if report["waiting"]:
        click.echo(f"{report['waiting']} are on their way")
