"""What an endpoint string says about the address, read without Twisted."""

from __future__ import annotations

import re
from dataclasses import dataclass

from broadcaster.config.listen import without_proxy

_ARGUMENT = re.compile(r"((?:[^:\\]|\\.)*)(?::|\Z)")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Either ``path``, of a unix socket, or ``port`` on ``interface``, which is empty for all of them."""

    path: str | None = None
    port: int | None = None
    interface: str = ""
    secure: bool = False
    proxied: bool = False


def endpoint(description: str) -> Endpoint | None:
    """The address in ``description``; None for one of another kind, such as ``systemd:``."""
    proxied, description = without_proxy(description)
    kind, *arguments = (re.sub(r"\\(.)", r"\1", match[1]) for match in _ARGUMENT.finditer(description))
    values = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    first = next((argument for argument in arguments[:1] if "=" not in argument), "")
    match kind:
        case "unix":
            return Endpoint(path=values.get("address", first), proxied=proxied)
        case "tcp" | "tls" | "ssl":
            port = values.get("port", first)
            if not port.isdigit():
                return None
            return Endpoint(None, int(port), values.get("interface", ""), kind != "tcp", proxied)
        case _:
            return None
