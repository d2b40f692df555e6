"""laravel-echo-server.json as it is: what each of its keys becomes in `broadcaster.settings`."""

from __future__ import annotations

from msgspec.structs import replace

from broadcaster.config.echo_apps import apps
from broadcaster.config.echo_keys import Keys
from broadcaster.config.echo_listen import endpoint
from broadcaster.config.echo_socketio import engine, origins
from broadcaster.config.header_fields import header_fields, header_value
from broadcaster.config.loose import exactly_true, switch, text, wanted
from broadcaster.config.place import Place, Tree
from broadcaster.settings import Cors, EchoApi, Limits, Log, Server, Settings

_REDIS = (
    *("host", "port", "username", "password", "db", "keyPrefix", "path", "tls"),
    *("sentinels", "name", "sentinelPassword"),
)


def settings(tree: Tree, place: Place) -> Settings:
    """What ``tree`` says, with a note for each key that is accepted and does nothing. Raises `ConfigError`.

    Limits that the original does not have are off.
    """
    notes: list[str] = []
    keys = Keys(tree, place, notes)
    host = keys.take("host", text, "")
    socketio = keys.below("socketio")
    subscribers = keys.below("subscribers")
    listen, tls = endpoint(keys, host)
    found = Settings(
        server=Server(
            listen=(listen,),
            origins=socketio.take("origins", origins, ("*",)),
            compression=socketio.take("perMessageDeflate", wanted, False),
        ),
        tls=tls,
        apps=apps(keys, host),
        socketio=engine(socketio),
        echo_api=EchoApi(
            publish=subscribers.take("http", switch, True),
            cors=_cors(keys.below("apiOriginAllow")),
            headers=keys.take("headers", header_fields, {}),
        ),
        limits=Limits(members=0, member_bytes=0, event_bytes=0),
        log=Log(level="debug" if keys.take("devMode", exactly_true, False) else "info"),
        source=place.source,
    )
    _database(keys, subscribers)
    keys.leave()
    return replace(found, notes=tuple(notes))


def _cors(keys: Keys) -> Cors | None:
    allowed = keys.take("allowCors", switch, False)
    origin, methods, headers = (
        keys.take(key, header_value, "") for key in ("allowOrigin", "allowMethods", "allowHeaders")
    )
    keys.leave()
    return Cors(origin=origin, methods=methods, headers=headers) if allowed else None


def _database(keys: Keys, subscribers: Keys) -> None:
    """Nothing of it is there yet: members are kept in memory, and events come by the HTTP API."""
    events = subscribers.take("redis", switch, True)
    if keys.take("database", _driver, "redis") == "redis":
        also = " and events come by the HTTP API alone" if events else ""
        keys.note("database", f"Redis is not there yet: members are kept in memory{also}")
    else:
        keys.note("database", "SQLite is left out: members are kept in memory")
        if events:
            subscribers.note("redis", "Redis is not there yet: events come by the HTTP API alone")
    subscribers.leave()

    config = keys.below("databaseConfig")
    if config.take("publishPresence", exactly_true, False):
        config.note("publishPresence", "is left out until Redis is there")
    redis = config.below("redis")
    redis.read_over(*_REDIS)
    redis.leave()
    sqlite = config.below("sqlite")
    sqlite.ignore("databasePath", "is left out: members are kept in memory")
    sqlite.leave()
    config.leave()


def _driver(value: object, place: Place) -> str:
    if value not in ("redis", "sqlite"):
        raise place.unexpected('"redis" or "sqlite"', value)
    return str(value)
