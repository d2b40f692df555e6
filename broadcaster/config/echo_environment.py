"""laravel-echo-server's own variables, from the environment or the working directory's ``.env``, over its file."""

from __future__ import annotations

import re
from collections.abc import Mapping

from broadcaster.config.place import Path, Tree, put

PREFIX = "LARAVEL_ECHO_SERVER_"

VARIABLES: dict[str, Path] = {
    f"{PREFIX}AUTH_HOST": ("authHost",),
    f"{PREFIX}DEBUG": ("devMode",),
    f"{PREFIX}HOST": ("host",),
    f"{PREFIX}PORT": ("port",),
    f"{PREFIX}PROTO": ("protocol",),
    f"{PREFIX}REDIS_HOST": ("databaseConfig", "redis", "host"),
    f"{PREFIX}REDIS_PORT": ("databaseConfig", "redis", "port"),
    f"{PREFIX}REDIS_PASSWORD": ("databaseConfig", "redis", "password"),
    f"{PREFIX}SSL_CERT": ("sslCertPath",),
    f"{PREFIX}SSL_KEY": ("sslKeyPath",),
    f"{PREFIX}SSL_CHAIN": ("sslCertChainPath",),
    f"{PREFIX}SSL_PASS": ("sslPassphrase",),
}
"""The key that each of them sets."""

_OTHER = re.compile(r"\$\{(.*?)\}")


def overlay(tree: Tree, environ: Mapping[str, str]) -> tuple[Tree, dict[Path, str]]:
    """``tree`` with what ``environ`` says put over it, and which variable it was that set a path.

    One that is set to nothing does not count. A value with ``${NAME}`` in it is the value of that variable, whole.
    """
    origins: dict[Path, str] = {}
    for variable, path in VARIABLES.items():
        value = environ.get(variable, "")
        other = _OTHER.search(value)
        if other is not None:
            value = environ.get(other[1], "")
        if value:
            tree = put(tree, path, value)
            origins[path] = variable
    return tree, origins
