"""The apps in ``broadcaster.toml``: changed so that every other line of the file stays as it was."""

from __future__ import annotations

import re
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array

from broadcaster.cli.credentials import Credentials, random_secret
from broadcaster.config.place import Place, Tree
from broadcaster.config.toml import parse
from broadcaster.errors import ConfigError

_HEADER = re.compile(r"""\s*\[{1,2}\s*["']?(?P<table>[\w-]+)["']?\s*(?P<below>\.[^\]]*)?\]{1,2}\s*(#.*)?""")
_COMMENT = re.compile(r"\s*#.*")


def put(text: str, file: str, wanted: Credentials) -> tuple[str, Credentials, bool]:
    """The new text, the app as it stands in it, and whether it is new. Raises `ConfigError`."""
    tree = parse(text, file)
    apps = _apps(tree, file)
    index = _index(apps, wanted.id)
    if any(app.get("key") == wanted.key for at, app in enumerate(apps) if at != index):
        raise ConfigError(file, "apps.key", "another app has that key", "give each app its own")
    given: Tree = {"id": wanted.id, "key": wanted.key}
    if wanted.secret is not None or index is None:
        given["secret"] = wanted.secret or random_secret()
    if wanted.bearer:
        given["bearer"] = True
    if index is None:
        changed = _with_one_more(text, file, given)
        app, expected = given, [*apps, given]
    else:
        changed = _with_values(text, file, index, given)
        app = {key: value for key, value in apps[index].items() if key != "secrets" or "secret" not in given} | given
        expected = [*apps[:index], app, *apps[index + 1 :]]
    return _checked(changed, file, tree, expected), _credentials(app), index is None


def take(text: str, file: str, app_id: str) -> str | None:
    """The text without that app; None if it is not there. Raises `ConfigError`."""
    tree = parse(text, file)
    apps = _apps(tree, file)
    index = _index(apps, app_id)
    if index is None:
        return None
    return _checked(_without(text, file, index), file, tree, [*apps[:index], *apps[index + 1 :]])


def _apps(tree: Tree, file: str) -> list[Tree]:
    apps = tree.get("apps", [])
    if not isinstance(apps, list) or not all(isinstance(app, dict) for app in apps):
        raise Place(file).at("apps").unexpected("a list of tables", apps, "write [[apps]]", reveal=False)
    return apps


def _index(apps: list[Tree], app_id: str) -> int | None:
    return next((index for index, app in enumerate(apps) if app.get("id") == app_id), None)


def _credentials(app: Tree) -> Credentials:
    secrets = app.get("secrets")
    secret = secrets[0] if isinstance(secrets, list) and secrets else app.get("secret")
    return Credentials(
        str(app["id"]), str(app["key"]), None if secret is None else str(secret), bool(app.get("bearer"))
    )


def _with_one_more(text: str, file: str, app: Tree) -> str:
    """A table at the end of the file, where it is in no other's way; or an item where the apps are written so."""
    document = _document(text, file)
    if _inline(document):
        item = tomlkit.inline_table()
        item.update(app)
        document["apps"].append(item)
        return document.as_string()
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = ["[[apps]]", *(f"{key} = {tomlkit.item(value).as_string()}" for key, value in app.items()), ""]
    before = text if not text or text.endswith("\n") else text + newline
    return before + (newline if before else "") + newline.join(lines)


def _with_values(text: str, file: str, index: int, values: Tree) -> str:
    document = _document(text, file)
    app: Any = document["apps"][index]
    if "secret" in values:
        app.pop("secrets", None)
    app.update(values)
    return document.as_string()


def _without(text: str, file: str, index: int) -> str:
    """Take out the table with the comment right above it, up to the next one with its comment."""
    document = _document(text, file)
    if _inline(document):
        del document["apps"][index]
        return document.as_string()
    lines = text.splitlines(keepends=True)
    headers = [(at, found) for at, line in enumerate(lines) if (found := _HEADER.fullmatch(line.rstrip("\r\n")))]
    tables = [number for number, (_, found) in enumerate(headers) if found["table"] == "apps" and not found["below"]]
    if index >= len(tables):
        raise _beyond_us(file)
    own = tables[index]
    others = (at for at, found in headers[own + 1 :] if found["table"] != "apps" or not found["below"])
    start = _with_comment(lines, headers[own][0])
    end = _with_comment(lines, next(others, len(lines)))
    while end == len(lines) and start and not lines[start - 1].strip():
        start -= 1
    return "".join([*lines[:start], *lines[max(start, end) :]])


def _with_comment(lines: list[str], at: int) -> int:
    """Where the comment begins that stands right above a header; the end of the file has none."""
    while 0 < at < len(lines) and _COMMENT.fullmatch(lines[at - 1].rstrip("\r\n")):
        at -= 1
    return at


def _inline(document: tomlkit.TOMLDocument) -> bool:
    """Whether the apps are written as ``apps = [{…}]``."""
    return isinstance(document.get("apps"), Array)


def _document(text: str, file: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError:
        raise _beyond_us(file) from None


def _checked(changed: str, file: str, before: Tree, apps: list[Tree]) -> str:
    """``changed``, if it says what was meant: a file may be written in ways that nobody thought of."""
    found = {"apps": []} | parse(changed, file)
    if found != before | {"apps": apps}:
        raise _beyond_us(file)
    return changed


def _beyond_us(file: str) -> ConfigError:
    return ConfigError(file, "apps", "cannot be changed without changing more of the file", "edit it by hand")
