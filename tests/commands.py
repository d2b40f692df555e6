"""The command ``broadcaster`` run in this process: what it printed and its exit status."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from broadcaster.cli.entry import run


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    output: str
    errors: str

    def refusal(self, status: int) -> str:
        """The one line that it gave instead of a result."""
        assert (self.status, self.output) == (status, ""), self
        assert self.errors.startswith("broadcaster: ") and self.errors.endswith("\n"), self
        assert self.errors.count("\n") == 1, self
        return self.errors.removeprefix("broadcaster: ").rstrip("\n")

    def result(self) -> str:
        """What it printed, without a complaint."""
        assert (self.status, self.errors) == (0, ""), self
        return self.output


class Shell:
    """Runs commands; there is no terminal."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> Ended:
        self._capture.readouterr()
        status = run(arguments)
        output, errors = self._capture.readouterr()
        return Ended(status, output, errors)
