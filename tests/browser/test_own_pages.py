"""The server's own pages, and the page and the commands of the README, as a person who tries them meets them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.browser.chromium import Chromium, Tab
from tests.conftest import require
from tests.processes import PATIENCE, Server

pytestmark = pytest.mark.real

README = (Path(__file__).parents[2] / "README.md").read_text()
NODE_MODULES = Path(__file__).parents[1] / "node" / "node_modules"

GREETING = '{"text":"hello"}'

READABLE = 4.5
"""Contrast of text to its background (WCAG 2.1, 1.4.3)."""


@pytest.mark.parametrize("path", ["/", "/demo/"])
def test_a_page_can_be_read_by_day_and_by_night(chromium: Chromium, embedded: Server, path: str) -> None:
    brightness = []
    for scheme in ("light", "dark"):
        with Tab(chromium, embedded.url + path, scheme) as tab:
            back = luminance(tab.until("getComputedStyle(document.body).backgroundColor"))
            colours = tab.until("[...document.body.querySelectorAll('*')].map((each) => getComputedStyle(each).color)")
            for colour in set(colours):
                assert contrast(luminance(colour), back) >= READABLE, f"{colour} in the {scheme} scheme"
            assert tab.until("document.documentElement.scrollWidth <= innerWidth")
            assert tab.errors() == []
            brightness.append(back)
    assert brightness[0] > 0.9 > 0.1 > brightness[1]


def test_the_first_page_leads_somewhere(chromium: Chromium, embedded: Server) -> None:
    with Tab(chromium, f"{embedded.url}/") as tab:
        assert tab.until("document.querySelector('h1').textContent") == "broadcaster runs here"
        answers = "Promise.all([...document.links].map(({ href }) => fetch(href).then(({ status }) => status)))"
        assert set(tab.until(answers)) == {200}


def test_the_demo_shows_what_its_own_command_publishes_and_survives_a_restart(
    chromium: Chromium, embedded: Server
) -> None:
    listening = "document.getElementById('state').textContent === 'Listening to my-channel'"
    event = "document.querySelector('#events li:first-child code')?.textContent"
    with Tab(chromium, f"{embedded.url}/demo/") as tab:
        tab.until(listening)
        assert shell(tab.until("document.getElementById('publish').textContent")) == "{}"
        assert tab.until(event) == GREETING
        assert tab.errors() == []
        embedded.kill()
        tab.until("document.getElementById('state').textContent === 'Disconnected (1006)'")
        embedded.start()
        tab.until(listening)
        shell(tab.until("document.getElementById('publish').textContent"))
        assert tab.until("document.querySelectorAll('#events li').length === 2")


def test_the_page_of_the_readme_shows_what_the_commands_of_the_readme_publish(
    chromium: Chromium, embedded: Server, tmp_path: Path
) -> None:
    """The page is opened as it stands, from a file; the browser knows who is meant by port 6001."""
    page = tmp_path / "page.html"
    page.write_text(block("html"))
    with Tab(chromium, page.as_uri()) as tab:
        shown = "[...document.querySelectorAll('#events li')].map((each) => each.textContent)"
        tab.until(f"{shown}.length === 1")
        assert shell(block("sh", "curl").replace("127.0.0.1:6001", f"127.0.0.1:{embedded.port}")) == "{}"
        tab.until(f"{shown}.length === 2")
        script = block("js", "pusher.trigger").replace('"6001"', f'"{embedded.port}"')
        run("node", "-e", script, NODE_PATH=str(NODE_MODULES))
        tab.until(f"{shown}.length === 3")
        assert tab.until(shown) == ["pusher:subscription_succeeded: {}", *[f"greeting: {GREETING}"] * 2]
        assert tab.errors() == []


def block(language: str, with_: str = "") -> str:
    """The README's first block of that language which holds ``with_``."""
    found = [text for text in re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S) if with_ in text]
    assert found, f"the README shows no {language} with {with_!r}"
    return str(found[0])


def shell(commands: str) -> str:
    """What commands that are shown to people print."""
    for program in ("curl", "openssl"):
        require(shutil.which(program) is not None, f"{program} is not installed (make test-deps)")
    return run("sh", "-ec", commands)


def run(*command: str, **environment: str) -> str:
    return subprocess.run(
        command,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    ).stdout


def luminance(colour: str) -> float:
    """Of an `rgb(…)` colour, from 0 to 1 (WCAG 2.1)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
