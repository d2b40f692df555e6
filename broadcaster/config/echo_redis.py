"""Where laravel-echo-server.json says that events come from; ioredis' options become our driver's."""

from __future__ import annotations

from urllib.parse import quote

from broadcaster.config.echo_keys import Keys
from broadcaster.config.loose import exactly_true, number, switch, text, wanted
from broadcaster.config.place import Place, Tree
from broadcaster.settings import Driver

PRESUMED: Tree = {"url": "redis://127.0.0.1:6379/0"}
"""The Redis of a file that says nothing about it, such as the one that ``laravel-echo-server init`` writes."""


def driver(keys: Keys, subscribers: Keys) -> Driver:
    """Redis, unless ``subscribers`` says that no events come from there; members are where events are."""
    redis = subscribers.take("redis", switch, True)
    database = keys.take("database", _database, "redis")
    if database == "sqlite":
        keys.note("database", f"SQLite is left out: members are kept in {'Redis' if redis else 'memory'}")
    elif not redis:
        keys.note("database", "members are kept in memory, since subscribers.redis is false")
    config = keys.below("databaseConfig")
    if config.take("publishPresence", exactly_true, False):
        config.note("publishPresence", "is left out: nothing is published about members")
    options = _options(config.below("redis"))
    sqlite = config.below("sqlite")
    sqlite.ignore("databasePath", "is left out: nothing is kept in SQLite")
    sqlite.leave()
    config.leave()
    return Driver(name="redis", options=options, presumed=options == PRESUMED) if redis else Driver()


def _options(redis: Keys) -> Tree:
    database = int(redis.take("db", number, 0.0))
    secure, verify = _tls(redis)
    host, port = redis.take("host", text, "127.0.0.1"), redis.take("port", text, "6379").strip()
    path, name = redis.take("path", text, ""), redis.take("name", text, "mymaster")
    sentinels = [_sentinel(each) for each in redis.each("sentinels")]
    scheme = "rediss" if secure else "redis"
    if path:
        url = f"redis+unix://{quote(path)}?db={database}"
    elif sentinels:
        url = f"{scheme}+sentinel://{','.join(sentinels)}/{quote(name, safe='')}/{database}"
    else:
        url = f"{scheme}://{_bracketed(host)}:{port}/{database}"
    options: Tree = {"url": url}
    password = redis.take("password", text, "")
    for key, value in (
        ("username", redis.take("username", text, "") if password else ""),
        ("password", password),
        ("sentinel_password", redis.take("sentinelPassword", text, "") if sentinels else ""),
        ("prefix", redis.take("keyPrefix", text, "")),
    ):
        if value:
            options[key] = value
    if not verify:
        options["verify"] = False
    redis.read_over("username", "sentinelPassword")
    redis.leave()
    return options


def _tls(redis: Keys) -> tuple[bool, bool]:
    """Whether there is TLS, and whether the certificate is looked at."""
    if not redis.holds_object("tls"):
        return redis.take("tls", wanted, False), True
    tls = redis.below("tls")
    verify = tls.take("rejectUnauthorized", switch, True)
    tls.leave()
    return True, verify


def _sentinel(keys: Keys) -> str:
    host, port = keys.take("host", text, "127.0.0.1"), keys.take("port", text, "26379").strip()
    keys.leave()
    return f"{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host.strip())


def _database(value: object, place: Place) -> str:
    if value not in ("redis", "sqlite"):
        raise place.unexpected('"redis" or "sqlite"', value)
    return str(value)
