"""docs/configuration.md tells every key as it is: its examples load, its defaults are those of the structs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields, replace

from broadcaster.config import echo_environment, load
from broadcaster.config.environment import variables
from broadcaster.config.place import words
from broadcaster.config.schema import keys, leaves
from broadcaster.errors import ConfigError
from broadcaster.settings import App, Limits, Log, Settings

DOCUMENT = (Path(__file__).parent.parent / "docs" / "configuration.md").read_text("utf-8")


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(written: str) -> Settings:
    Path("broadcaster.toml").write_text(written)
    return load(None, ".", {})


def _toml_blocks() -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def _all_defaults() -> str:
    (block,) = re.findall(r"<!-- every default -->\n```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    return str(block)


def test_the_documented_file_of_defaults_is_what_the_structs_have() -> None:
    assert loaded(_all_defaults()) == Settings(
        apps=(App(id="shop", key="a-public-key", secrets=("keep-this-to-yourself",)),), source="broadcaster.toml"
    )


def test_the_documented_file_of_defaults_leaves_no_key_out() -> None:
    commented_in = re.sub(r"^# (?=\w+ = |\[)", "", _all_defaults(), flags=re.MULTILINE)
    tree = tomllib.loads(commented_in)
    for path, _ in leaves():
        node: object = tree
        for step in path:
            if step == "secrets":
                break
            node = node[step]  # type: ignore[index]
    settings = loaded(commented_in)
    assert settings.limits.frame_bytes == Limits().largest_frame()
    assert settings.limits.body_bytes == Limits().largest_body()


@pytest.mark.parametrize("block", _toml_blocks())
def test_every_documented_example_is_valid(block: str) -> None:
    Path("broadcaster.toml").write_text(block)
    load(None, ".", {"PUSHER_APP_ID": "i", "PUSHER_APP_KEY": "k", "PUSHER_APP_SECRET": "s"})


def test_the_documented_container_needs_no_file() -> None:
    (shell,) = re.findall(r"^```sh\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)
    settings = load(None, ".", dict(re.findall(r"([A-Z_]+)=(\S+)", shell)))
    assert settings == Settings(
        apps=(App(id="shop", key="a-public-key", secrets=("keep-this-to-yourself",)),),
        log=Log(format="json"),
        source="embedded default and the environment",
    )


def test_every_key_is_documented_with_its_type_its_default_and_its_variable() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (.+?) \| (.+?) \| .+? \| `([A-Z_]+)` \|$", DOCUMENT, re.MULTILINE)
    documented = {key: (kind, default, variable) for key, kind, default, variable in rows}
    assert len(documented) == len(rows)
    expected = {}
    for variable, (path, kind) in variables().items():
        if variable.startswith("BROADCASTER_"):
            key = ".".join(words(path))
            _, in_words, _ = documented.get(key, ("", "", ""))
            expected[key] = (_type(kind), _default(path) or in_words, variable)
    assert documented == expected


def _type(kind: object) -> str:
    if get_origin(kind) is Literal:
        *others, last = (f"`{choice}`" for choice in get_args(kind))
        return f"{', '.join(others)} or {last}"
    types: dict[object, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return types.get(kind, "table of strings" if kind == dict[str, str] else "list of strings")


def _default(path: tuple[str | int, ...]) -> str | None:
    """As the documentation writes it; None for what is described in words."""
    struct: Any = Settings
    for step in words(path[:-1]):
        kind: Any = keys(struct)[step]
        struct = get_args(kind)[0] if get_origin(kind) is tuple else kind
    defaults = {field.name: field.default for field in fields(struct)}
    default = defaults.get(str(path[-1]), NODEFAULT)
    return None if default in (NODEFAULT, None) else f"`{json.dumps(default, ensure_ascii=False)}`"


def test_the_documented_errors_are_the_ones_that_are_given() -> None:
    lines = [
        _line('origins = ["*"]', {}),
        _line("[log]\n\nlevel =  debug", {}),
        _line("", {"BROADCASTER_LIMITS_EVENT_BYTES": "abc"}),
    ]
    assert f"```text\n{chr(10).join(lines)}\n```" in DOCUMENT


def _line(written: str, environ: dict[str, str]) -> str:
    Path("broadcaster.toml").write_text(written)
    with pytest.raises(ConfigError) as caught:
        load(None, ".", environ)
    return str(caught.value)


# ---- moving from laravel-echo-server --------------------------------------------------------------------------

MOVING = (Path(__file__).parent.parent / "docs" / "moving-from-laravel-echo-server.md").read_text("utf-8")


def test_the_documented_json_is_the_same_as_the_documented_toml_but_for_the_secret() -> None:
    for language in ("json", "toml"):
        (block,) = re.findall(rf"^```{language}\n(.*?)^```", MOVING, re.DOTALL | re.MULTILINE)
        Path(f"x.{language}").write_text(block)
    theirs, ours = load("x.json", ".", {}), load("x.toml", ".", {})
    (app,) = ours.apps
    theirs = replace(theirs, driver=replace(theirs.driver, presumed=False))
    assert replace(theirs, source="", notes=()) == replace(ours, source="", apps=(replace(app, secrets=()),))


def test_every_variable_of_laravel_echo_server_is_documented() -> None:
    for variable in echo_environment.VARIABLES:
        assert f"`{variable.removeprefix(echo_environment.PREFIX)}`" in MOVING or f"`{variable}`" in MOVING
