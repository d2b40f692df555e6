"""What a service manager has to know of the configuration in force: commands, paths, patience, privileges."""

from __future__ import annotations

import grp
import math
import pwd
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from broadcaster.cli.endpoints import Endpoint, endpoint
from broadcaster.cli.where import Where
from broadcaster.settings import Settings

GRACE = 15
"""Seconds after the drain for clients that do not go, for the driver, and for the process to end."""


@dataclass(frozen=True, slots=True)
class Installation:
    """A server as it is installed here; every path is absolute."""

    settings: Settings
    program: tuple[str, ...]
    file: Path | None
    directory: Path
    user: str
    group: str

    @classmethod
    def of(cls, where: Where, user: str | None = None) -> Installation:
        """The one whose configuration that is; run by ``user``, by default the owner of the file."""
        file = None if where.file is None else Path(where.file).absolute()
        directory = Path(where.directory).absolute() if file is None else file.parent
        owner = (file or directory).stat()
        entry = pwd.getpwnam(user) if user is not None else pwd.getpwuid(owner.st_uid)
        group = grp.getgrgid(entry.pw_gid).gr_name
        return cls(where.load(), _program(), file, directory, entry.pw_name, group)

    def command(self, name: str) -> tuple[str, ...]:
        """How ``name`` is run for this configuration."""
        about = ("--dir", str(self.directory)) if self.file is None else ("--config", str(self.file))
        return (*self.program, name, *about)

    @property
    def stop_seconds(self) -> int:
        """How long it may take to end after SIGTERM."""
        return math.ceil(self.settings.server.drain_seconds) + GRACE

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where it listens, as far as that can be told from a string."""
        listen = self.settings.server.listen
        metrics = self.settings.metrics.listen if self.settings.metrics.enabled else None
        every = listen if metrics is None else (*listen, metrics)
        return tuple(found for description in every if (found := endpoint(description)) is not None)

    @property
    def needs_low_ports(self) -> bool:
        """Whether it listens where only root may."""
        return any(found.port is not None and found.port < 1_024 for found in self.endpoints)

    @property
    def writes(self) -> tuple[Path, ...]:
        """The directories in which it makes sockets."""
        paths = [found.path for found in self.endpoints if found.path is not None]
        if self.settings.control_path is not None:
            paths.append(self.settings.control_path)
        return tuple(dict.fromkeys(Path(path).absolute().parent for path in paths))

    @property
    def reads(self) -> tuple[Path, ...]:
        """Where it is installed and configured."""
        return tuple(dict.fromkeys((Path(self.program[0]), Path(sys.prefix), self.directory)))


def _program() -> tuple[str, ...]:
    script = Path(sys.executable).with_name("broadcaster")
    if script.exists():
        return (str(script),)
    found = shutil.which("broadcaster")
    return (found,) if found is not None else (sys.executable, "-m", "broadcaster")
