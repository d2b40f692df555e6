"""docs/drivers.md as its readers use it: its code is written to files as it stands, and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import broadcaster
from broadcaster import interfaces

ROOT = Path(broadcaster.__file__).parents[1]
TEXT = (Path(__file__).parents[1] / "docs" / "drivers.md").read_text()
FILES = dict(re.findall(r"^```\w+\n# ([\w/.]+)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.real
def test_the_first_driver_passes_its_own_tests(written: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=written,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(written), str(ROOT)))},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^1\d passed", done.stdout, re.MULTILINE), done.stdout


def test_the_first_driver_is_as_short_as_that() -> None:
    code = [line for line in FILES["broadcaster_journal/__init__.py"].splitlines() if line.strip()]
    assert len(code) <= 45


def test_its_packaging_names_what_it_has() -> None:
    packages = tomllib.loads(FILES["pyproject.toml"])["tool"]["setuptools"]["packages"]
    assert packages == ["broadcaster_journal", "twisted.plugins"]


def test_every_interface_that_a_driver_may_provide_is_told() -> None:
    source = Path(interfaces.__file__).read_text()
    promises = re.findall(r'^class (I\w+)\(Interface\):\n    """(.*?)"""', source, re.MULTILINE | re.DOTALL)
    optional = [name for name, promise in promises if "ptional on a driver" in promise]
    assert len(optional) > 3
    assert [name for name in optional if f"`{name}`" not in TEXT] == []
