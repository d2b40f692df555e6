"""Where, when and with what a measurement was made; and which two cores it may have."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from servers import ROOT, peer_version


def raise_file_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pins() -> tuple[list[str], list[str], str]:
    """What to put before the server's command and before the generator's, and how to call that in the report."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return [], [], "unpinned: this machine has one core"
    if not shutil.which("taskset"):
        return [], [], "unpinned: there is no taskset (Debian and Ubuntu: util-linux)"
    server, generator = cores[:2]
    words = f"server on core {server}, generator on core {generator}"
    return ["taskset", "-c", str(server)], ["taskset", "-c", str(generator)], words


class Others:
    """What everybody else takes of this machine's processors, from its making to `cores`.

    The processes of ours that count are this one and its children that have ended and were waited for.
    """

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._taken = busy_seconds() - own_seconds()

    def cores(self) -> float:
        taken = busy_seconds() - own_seconds() - self._taken
        return round(max(taken, 0) / (time.monotonic() - self._begin), 3)


def busy_seconds() -> float:
    """All processes' time since the machine started, with what a hypervisor withheld, without interrupts."""
    with open("/proc/stat") as lines:
        user, nice, system, _idle, _wait, _irq, _softirq, steal = map(int, lines.readline().split()[1:9])
    return (user + nice + system + steal) / os.sysconf("SC_CLK_TCK")


def own_seconds() -> float:
    usages = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def describe() -> dict[str, str | int | float]:
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "load_before": round(os.getloadavg()[0], 2),
    }


def cpu_model() -> str:
    with open("/proc/cpuinfo") as lines:
        for line in lines:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def versions(with_peers: bool) -> dict[str, str]:
    found = {"broadcaster": f"{installed('broadcaster')}, commit {commit()}", "python": platform.python_version()}
    found |= {name: installed(name) for name in ("twisted", "autobahn", "msgspec")}
    if with_peers:
        found["node"] = output("node", "--version").lstrip("v")
        found["soketi"] = peer_version("@soketi/soketi")
        found |= {package: peer_version(package) for package in ("uWebSockets.js", "laravel-echo-server", "socket.io")}
    return found


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def commit() -> str:
    changed = " with changes" if output("git", "status", "--porcelain", "--untracked-files=no") else ""
    return (output("git", "rev-parse", "--short=12", "HEAD") or "unknown") + changed


def output(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
