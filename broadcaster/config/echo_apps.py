"""``clients`` and ``authHost`` of laravel-echo-server.json: the apps, and the application that all of them ask."""

from __future__ import annotations

from secrets import token_hex

from broadcaster.config.echo_keys import Keys
from broadcaster.config.loose import text, texts
from broadcaster.settings import App, Auth

ONLY_APP = "laravel-echo-server"
"""The id of the app of a file without clients: Socket.IO's, which nobody can name and which has no HTTP API."""


def apps(keys: Keys, host: str) -> tuple[App, ...]:
    """One app for each client, with its key as bearer key; the first is the app of Socket.IO's clients.

    A client has a key but no secret, so that its app refuses whatever is signed until it is given one.
    """
    auth = _auth(keys, host)
    found: dict[str, App] = {}
    for client in keys.each("clients"):
        app_id, key = client.take("appId", text, ""), client.take("key", text, "")
        client.leave()
        if not app_id or not key:
            client.note("", "is left out: a client has an appId and a key")
        elif app_id in found:
            client.note("appId", "is there twice: the first counts")
        elif any(app.key == key for app in found.values()):
            raise client.at("key").error("is another client's key", "give each client its own")
        else:
            found[app_id] = App(id=app_id, key=key, secrets=(), bearer=True, auth=auth)
    only = App(id=ONLY_APP, key=token_hex(16), secrets=(token_hex(32),), auth=auth)
    return tuple(found.values()) or (only,)


def _auth(keys: Keys, host: str) -> Auth:
    """An empty string stands for ``host``, an empty list for the default."""
    hosts = keys.take("authHost", texts, Auth().host)
    if hosts == ("",) and host:
        hosts = (host,)
    hosts = tuple(filter(None, hosts)) or Auth().host
    return Auth(host=hosts, endpoint=keys.take("authEndpoint", text, Auth().endpoint), verify=False)
