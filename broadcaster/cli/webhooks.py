"""``webhooks``: what waits for receivers, and what was given up: to look at, to send again, to drop."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from broadcaster.cli.controlling import Control, NotRunning
from broadcaster.cli.printing import print_json, print_table
from broadcaster.cli.where import Where, configuration
from broadcaster.errors import DriverError
from broadcaster.webhooks.letters import answer
from broadcaster.webhooks.sqlite import SqliteStore

ACTIONS = ("list", "show", "replay", "drop")


@click.command
@configuration
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Replay or drop all that were given up.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def webhooks(where: Where, action: str, ids: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """List the webhooks that wait and those that were given up, or show, replay or drop those with these IDs.

    A webhook that is replayed waits as if it were new.
    """
    if action != "list" and bool(ids) == (everything and action != "show"):
        raise click.UsageError(f"{action} takes ids" + ("" if action == "show" else ", or --all"))
    told = _asked(where, {"action": action, "ids": list(ids) or None})
    if as_json:
        print_json({key: value for key, value in told.items() if key != "ok"})
    elif action == "list":
        _print_list(told)
    elif action == "show":
        for letter in told["letters"]:
            click.echo(json.dumps(letter, indent=2))
    else:
        for each in told["ids"]:
            click.echo(each)
    if action == "show":
        _all_found(ids, [letter["id"] for letter in told["letters"]])
    elif action != "list":
        _all_found(ids, told["ids"])


def _all_found(ids: Sequence[str], found: Sequence[str]) -> None:
    missing = [each for each in ids if each not in found]
    if missing:
        raise click.ClickException(f"no webhook has the id {missing[0]}; see broadcaster webhooks list")


def _asked(where: Where, asked: dict[str, Any]) -> Mapping[str, Any]:
    """What the server says, or what the file says where none runs."""
    try:
        with Control(where) as control:
            return control.ask("webhooks", **asked)
    except NotRunning as nobody:
        path = where.load().webhooks_path
        if not os.path.exists(path):
            raise NotRunning(f"{nobody}, and there is no {path}; start the server that has the webhooks") from None
        return _read(path, asked)


def _read(path: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    store = SqliteStore(None, path, time.time)
    told: list[Any] = []
    Deferred.fromCoroutine(answer(store, asked, time.time())).addBoth(told.append)
    durable = store.durable
    store.close()
    if isinstance(told[0], Failure):
        told[0].raiseException()
    if not durable:
        raise DriverError(f"{path}: cannot be used; look whether the disk is full and the file is yours")
    found: Mapping[str, Any] = told[0]
    return found


def _print_list(told: Mapping[str, Any]) -> None:
    now = time.time()
    rows = [
        (
            letter["id"],
            letter["receiver"],
            letter["event"]["name"],
            letter["event"]["channel"],
            letter["state"],
            f"{max(0.0, now - letter['made']):.0f} s",
            letter.get("reason", ""),
        )
        for letter in told["letters"]
    ]
    columns = ("id", "receiver", "event", "channel", "state", "age", "reason")
    print_table(columns, rows, [letter["state"] == "waiting" for letter in told["letters"]])
