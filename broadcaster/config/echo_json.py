"""laravel-echo-server.json as it is: what each of its keys becomes in `broadcaster.settings`."""

from __future__ import annotations

from msgspec.structs import replace

from broadcaster.config.echo_apps import apps
from broadcaster.config.echo_keys import Keys
from broadcaster.config.echo_listen import endpoint
from broadcaster.config.echo_redis import driver
from broadcaster.config.echo_socketio import engine, origins
from broadcaster.config.header_fields import header_fields, header_value
from broadcaster.config.loose import exactly_true, switch, text, wanted
from broadcaster.config.place import Place, Tree
from broadcaster.settings import Cors, EchoApi, Limits, Log, Server, Settings


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
        driver=driver(keys, subscribers),
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
    subscribers.leave()
    keys.leave()
    return replace(found, notes=tuple(notes))


def _cors(keys: Keys) -> Cors | None:
    allowed = keys.take("allowCors", switch, False)
    origin, methods, headers = (
        keys.take(key, header_value, "") for key in ("allowOrigin", "allowMethods", "allowHeaders")
    )
    keys.leave()
    return Cors(origin=origin, methods=methods, headers=headers) if allowed else None
