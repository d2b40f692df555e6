"""The clients in laravel-echo-server.json: changed as laravel-echo-server does it, and indented as the file is."""

from __future__ import annotations

import json
import re

from broadcaster.cli.credentials import Credentials
from broadcaster.config.json import parse
from broadcaster.config.place import Place, Tree
from broadcaster.errors import ConfigError

_INDENT = re.compile(r'\n([ \t]+)"')


def put(text: str, file: str, wanted: Credentials) -> tuple[str, Credentials, bool]:
    """The new text, the client as it stands in it, and whether it is new. Raises `ConfigError`."""
    tree = parse(text, file)
    clients = _clients(tree, file)
    same = [client for client in clients if _is(client, wanted.id)]
    if any(client.get("key") == wanted.key for client in clients if client not in same):
        raise ConfigError(file, "clients", "another client has that key", "give each client its own")
    for client in same:
        client["key"] = wanted.key
    if not same:
        clients.append({"appId": wanted.id, "key": wanted.key})
    tree["clients"] = clients
    return _written(tree, text), Credentials(wanted.id, wanted.key, None, True), not same


def take(text: str, file: str, app_id: str) -> str | None:
    """The text without that client; None if it is not there. Raises `ConfigError`."""
    tree = parse(text, file)
    clients = _clients(tree, file)
    kept = [client for client in clients if not _is(client, app_id)]
    if len(kept) == len(clients):
        return None
    tree["clients"] = kept
    return _written(tree, text)


def _clients(tree: Tree, file: str) -> list[Tree]:
    place = Place(file).at("clients")
    clients = tree.get("clients")
    if clients is None:
        return []
    if not isinstance(clients, list):
        raise place.unexpected("a list of objects", clients, "write it between brackets", reveal=False)
    for index, client in enumerate(clients):
        if not isinstance(client, dict):
            raise place.at(index).unexpected("an object", client, "write it between braces", reveal=False)
    return clients


def _is(client: Tree, app_id: str) -> bool:
    return str(client.get("appId")) == app_id


def _written(tree: Tree, like: str) -> str:
    indent = _INDENT.search(like)
    end = "\n" if like.endswith("\n") else ""
    return json.dumps(tree, ensure_ascii=False, indent=indent[1] if indent else "\t") + end
