"""``systemd``: the units that run the server of the configuration in force, hardened."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from broadcaster.cli.endpoints import Endpoint
from broadcaster.cli.installation import Installation
from broadcaster.cli.where import Where, configuration
from broadcaster.config.listen import BACKLOG

FILES = 1_048_576
"""Descriptors, and with them connections, that the service may have."""

WATCHDOG = 30
"""Seconds within which the server says that it turns; else it is restarted."""


@click.command
@configuration
@click.option("--user", help="Who runs it; else the owner of the configuration file.")
@click.option("--socket", is_flag=True, help="Print broadcaster.socket instead, for socket activation.")
@click.option("--activated", is_flag=True, help="Print the service that goes with broadcaster.socket.")
def systemd(where: Where, user: str | None, socket: bool, activated: bool) -> None:
    """Print the systemd unit for the configuration in force.

    With socket activation systemd listens, also while no server runs: print both --socket and --activated.
    """
    try:
        installation = Installation.of(where, user)
    except KeyError:
        raise click.UsageError(f"there is no user {user!r}" if user else "the file's owner has no name") from None
    lines = _socket(installation) if socket else _service(installation, activated)
    click.echo("\n".join(lines))


def _service(installation: Installation, activated: bool) -> Iterator[str]:
    yield "# /etc/systemd/system/broadcaster.service, made by broadcaster systemd"
    yield "[Unit]"
    yield "Description=Real-time events for web applications"
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    if activated:
        yield "Requires=broadcaster.socket"
        yield "After=broadcaster.socket"
    yield ""
    yield "[Service]"
    yield "Type=notify"
    yield "# A successor that was started by hand tells for itself."
    yield "NotifyAccess=all"
    yield f"ExecStart={_command(installation.command('start'))}"
    yield f"ExecReload={_command(installation.command('reload'))}"
    yield f"WorkingDirectory={_path(installation.directory)}"
    yield f"User={installation.user}"
    yield f"Group={installation.group}"
    yield f"WatchdogSec={WATCHDOG}"
    yield "Restart=on-failure"
    yield "RestartSec=1"
    yield "# A wrong configuration does not mend itself."
    yield "RestartPreventExitStatus=2"
    yield "# SIGTERM drains: longer than server.drain_seconds."
    yield f"TimeoutStopSec={installation.stop_seconds}"
    yield "KillMode=mixed"
    yield f"LimitNOFILE={FILES}"
    yield ""
    yield from _hardening(installation)
    yield ""
    yield "[Install]"
    yield "WantedBy=multi-user.target"
    if activated:
        yield "Also=broadcaster.socket"


def _hardening(installation: Installation) -> Iterator[str]:
    capability = "CAP_NET_BIND_SERVICE" if installation.needs_low_ports else ""
    yield f"CapabilityBoundingSet={capability}"
    yield f"AmbientCapabilities={capability}"
    yield "NoNewPrivileges=yes"
    yield "ProtectSystem=strict"
    yield f"ReadWritePaths={' '.join(map(_path, installation.writes))}"
    used = (*installation.reads, *installation.writes)
    yield f"ProtectHome={'read-only' if _any_below(used, '/home', '/root', '/run/user') else 'yes'}"
    yield f"PrivateTmp={'no' if _any_below(used, '/tmp', '/var/tmp') else 'yes'}"
    for setting in _STRICT:
        yield f"{setting}=yes"
    yield "ProtectProc=invisible"
    yield "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=@system-service"
    yield "SystemCallErrorNumber=EPERM"


_STRICT = (
    *("PrivateDevices", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups"),
    *("ProtectClock", "ProtectHostname", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID"),
    *("LockPersonality", "RemoveIPC"),
)
"""Not MemoryDenyWriteExecute: pyOpenSSL makes its callbacks at run time, in memory that is both."""


def _socket(installation: Installation) -> Iterator[str]:
    yield "# /etc/systemd/system/broadcaster.socket, made by broadcaster systemd --socket"
    yield "[Unit]"
    yield "Description=Where clients of the real-time server connect"
    yield ""
    yield "[Socket]"
    for found in installation.endpoints:
        yield f"ListenStream={_address(found)}"
    yield f"Backlog={BACKLOG}"
    yield f"SocketUser={installation.user}"
    yield "NoDelay=yes"
    yield ""
    yield "[Install]"
    yield "WantedBy=sockets.target"


def _address(found: Endpoint) -> str:
    if found.path is not None:
        return str(Path(found.path).absolute())
    if not found.interface:
        return str(found.port)
    return f"[{found.interface}]:{found.port}" if ":" in found.interface else f"{found.interface}:{found.port}"


def _any_below(paths: Iterable[Path], *directories: str) -> bool:
    return any(path.is_relative_to(directory) for path in paths for directory in directories)


def _command(words: Iterable[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in map(_escaped, words))


def _path(path: Path) -> str:
    return _escaped(str(path)).replace(" ", "\\x20")


def _escaped(word: str) -> str:
    """Percent and dollar signs mean something to systemd, and so do backslashes and quotes."""
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
