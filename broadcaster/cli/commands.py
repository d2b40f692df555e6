"""The group of all commands: what each is called and where it lives. A command is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import click

COMMANDS = {
    "init": "broadcaster.cli.init:init",
    "configure": "broadcaster.cli.init:init",
    "start": "broadcaster.cli.running:start",
    "stop": "broadcaster.cli.running:stop",
    "restart": "broadcaster.cli.running:restart",
    "reload": "broadcaster.cli.running:reload",
    "status": "broadcaster.cli.running:status",
    "check": "broadcaster.cli.check:check",
    "client:add": "broadcaster.cli.clients:add",
    "client:remove": "broadcaster.cli.clients:remove",
    "app:add": "broadcaster.cli.clients:add",
    "app:remove": "broadcaster.cli.clients:remove",
    "publish": "broadcaster.cli.acting:publish",
    "listen": "broadcaster.cli.listening:listen",
    "channels": "broadcaster.cli.acting:channels",
    "compare": "broadcaster.cli.comparing:compare",
    "webhooks": "broadcaster.cli.webhooks:webhooks",
    "nginx": "broadcaster.cli.proxy_commands:nginx",
    "haproxy": "broadcaster.cli.proxy_commands:haproxy",
    "systemd": "broadcaster.cli.systemd:systemd",
    "supervisor": "broadcaster.cli.supervisor:supervisor",
    "compose": "broadcaster.cli.compose:compose",
}
"""The dotted path of each command, in the order of ``broadcaster --help``."""


class Commands(click.Group):
    """Imports a command when it is asked for, since most have no use for what the others need."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which they are told."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


def _tell_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        click.echo(f"broadcaster {version('broadcaster')}")
        context.exit()


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_tell_version,
    help="Print the version.",
)
@click.pass_context
def broadcaster(context: click.Context) -> None:
    """Real-time events for web applications, from a server of your own.

    "broadcaster init" makes a configuration, "broadcaster start" runs the server.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        raise click.UsageError("no command is given", context)
