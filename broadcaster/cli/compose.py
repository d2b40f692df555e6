"""``compose``: a Docker Compose file that runs the server of the configuration in force."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click

from broadcaster.cli.installation import Installation
from broadcaster.cli.where import Where, configuration

INSIDE = "/etc/broadcaster"
RUN = "/run/broadcaster"
NOBODY = 65_534


@click.command
@configuration
@click.option("--image", help="The image; else it is built from the Dockerfile in the current directory.")
def compose(where: Where, image: str | None) -> None:
    """Print a Docker Compose file for the configuration in force."""
    click.echo("\n".join(_lines(Installation.of(where), image)))


def _lines(installation: Installation, image: str | None) -> Iterator[str]:
    """YAML, in which every JSON string is a string as well."""
    file = installation.file
    yield "# compose.yaml, made by broadcaster compose"
    yield "services:"
    yield "  broadcaster:"
    yield "    build: ." if image is None else f"    image: {json.dumps(image)}"
    yield f"    command: {json.dumps(['start', *_about(file)])}"
    yield "    restart: unless-stopped"
    yield "    # SIGTERM drains: longer than server.drain_seconds."
    yield f"    stop_grace_period: {installation.stop_seconds}s"
    ports = [found.port for found in installation.endpoints if found.port is not None]
    if ports:
        yield "    ports:"
        yield from (f'      - "{port}:{port}"' for port in dict.fromkeys(ports))
    yield "    environment:"
    yield f"      BROADCASTER_SERVER_CONTROL: {RUN}/broadcaster.sock"
    if file is None:
        yield "      BROADCASTER_SERVER_LISTEN: tcp:6001"
        yield '      BROADCASTER_DEMO: "false"'
        for name in ("PUSHER_APP_ID", "PUSHER_APP_KEY", "PUSHER_APP_SECRET"):
            yield f"      {name}: ${{{name}:?}}"
    uid, gid = _owner(file)
    if file is not None:
        yield "    volumes:"
        for path in (file, *_certificates(installation)):
            inside = f"{INSIDE}/{file.name}" if path == file else str(path)
            yield f"      - {json.dumps(f'{path}:{inside}:ro')}"
        yield "    # Whoever may read the file."
        yield f'    user: "{uid}:{gid}"'
    yield "    tmpfs:"
    yield f"      - {RUN}:uid={uid},gid={gid},mode=0700"
    yield "    ulimits:"
    yield "      nofile: 1048576"
    yield "    read_only: true"
    yield "    cap_drop: [ALL]"
    yield '    security_opt: ["no-new-privileges:true"]'


def _about(file: Path | None) -> list[str]:
    return ["--dir", INSIDE] if file is None else ["--config", f"{INSIDE}/{file.name}"]


def _owner(file: Path | None) -> tuple[int, int]:
    if file is None:
        return NOBODY, NOBODY
    found = os.stat(file)
    return found.st_uid, found.st_gid


def _certificates(installation: Installation) -> tuple[Path, ...]:
    """The files that the tables of certificates name, where one of the addresses needs them."""
    if not any(found.secure for found in installation.endpoints):
        return ()
    tls = installation.settings.tls
    files = [
        each
        for table in (tls, *tls.hosts)
        for each in (table.certificate, table.key, table.chain, table.passphrase_file)
    ]
    return tuple(dict.fromkeys(Path(file) for file in files if file is not None))
