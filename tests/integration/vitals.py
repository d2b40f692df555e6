"""What a server process costs the machine, as Linux tells it, and what it tells of itself."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.processes import Server, get

MIB = 1_048_576


def resident(server: Server) -> int:
    """Bytes of memory that it holds."""
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{server.pid}/status").read_text(), re.M)
    assert found is not None
    return int(found[1]) * 1024


def descriptors(server: Server) -> int:
    """Files and sockets that it has open."""
    return len(os.listdir(f"/proc/{server.pid}/fd"))


def metric(server: Server, name: str) -> float:
    """The sum of one metric of its over all labels."""
    status, text = get(f"{server.url}/metrics")
    assert status == 200
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))
