"""Stock JavaScript clients as child processes, driven by JSON lines: pusher-js in tabs, and the official Node SDK."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

from tests.processes import APP_ID, KEY, PATIENCE, SECRET

SCRIPTS = Path(__file__).parents[1] / "node"

Line = dict[str, Any]


class Script:
    """A Node script that takes and gives JSON lines while the ``with`` block runs.

    ``seen`` is all that `expect` has read, in order. With ``ca``, a file, it speaks TLS and believes that.
    """

    def __init__(self, script: str, *arguments: str, ca: Path | None = None) -> None:
        self.seen: list[Line] = []
        tls = () if ca is None else ("tls",)
        self._command = ["node", str(SCRIPTS / script), *arguments, *tls]
        self._environment = {**os.environ, **({} if ca is None else {"NODE_EXTRA_CA_CERTS": str(ca)})}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._lines: Queue[Line | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._reader.join()
        self._process.communicate()

    def write(self, **line: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()

    def read(self, seconds: float = PATIENCE) -> Line:
        """The next line; an AssertionError when the script has ended or says nothing in time."""
        try:
            line = self._lines.get(timeout=seconds)
        except Empty:
            raise AssertionError(f"nothing came within {seconds} s") from None
        assert line is not None, "the script ended"
        return line

    def expect(self, since: int = 0, seconds: float = PATIENCE, **wanted: Any) -> Line:
        """The first line, from the ``since``-th on, that says all of ``wanted``; waits for it."""
        position = since
        while True:
            for line in self.seen[position:]:
                if wanted.items() <= line.items():
                    return line
            position = len(self.seen)
            try:
                self.seen.append(self.read(seconds))
            except AssertionError as failure:
                told = "\n".join(map(str, self.seen))
                script = " ".join(self._command[1:])
                raise AssertionError(f"{failure} that says {wanted}; {script} told:\n{told}") from None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)


class Browser(Script):
    """Tabs with one version of pusher-js in each; ``seen`` is all that they told, in order."""

    def __init__(self, library: str, port: int, ca: Path | None = None) -> None:
        super().__init__("tabs.js", library, str(port), ca=ca)
        self.library = library

    def tab(
        self,
        name: str,
        presence: Line | None = None,
        key: str = KEY,
        secret: str = SECRET,
        connected: bool = True,
        user: Line | None = None,
        master_key: str | None = None,
    ) -> Tab:
        """Open a tab and, unless told otherwise, wait until it is connected.

        ``presence`` is who sits before it, ``user`` as whom it could sign in; ``secret`` is what the application
        signs with, and ``master_key`` what it makes the keys of encrypted channels from.
        """
        tab = Tab(self, name)
        self.write(do="open", tab=name, key=key, secret=secret, presence=presence, user=user, master_key=master_key)
        if connected:
            tab.until_state("connected")
        return tab


class Tab:
    """One page: one stock Pusher object."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._name = name

    @property
    def socket_id(self) -> str:
        return str(self.until_state("connected")["socket_id"])

    def subscribe(self, channel: str, *events: str) -> None:
        """Subscribe and listen to these events."""
        self._browser.write(do="subscribe", tab=self._name, channel=channel, listen=events)

    def join(self, channel: str, *events: str) -> Any:
        """Subscribe, wait until that has succeeded, and return what came with the success."""
        self.subscribe(channel, *events)
        return self.expect(channel, "pusher:subscription_succeeded").get("data")

    def sign_in(self, *events: str) -> None:
        """Sign in as the tab's user, and listen to these events for the user and to its watchlist."""
        self._browser.write(do="signin", tab=self._name, listen=events)

    def signed_in(self, *events: str, since: int = 0) -> Any:
        """Sign in, wait until that has succeeded, and return the user that the server confirmed."""
        self.sign_in(*events)
        return self._browser.expect(since, tab=self._name, kind="signin")["user"]

    def unsubscribe(self, channel: str) -> None:
        self._browser.write(do="unsubscribe", tab=self._name, channel=channel)

    def trigger(self, channel: str, event: str, data: Any) -> None:
        """Send a client event."""
        self._browser.write(do="trigger", tab=self._name, channel=channel, event=event, data=data)

    def close(self) -> None:
        self._browser.write(do="close", tab=self._name)

    def expect(self, channel: str, event: str, since: int = 0) -> Line:
        """What came with the first such event since then; waits for it."""
        return self._browser.expect(since, tab=self._name, kind="event", channel=channel, event=event)

    def expect_as_user(self, event: str, since: int = 0) -> Any:
        """The data of the first such event that the application sent to this tab's user."""
        return self._browser.expect(since, tab=self._name, kind="user", event=event)["data"]

    def expect_watched(self, name: str, since: int = 0) -> list[str]:
        """The users of the first change of the watchlist that is called ``online`` or ``offline``."""
        found: list[str] = self._browser.expect(since, tab=self._name, kind="watchlist", name=name)["user_ids"]
        return found

    def until_state(self, state: str, since: int = 0, seconds: float = PATIENCE) -> Line:
        return self._browser.expect(since, seconds, tab=self._name, kind="state", state=state)

    def until_error(self) -> Line:
        return self._browser.expect(tab=self._name, kind="error")

    def events(self, channel: str) -> list[tuple[str, Any]]:
        """Name and data of each event that this tab has been seen to receive on the channel, in order."""
        return [
            (line["event"], line.get("data"))
            for line in self._browser.seen
            if line["kind"] == "event" and line["tab"] == self._name and line["channel"] == channel
        ]

    def states(self) -> list[str]:
        return [line["state"] for line in self._browser.seen if line["kind"] == "state" and line["tab"] == self._name]


class NodeSdk(Script):
    """A back end that uses Pusher's official Node SDK."""

    def __init__(self, port: int, *master_key: str) -> None:
        super().__init__("sdk.js", str(port), APP_ID, KEY, SECRET, *master_key)

    def call(self, method: str, *arguments: Any) -> tuple[int, Any]:
        """Status and body of what the SDK's method asked for; the body decoded when it was good."""
        self.write(call=method, arguments=arguments)
        answer = self.read()
        return answer["status"], json.loads(answer["body"]) if answer["status"] == 200 else answer["body"]
