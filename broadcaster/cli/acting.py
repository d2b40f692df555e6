"""``publish`` and ``channels``: what an application does by the HTTP API, from a terminal."""

from __future__ import annotations

import json
import sys

import click

from broadcaster.cli.calling import call
from broadcaster.cli.printing import print_json, print_table
from broadcaster.cli.target import Target, acting


@click.command
@acting
@click.argument("channel")
@click.argument("event")
@click.argument("data", default="{}")
@click.option("--socket-id", metavar="ID", help="A client that is not to hear it.")
def publish(target: Target, channel: str, event: str, data: str, socket_id: str | None) -> None:
    """Publish EVENT on CHANNEL. DATA is JSON or plain text, "-" reads it from standard input."""
    if data == "-":
        data = sys.stdin.read()
    body = {"name": event, "channels": [channel], "data": data if target.app.secrets else _parsed(data)}
    call(target, "POST", "/events", {}, body if socket_id is None else {**body, "socket_id": socket_id})


@click.command
@acting
@click.option("--prefix", default="", help="Only those whose names begin so.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def channels(target: Target, prefix: str, as_json: bool) -> None:
    """List the occupied channels, how many connections each has, and how many users if it is a presence channel."""
    filtered = {"filter_by_prefix": prefix} if prefix else {}
    found = call(target, "GET", "/channels", {**filtered, "info": "subscription_count"})["channels"]
    if target.app.secrets:
        of_presence = {"filter_by_prefix": prefix if prefix.startswith("presence-") else "presence-"}
        counted = call(target, "GET", "/channels", {**of_presence, "info": "user_count"})["channels"]
        found = {name: channel | counted.get(name, {}) for name, channel in found.items()}
    if as_json:
        print_json({"channels": found})
        return
    rows = [
        (name, str(channel.get("subscription_count", "")), str(channel.get("user_count", "")))
        for name, channel in sorted(found.items())
    ]
    print_table(("channel", "connections", "users"), rows)


def _parsed(data: str) -> object:
    """In laravel-echo-server's shape data is a value, not the text of one."""
    try:
        return json.loads(data)
    except ValueError:
        return data
