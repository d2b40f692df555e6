"""``nginx`` and ``haproxy``: the configuration of a proxy in front that fits the one in force."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from broadcaster.cli.proxies import KEEPALIVE, Front
from broadcaster.cli.proxies import haproxy as haproxy_text
from broadcaster.cli.proxies import nginx as nginx_text
from broadcaster.cli.where import Where, configuration


def _name(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"[A-Za-z0-9*._-]+", value):
        raise click.BadParameter("expected a host name", context, parameter)
    return value


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if value and not re.fullmatch(r"(?:(?:[A-Za-z0-9.*-]+|\[[0-9A-Fa-f:.]+\]):)?[0-9]{1,5}", value):
        raise click.BadParameter("expected a port, or an address and a port", context, parameter)
    return value


def _line(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    for text in value if isinstance(value, tuple) else (value,):
        if text and not text.isprintable():
            raise click.BadParameter("expected one line of text", context, parameter)
    return value


def front(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say what the proxy is to clients, and where it reaches the server."""
    for option in reversed(
        (
            click.option(
                "--server-name", default="", metavar="NAME", callback=_name, help="Host name that clients use."
            ),
            click.option(
                "--listen",
                default="",
                metavar="[ADDRESS:]PORT",
                callback=_address,
                help="Default: 443, without TLS 80.",
            ),
            click.option("--no-tls", is_flag=True, help="Plain HTTP: for a first try, or behind another proxy."),
            click.option("--certificate", default="", metavar="FILE", callback=_line, help="PEM, with its chain."),
            click.option(
                "--upstream",
                multiple=True,
                metavar="ENDPOINT",
                callback=_line,
                help="Where the server is, as in server.listen and in place of it; may be given several times.",
            ),
            click.option(
                "--ca",
                default="",
                metavar="FILE",
                callback=_line,
                help="Verify the certificate of a TLS upstream by it.",
            ),
        )
    ):
        command = option(command)
    return configuration(command)


@click.command
@front
@click.option("--key", default="", metavar="FILE", callback=_line, help="The certificate's key.")
@click.option(
    "--keepalive",
    default=KEEPALIVE,
    type=click.IntRange(0),
    show_default=True,
    help="Links to the server that each worker keeps for the next request; 0: none.",
)
@click.option(
    "--access-log",
    default="/var/log/nginx/broadcaster.log",
    metavar="FILE",
    callback=_line,
    show_default=True,
    help='Without query strings; "off" for none.',
)
@click.option("--standalone", is_flag=True, help="Print a whole nginx.conf, not a file for conf.d.")
def nginx(where: Where, no_tls: bool, standalone: bool, **options: Any) -> None:
    """Print what nginx needs in front of this server, made from the configuration in force.

    For /etc/nginx/conf.d/broadcaster.conf, or where the server awaits PROXY headers (haproxy: in server.listen), to be
    appended to /etc/nginx/nginx.conf.
    """
    click.echo(nginx_text(where.load(), Front(tls=not no_tls, **options), standalone), nl=False)


@click.command
@front
def haproxy(where: Where, no_tls: bool, **options: Any) -> None:
    """Print what HAProxy needs in front of this server, made from the configuration in force.

    It is a whole haproxy.cfg, and may be appended to another. The certificate's file has to hold its key as well.
    """
    click.echo(haproxy_text(where.load(), Front(tls=not no_tls, **options)), nl=False)
