"""``--app`` and ``--url``: which app of which server a command acts on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from broadcaster.cli.controlling import Control
from broadcaster.cli.reaching import Door, door_of_endpoints, door_of_url
from broadcaster.cli.where import Where, configuration
from broadcaster.config.echo_apps import ONLY_APP
from broadcaster.errors import BroadcasterError, ConfigError
from broadcaster.settings import App, Settings


@dataclass(frozen=True, slots=True)
class Target:
    """An app and the door to its server."""

    app: App
    door: Door


def acting(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say on whom it acts, and as its first argument the `Target` that they make."""

    @configuration
    @click.option("--app", "app_id", metavar="ID", help="The app; else the first one.")
    @click.option("--url", help="The server, https://host:port; else the one of this configuration on this machine.")
    @functools.wraps(command)
    def with_target(where: Where, app_id: str | None, url: str | None, **options: Any) -> None:
        settings = where.load()
        app = _app(settings, app_id)
        door = door_of_endpoints(_endpoints(where, settings)) if url is None else door_of_url(url)
        command(Target(app, door), **options)

    return with_target


def _app(settings: Settings, app_id: str | None) -> App:
    found = next((app for app in settings.apps if app_id in (None, app.id)), None)
    if found is None:
        known = ", ".join(app.id for app in settings.apps)
        raise click.UsageError(f"there is no app {app_id!r}; configured are: {known}")
    if found.id == ONLY_APP:
        raise ConfigError(
            settings.source, "clients", "is empty, so nobody can publish", "broadcaster client:add adds one"
        )
    return found


def _endpoints(where: Where, settings: Settings) -> tuple[str, ...]:
    """Where the running server listens, which need not be what is configured now."""
    try:
        with Control(where) as control:
            told = control.ask("status").get("endpoints")
    except BroadcasterError:
        told = None
    return tuple(map(str, told)) if isinstance(told, list) and told else settings.server.listen
