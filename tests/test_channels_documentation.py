"""docs/channels.md tells switches, limits and names as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import asdict, fields

from broadcaster.config import load
from broadcaster.names import _KINDS, is_channel_name, kind_of
from broadcaster.settings import App, Limits

DOCUMENT = (Path(__file__).parent.parent / "docs" / "channels.md").read_text("utf-8")


def test_the_limits_are_the_servers() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", DOCUMENT, re.MULTILINE)
    limits = asdict(Limits())
    assert {name: int(default) for name, default in rows} == {name: limits[name] for name, _ in rows}
    assert len(rows) == 10


def test_every_setting_that_is_named_exists() -> None:
    known = {"apps": App, "limits": Limits}
    named = re.findall(r"`(apps|limits)\.(\w+)", DOCUMENT)
    assert named
    for table, name in named:
        assert name in {field.name for field in fields(known[table])}, f"{table}.{name}"


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE))
def test_its_configuration_is_valid(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broadcaster.toml").write_text(block)
    (app,) = load(None, ".", {}).apps
    assert (app.subscription_count, app.watchlists) == (True, True)


def test_every_prefix_is_explained() -> None:
    assert [prefix for prefix, _ in _KINDS if f"`{prefix}`" not in DOCUMENT] == []


def test_the_channels_of_the_examples_are_of_the_kind_that_they_show() -> None:
    names = re.findall(r'\.(?:subscribe|trigger)\("([^"]+)"', DOCUMENT)
    assert len(names) > 5
    for name in names:
        if not name.startswith("client-"):
            assert is_channel_name(name)
            assert name == "news" or kind_of(name)
