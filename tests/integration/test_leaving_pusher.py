"""The driver ``pusher`` beside a stand-in for Pusher: half of the clients and publishers here, half there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pusher
import pytest

from tests.integration.javascript import Browser, Tab
from tests.processes import APP_ID, CONFIG, KEY, PATIENCE, SECRET, Server, clean_environment, get, until

pytestmark = pytest.mark.real

CHANNELS = ("board", "private-orders.1", "presence-room", "private-encrypted-vault")
EVENTS = 10_002


def forwarding(port: int, **options: object) -> str:
    """The configuration of a server that forwards to the stand-in."""
    table = {"app_id": APP_ID, "key": KEY, "secret": SECRET, "host": "127.0.0.1", "port": port, "scheme": "http"}
    lines = "\n".join(
        f"{key} = {str(value).lower() if isinstance(value, bool) else value!r}"
        for key, value in (table | options).items()
    )
    return f'[driver]\nname = "pusher"\n[driver.pusher]\n{lines}\n{CONFIG}'


def back_end(server: Server) -> pusher.Pusher:
    return pusher.Pusher(APP_ID, KEY, SECRET, host="127.0.0.1", port=server.port, ssl=False)


def metric(server: Server, name: str) -> float:
    lines = get(f"{server.url}/metrics")[1].splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"broadcaster_{name}"))


@pytest.fixture
def both(node: None) -> Iterator[tuple[Server, Server]]:
    """Ours, which forwards and listens, and the stand-in."""
    with Server() as there, Server(forwarding(there.port, bridge=["*"], compare=True)) as here:
        yield here, there


def test_half_here_and_half_there_each_event_reaches_everybody_once_and_in_order(both: tuple[Server, Server]) -> None:
    with ExitStack() as stack:
        tabs: list[tuple[Browser, Tab]] = []
        for server in both:
            browser = stack.enter_context(Browser("pusher-js-8", server.port))
            tabs += [(browser, browser.tab(f"{number}", {"user_id": f"{server.port}-{number}"})) for number in range(2)]
        channels = CHANNELS[:3]
        for _, tab in tabs:
            for channel in channels:
                tab.subscribe(channel, "e")
                tab.expect(channel, "pusher:subscription_succeeded")
        here, there = both
        until(lambda: "broadcaster_pusher_listening 1.0" in get(f"{here.url}/metrics")[1], "listening")
        until(
            lambda: back_end(there).channel_info("board", ["subscription_count"])["subscription_count"] == 3,
            "the bridge",
        )

        def publish(server: Server, name: str, channel: str) -> None:
            sender = back_end(server)
            for number in range(EVENTS // 6):
                sender.trigger(channel, "e", f"{name}{number}")

        with ThreadPoolExecutor() as pool:
            jobs = [
                pool.submit(publish, server, f"{name} {channel} ", channel)
                for channel in channels
                for server, name in ((here, "here"), (there, "there"))
            ]
            for job in jobs:
                job.result()
        for server in both:
            for channel in channels:
                back_end(server).trigger(channel, "e", f"last {server.port}")
        for browser, tab in tabs:
            for channel in channels:
                for server in both:
                    browser.expect(tab=tab._name, kind="event", channel=channel, event="e", data=f"last {server.port}")
                heard = [
                    data for _, data in tab.events(channel) if data is not None and not str(data).startswith("last")
                ]
                for name in ("here", "there"):
                    wanted = [f"{name} {channel} {number}" for number in range(EVENTS // 6)]
                    assert [data for data in heard if str(data).startswith(f"{name} ")] == wanted
        assert metric(here, "pusher_dropped_events") == 0


def compared(server: Server) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("broadcaster")), "compare", "--json", "--dir", str(server.directory)]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_compare_says_that_both_sides_told_the_same_and_names_the_event_that_was_withheld(node: None) -> None:
    with (
        Server() as there,
        Server(forwarding(there.port, bridge=["board"], compare=True)) as here,
        Browser("pusher-js-8", here.port) as browser,
    ):
        tab = browser.tab("1")
        for channel in ("board", "news"):
            tab.subscribe(channel, "e")
            tab.expect(channel, "pusher:subscription_succeeded")
            until(lambda channel=channel: channel in back_end(there).channels_info()["channels"], "the bridge")
        for number in range(20):
            for channel in ("board", "news"):
                back_end(here).trigger(channel, "e", f"here {number}")
            back_end(there).trigger("board", "e", f"there {number}")
        # Nobody here is told what Pusher is told on a channel that is only compared.
        back_end(there).trigger("news", "e", "withheld")
        until(lambda: len(compared(here)["alone"]) == 1, "the comparison")
        report = compared(here)
        (event,) = report["alone"]
        assert (event["side"], event["channel"], event["event"], event["data"]) == ("pusher", "news", "e", "withheld")
        assert report["waiting"] == 0
        assert {row["channel"]: (row["here"], row["pusher"]) for row in report["channels"]} == {
            "board": (0, 0),
            "news": (0, 1),
        }
