"""The lowest versions that `setup.cfg` allows behave as the wire needs them to.

Twisted's private parts, by which plain sockets are written to past it, are in 21.7.0 what they are today. Autobahn
bounds what a deflated message becomes, and tells a broken one from a fault of its own, since 26.10.1. Before 0.6.3
httptools took folded headers, which others read otherwise.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from configparser import ConfigParser
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.conftest import require
from tests.processes import clean_environment

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
TOOLS = ("pytest", "hypothesis")
TESTS = ("transports", "outbox", "websocket", "frontdoor", "tls_certificates", "tls_wrapping", "control", "inheritance")
MINUTES = 5


def run(*command: str | Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60 * MINUTES,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wire_holds_on_the_lowest_versions_that_are_allowed(tmp_path: Path) -> None:
    require(sys.version_info < (3, 12), "the lowest Twisted is older than this Python")
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    lowest = settings["options"]["install_requires"].replace(">=", "==").split()
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    tools = [f"{name}=={version(name)}" for name in TOOLS]
    run(python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", *lowest, *tools)
    said = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/test_{name}.py" for name in TESTS))
    assert re.search(r"^\d+ passed in ", said, re.M), said
