"""``[driver.redis]``: what it may say, checked key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from broadcaster.drivers.redis.address import FORMS, Address, BadAddress, read_address
from broadcaster.errors import ConfigError

LONGEST = 3_600.0
"""Seconds: more of any of the times here cannot be meant."""


class Options(Struct, frozen=True, kw_only=True):
    """The table as it counts: defaults filled in, name and password of the URL in the address. Times in seconds."""

    url: Address = Address(hosts=(("127.0.0.1", 6379),))
    username: str = ""
    password: str = ""
    sentinel_username: str = ""
    sentinel_password: str = ""
    prefix: str = ""
    namespace: str = "broadcaster"
    ca: str = ""
    certificate: str = ""
    key: str = ""
    verify: bool = True
    lease_seconds: float = 15
    canary_seconds: float = 3
    connect_seconds: float = 5
    reply_seconds: float = 5
    wait_seconds: float = 10
    linger_seconds: float = 5


def read_options(table: Mapping[str, Any]) -> Options:
    """What ``[driver.redis]`` says; raises `ConfigError`, which never quotes a secret.

    Numbers and switches may be text, which is what the environment has.
    """
    kinds = {field.name: field.type for field in fields(Options)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in kinds:
            nearest = get_close_matches(key, kinds, 1)
            known = f"known are: {', '.join(kinds)}"
            raise error(key, "unknown key", f"did you mean driver.redis.{nearest[0]}?" if nearest else known)
        if value is not None:
            values[key] = _READERS[kinds[key]](key, value)
    options = Options(**values)
    _check(options)
    url = options.url
    return replace(options, username=options.username or url.username, password=options.password or url.password)


def error(key: str, problem: str, remedy: str = "") -> ConfigError:
    """A `ConfigError` about a key of this table."""
    return ConfigError("configuration", f"driver.redis.{key}", problem, remedy)


def _check(options: Options) -> None:
    url = options.url
    for key in ("username", "password"):
        if getattr(options, key) and getattr(url, key):
            raise error(key, "is given besides the one in driver.redis.url", "keep one of the two")
    if options.username and not (options.password or url.password):
        raise error("username", "is given without a password", "add driver.redis.password")
    if options.sentinel_username and not options.sentinel_password:
        raise error("sentinel_username", "is given without a password", "add driver.redis.sentinel_password")
    if options.sentinel_password and not url.master:
        raise error("sentinel_password", "is given, but the url names no Sentinels", f"write e.g. url = {FORMS!r}")
    if (options.certificate == "") != (options.key == ""):
        given, missing = ("certificate", "key") if options.certificate else ("key", "certificate")
        raise error(given, f"is given without driver.redis.{missing}", "both belong together")
    for key in ("ca", "certificate", "key"):
        file = getattr(options, key)
        if file and not url.tls:
            raise error(key, "is given, but the url asks for no TLS", "write rediss:// or take it out")
        if file and not Path(file).is_file():
            raise error(key, f"there is no file {file!r}", "name a PEM file")
    if ":" in options.namespace or "@" in options.namespace:
        raise error("namespace", 'may hold neither ":" nor "@"', 'write e.g. "broadcaster"')
    if not options.namespace:
        raise error("namespace", "is empty", 'write e.g. "broadcaster"')
    if options.lease_seconds < 2:
        raise error("lease_seconds", "is less than 2", "processes say that they live at a third of it")


def _address(key: str, value: object) -> Address:
    try:
        return read_address(_text(key, value))
    except BadAddress as bad:
        raise error(key, str(bad), f"write one of {FORMS}") from None


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise error(key, "must be a string", "put it in quotes")
    if "\n" in value or "\0" in value:
        raise error(key, "holds a line break or a zero", "write it on one line")
    return value


def _switch(key: str, value: object) -> bool:
    given = {"true": True, "false": False}.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(given, bool):
        raise error(key, "must be true or false")
    return given


def _seconds(key: str, value: object) -> float:
    try:
        given = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        given = None
    least = 0.0 if key == "linger_seconds" else 0.1
    if given is None or not isfinite(given) or not least <= given <= LONGEST:
        raise error(key, f"must be a number of seconds, {least:g} to {LONGEST:g}")
    return given


_READERS: dict[object, Callable[[str, object], object]] = {
    Address: _address,
    str: _text,
    bool: _switch,
    float: _seconds,
}
