"""Headless Chromium as a child process, and the tabs that tests open in it."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from tests.integration.javascript import Line, Script
from tests.processes import PATIENCE

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> str | None:
    """Where Chromium is, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium(Script):
    """One browser while the ``with`` block runs; what it wrote to disk is gone afterwards.

    ``moved`` says of ports on 127.0.0.1 which other ones shall answer for them, so that pages which name a port can be
    opened as they are. ``flags`` are Chromium's own.
    """

    def __init__(self, moved: dict[int, int], *flags: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="broadcaster-chromium-")
        rules = ", ".join(f"MAP 127.0.0.1:{here} 127.0.0.1:{there}" for here, there in moved.items())
        where = str(Path(__file__).with_name("chromium.js"))
        mapped = f"--host-resolver-rules={rules}"
        super().__init__(where, str(executable()), self._folder.name, *FLAGS, mapped, *flags)

    def __exit__(self, *error: object) -> None:
        with suppress(OSError, TimeoutExpired):
            self.write(do="quit")
            self._process.wait(PATIENCE)
        super().__exit__(*error)
        self._folder.cleanup()

    def call(self, **command: Any) -> Any:
        """What the browser answers to a command."""
        self.write(**command)
        answer = self.read(command.get("seconds", 0) + PATIENCE)
        assert "error" not in answer, answer["error"]
        return answer.get("result")


class Tab:
    """One tab with a profile of its own, open while the ``with`` block runs."""

    def __init__(self, chromium: Chromium, url: str, scheme: str = "light") -> None:
        self._chromium = chromium
        self._url = url
        self._scheme = scheme

    def __enter__(self) -> Tab:
        self._call("open", url=self._url, scheme=self._scheme)
        return self

    def __exit__(self, *_: object) -> None:
        self._call("close")

    def until(self, expression: str, seconds: float = PATIENCE) -> Any:
        """The value of the JavaScript expression, once that is true in the page; of a promise, once fulfilled."""
        try:
            return self._call("until", expression=expression, seconds=seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{expression}\n{self._call('heard')}") from None

    def errors(self) -> list[str]:
        """What the browser's console shows in red."""
        return list(self._call("heard")["errors"])

    def answers(self) -> list[Line]:
        """URL and status of each HTTP answer until now."""
        return list(self._call("heard")["answers"])

    def _call(self, do: str, **more: Any) -> Any:
        return self._chromium.call(do=do, tab=id(self), **more)
