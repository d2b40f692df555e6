"""``listen``: events as they come, also across a restart of the server."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

import click

from broadcaster.auth.signature import channel_text, sign
from broadcaster.cli.printing import print_json, printable
from broadcaster.cli.reaching import Unreachable
from broadcaster.cli.target import Target, acting
from broadcaster.cli.websocket import Closed, WebSocket
from broadcaster.errors import BroadcasterError

PAUSE = 0.5
"""Seconds between two tries to reach a server that has gone."""

PONG_SECONDS = 30.0
"""How long a server may take to answer a ping."""


class Rejected(BroadcasterError):
    """The server does not let us listen; one line with its reason."""


@click.command
@acting
@click.argument("channels", metavar="CHANNEL...", nargs=-1, required=True)
@click.option("-n", "--count", type=click.IntRange(1), help="End after so many events.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a JSON object.")
def listen(target: Target, channels: tuple[str, ...], count: int | None, as_json: bool) -> None:
    """Print the events on each CHANNEL as they come: channel, event and data, one line each.

    On a presence channel it is a member like others. Ctrl-C or SIGTERM ends it.
    """
    tell = print_json if as_json else _as_line
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for number, event in enumerate(_events(target, channels), 1):
            tell(event)
            if number == count:
                return
    except KeyboardInterrupt:
        return


def _events(target: Target, channels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    reached = False
    while True:
        try:
            link = WebSocket(target.door, _path(target), _headers(target))
        except Unreachable:
            if not reached:
                raise
            time.sleep(PAUSE)
            continue
        reached = True
        try:
            yield from _conversation(link, target, channels)
        except ConnectionError:
            pass  # it was lost while something was said: come back
        finally:
            link.close()
        time.sleep(PAUSE)


def _conversation(link: WebSocket, target: Target, channels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """The events of one connection, until it is lost. Raises `Rejected` if it is no use to come back."""
    patience, asked = PONG_SECONDS, False
    while True:
        said = link.receive(PONG_SECONDS if asked else patience)
        if isinstance(said, Closed):
            if 4000 <= said.code < 4100:
                raise Rejected(f"the server closed the connection: {said.code} {said.reason}")
            return
        if said is None:
            if asked:
                return
            link.send(_text("pusher:ping", {}))
            asked = True
            continue
        asked = False
        message = json.loads(said)
        match message.get("event"):
            case "pusher:connection_established":
                greeting = json.loads(message["data"])
                patience = float(greeting["activity_timeout"])
                for channel in channels:
                    link.send(_text("pusher:subscribe", _subscription(target, greeting["socket_id"], channel)))
            case "pusher:ping":
                link.send(_text("pusher:pong", {}))
            case "pusher_internal:subscription_succeeded":
                click.echo(f"listening on {printable(message['channel'])}", err=True)
            case "pusher:error" if not _comes_back(message):
                raise Rejected(f"the server says: {_reason(message)}")
            case "pusher:pong" | "pusher:error":
                pass
            case "pusher:subscription_error":
                raise Rejected(f"{message.get('channel')}: {_reason(message)}")
            case _:
                yield message


def _comes_back(error: dict[str, Any]) -> bool:
    """Whether a close follows after which a client is to come back."""
    data = error.get("data")
    code = data.get("code") if isinstance(data, dict) else None
    return isinstance(code, int) and 4100 <= code < 4300


def _reason(message: dict[str, Any]) -> str:
    data = message.get("data")
    if isinstance(data, str):
        data = json.loads(data)
    if not isinstance(data, dict):
        return "no reason is given"
    return str(data.get("message") or data.get("error") or "no reason is given")


def _path(target: Target) -> str:
    return f"/app/{quote(target.app.key, safe='')}?protocol=7&client=broadcaster&version={version('broadcaster')}"


def _headers(target: Target) -> dict[str, str]:
    # Nobody listens between here and there.
    return {"X-Forwarded-Proto": "https"} if target.app.tls_only and target.door.tls is None else {}


def _subscription(target: Target, socket_id: str, channel: str) -> dict[str, str]:
    if not channel.startswith(("private-", "presence-")):
        return {"channel": channel}
    if not target.app.secrets:
        raise Rejected(f"{channel}: app {target.app.id} has no secret to sign with; set PUSHER_APP_SECRET")
    member = None
    if channel.startswith("presence-"):
        user = f"broadcaster listen {socket.gethostname()} {os.getpid()}"
        member = json.dumps({"user_id": user, "user_info": {"name": "broadcaster listen"}})
    signature = sign(target.app.secrets[0], channel_text(socket_id, channel, member))
    subscription = {"channel": channel, "auth": f"{target.app.key}:{signature}"}
    return subscription if member is None else {**subscription, "channel_data": member}


def _text(event: str, data: object) -> bytes:
    return json.dumps({"event": event, "data": data}).encode()


def _as_line(event: dict[str, Any]) -> None:
    data = event.get("data", "")
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    click.echo("\t".join(map(printable, (str(event.get("channel", "")), str(event.get("event")), text))))
