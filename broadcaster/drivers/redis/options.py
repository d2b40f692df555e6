"""``[driver.redis]``: what it may say, and what of it does not go together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from broadcaster.config.options import read_options as read_table
from broadcaster.drivers.redis.address import FORMS, Address, BadAddress, read_address
from broadcaster.errors import ConfigError

LEAST = {"lease_seconds": 2.0, "linger_seconds": 0.0}
LEAST_SECONDS, MOST_SECONDS = 0.1, 3_600.0
"""What a time here may be, unless `LEAST` says otherwise."""


class Table(Struct, frozen=True, kw_only=True):
    """The keys as they may be written. Times in seconds."""

    url: str = "redis://127.0.0.1:6379/0"
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


class Options(Table, frozen=True, kw_only=True):
    """The keys and the address that they make together, with whom to sign in as."""

    address: Address = Address(hosts=(("127.0.0.1", 6379),))


def read_options(table: Mapping[str, Any]) -> Options:
    """What ``[driver.redis]`` says; raises `ConfigError`, which never quotes a secret.

    What has no default may be empty: that is how a container's environment leaves something out.
    """
    absent = [name for name, value in asdict(Table()).items() if value == ""]
    given = read_table(Table, {key: value for key, value in table.items() if value != "" or key not in absent}, "redis")
    try:
        address = read_address(given.url)
    except BadAddress as bad:
        raise error("url", str(bad), f"write one of {FORMS}") from None
    for key in ("username", "password"):
        if getattr(given, key):
            if getattr(address, key):
                raise error(key, "is given besides the one in driver.redis.url", "keep one of the two")
            address = replace(address, **{key: getattr(given, key)})
    _check(given, address)
    return Options(**asdict(given), address=address)


def error(key: str, problem: str, remedy: str = "") -> ConfigError:
    """A `ConfigError` about a key of this table."""
    return ConfigError("configuration", f"driver.redis.{key}", problem, remedy)


def _check(given: Table, address: Address) -> None:
    if address.username and not address.password:
        raise error("username", "is given without a password", "add driver.redis.password")
    if given.sentinel_username and not given.sentinel_password:
        raise error("sentinel_username", "is given without a password", "add driver.redis.sentinel_password")
    if given.sentinel_password and not address.master:
        raise error("sentinel_password", "is given, but the url names no Sentinels", f"write one of {FORMS}")
    if bool(given.certificate) != bool(given.key):
        key, missing = ("certificate", "key") if given.certificate else ("key", "certificate")
        raise error(key, f"is given without driver.redis.{missing}", "both belong together")
    for key in ("ca", "certificate", "key"):
        if getattr(given, key) and not address.tls:
            raise error(key, "is given, but the url asks for no TLS", "write rediss:// or take it out")
        if getattr(given, key) and not Path(getattr(given, key)).is_file():
            raise error(key, f"there is no file {getattr(given, key)!r}", "name a PEM file")
    if ":" in given.namespace or "@" in given.namespace:
        raise error("namespace", 'may hold neither ":" nor "@"', 'write e.g. "broadcaster"')
    for key, value in asdict(given).items():
        if key.endswith("_seconds"):
            least = LEAST.get(key, LEAST_SECONDS)
            if not least <= value <= MOST_SECONDS:
                raise error(key, f"expected {least:g} to {MOST_SECONDS:g}, got {value:g}")
