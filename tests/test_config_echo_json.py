"""laravel-echo-server.json, unchanged: each key, what is noted, and one line for what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent

from broadcaster.auth.requests import RequestRefused, authenticate
from broadcaster.auth.signature import check, matches, sign
from broadcaster.config import load
from broadcaster.config.echo_environment import VARIABLES
from broadcaster.config.echo_json import settings as settings_of
from broadcaster.config.echo_redis import PRESUMED
from broadcaster.config.place import Place
from broadcaster.drivers.redis.options import read_options
from broadcaster.errors import ConfigError
from broadcaster.service import build
from broadcaster.settings import Cors, Driver, EchoApi, Log, Server, Settings, SocketIO
from tests.echo_files import AUTH, CLIENT, DEFAULTS, FILE, loaded, refusal


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def noted(key: str, text: str) -> tuple[str, ...]:
    """The notes of a file whose only fault is this."""
    return (f"{FILE}: {key}: {text}",)


def with_auth(**values: Any) -> Settings:
    return replace(DEFAULTS, apps=(replace(CLIENT, auth=replace(AUTH, **values)),))


def with_server(**values: Any) -> Settings:
    return replace(DEFAULTS, server=replace(DEFAULTS.server, **values))


def with_socketio(**values: Any) -> Settings:
    return replace(DEFAULTS, socketio=SocketIO(**values))


# ---- the file -------------------------------------------------------------------------------------------------


def test_it_is_found_where_there_is_no_toml_file(tmp_path: Path) -> None:
    assert loaded({}) == DEFAULTS
    assert load(None, str(tmp_path), {}).source == str(tmp_path / FILE)
    Path("broadcaster.toml").write_text('[[apps]]\nid = "a"\nkey = "k"\nsecret = "s"')
    assert load(None, ".", {}).source == "broadcaster.toml"
    assert load(FILE, ".", {}) == DEFAULTS, "when it is named"


def test_any_name_will_do_when_it_is_named() -> None:
    Path("echo.json").write_bytes(b"\xef\xbb\xbf{}")
    assert load("echo.json", ".", {}).source == "echo.json"


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (
            '{\n "port": 6001,\n}',
            "line 3, column 1: is not valid JSON: Expecting property name enclosed in double quotes; "
            "text goes in double quotes; JSON has no comments, and no comma after the last item",
        ),
        ('{"port": NaN}', "is not valid JSON: NaN; write a number"),
        ('{"port": ' + "9" * 9_000 + "}", "a number has thousands of digits; write one that is meant"),
        ("[" * 99_999, "is nested too deeply; nothing in a configuration needs that"),
        ("[]", 'is no JSON object; write its keys between braces: {"port": 6001}'),
    ],
)
def test_what_is_no_json_object_is_refused(written: str, line: str) -> None:
    assert refusal(written) == line


# ---- each key -------------------------------------------------------------------------------------------------

EACH_KEY: dict[str, tuple[dict[str, Any], Settings]] = {
    "authHost": ({"authHost": "http://a.test"}, with_auth(host=("http://a.test",))),
    "several authHost": (
        {"authHost": ["https://a.test", "", ".b.test"]},
        with_auth(host=("https://a.test", ".b.test")),
    ),
    "empty authHost": (
        {"authHost": "", "host": "h"},
        replace(with_auth(host=("h",)), server=Server(listen=("tcp:6001:interface=h",))),
    ),
    "no authHost": ({"authHost": [], "host": "h"}, with_server(listen=("tcp:6001:interface=h",))),
    "authEndpoint": ({"authEndpoint": "/auth"}, with_auth(endpoint="/auth")),
    "empty authEndpoint": ({"authEndpoint": ""}, with_auth(endpoint="")),
    "clients": ({"clients": [{"appId": "a", "key": "k"}]}, replace(DEFAULTS, apps=(replace(CLIENT, id="a", key="k"),))),
    "database": ({"database": "redis"}, DEFAULTS),
    "publishPresence": ({"databaseConfig": {"publishPresence": "yes"}}, DEFAULTS),
    "devMode": ({"devMode": True}, replace(DEFAULTS, log=Log(level="debug"))),
    "devMode in quotes": ({"devMode": "true"}, replace(DEFAULTS, log=Log(level="debug"))),
    "devMode otherwise": ({"devMode": 1}, DEFAULTS),
    "host": ({"host": "::1"}, with_server(listen=("tcp:6001:interface=\\:\\:1",))),
    "no host": ({"host": None}, DEFAULTS),
    "port": ({"port": 80}, with_server(listen=("tcp:80",))),
    "protocol": ({"protocol": "http"}, DEFAULTS),
    "ssl without https": ({"sslCertPath": "c", "sslKeyPath": "k", "sslPassphrase": "p"}, DEFAULTS),
    "subscribers": ({"subscribers": {"http": False}}, replace(DEFAULTS, echo_api=EchoApi(publish=False))),
    "apiOriginAllow": (
        {"apiOriginAllow": {"allowCors": "true", "allowOrigin": "*", "allowMethods": ["GET", "POST"]}},
        replace(DEFAULTS, echo_api=EchoApi(cors=Cors(origin="*", methods="GET, POST", headers=""))),
    ),
    "no apiOriginAllow": ({"apiOriginAllow": {"allowCors": False, "allowOrigin": "*"}}, DEFAULTS),
    "headers": (
        {"headers": {"X-Served-By": "echo", "X-Number": 1}},
        replace(DEFAULTS, echo_api=EchoApi(headers={"X-Served-By": "echo", "X-Number": "1"})),
    ),
    "socketio": ({"socketio": {}}, DEFAULTS),
    "path": ({"socketio": {"path": "/ws/"}}, with_socketio(path="/ws")),
    "pingInterval": ({"socketio": {"pingInterval": "10000"}}, with_socketio(ping_interval=10)),
    "pingInterval of 300 ms": ({"socketio": {"pingInterval": 300}}, with_socketio(ping_interval=0.3)),
    "pingTimeout": ({"socketio": {"pingTimeout": 5500}}, with_socketio(ping_timeout=5.5)),
    "zeros": ({"socketio": {"pingInterval": 0, "pingTimeout": 0, "maxHttpBufferSize": 0, "path": ""}}, DEFAULTS),
    "maxHttpBufferSize": ({"socketio": {"maxHttpBufferSize": 5e6}}, with_socketio(max_bytes=5_000_000)),
    "transports": ({"socketio": {"transports": ["websocket"]}}, with_socketio(transports=("websocket",))),
    "transport": ({"socketio": {"transports": "polling"}}, with_socketio(transports=("polling",))),
    "allowUpgrades": ({"socketio": {"allowUpgrades": False}}, with_socketio(upgrades=False)),
    "cookie": ({"socketio": {"cookie": False}}, with_socketio(cookie=False)),
    "cookie's name": ({"socketio": {"cookie": "io"}}, DEFAULTS),
    "perMessageDeflate": ({"socketio": {"perMessageDeflate": {"threshold": 1024}}}, with_server(compression=True)),
    "always on": ({"socketio": {"httpCompression": {}, "serveClient": True}}, DEFAULTS),
    "any port, any host": ({"socketio": {"origins": "a.test:* *:8080"}}, with_server(origins=("a.test:*", "*:8080"))),
    "all origins": ({"socketio": {"origins": "http://a.test:80 *:*"}}, DEFAULTS),
    "origins": (
        {"socketio": {"origins": ["https://a.test", "b.test:8080"]}},
        with_server(origins=("https://a.test", "b.test:8080")),
    ),
}


@pytest.mark.parametrize(("written", "expected"), EACH_KEY.values(), ids=EACH_KEY)
def test_e173_each_key_alone_is_accepted_and_all_others_are_as_ever(
    written: dict[str, Any], expected: Settings
) -> None:
    assert loaded(written) == expected


NOTED: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "secureOptions": ({"secureOptions": 67108864}, noted("secureOptions", "is left out: TLS is 1.2 or later")),
    "sqlite": ({"database": "sqlite"}, noted("database", "SQLite is left out: members are kept in Redis")),
    "databasePath": (
        {"databaseConfig": {"sqlite": {"databasePath": "/d"}}},
        noted("databaseConfig.sqlite.databasePath", "is left out: nothing is kept in SQLite"),
    ),
    "publishPresence": (
        {"databaseConfig": {"publishPresence": True}},
        noted("databaseConfig.publishPresence", "is left out: nothing is published about members"),
    ),
    "cookie": ({"socketio": {"cookie": "sid"}}, noted("socketio.cookie", "is taken for true: the cookie is called io")),
    "serveClient": (
        {"socketio": {"serveClient": False}},
        noted("socketio.serveClient", "is left out: it cannot be switched off"),
    ),
    "transports": (
        {"socketio": {"transports": ["websocket", "polling", "flash\x1b"]}},
        noted("socketio.transports", r'"flash\u001b" is left out: there is no such transport'),
    ),
    **{
        key: (written, noted(key, "means nothing here and is left out"))
        for key, written in (
            ("wsEngine", {"wsEngine": "ws"}),
            ('"a b"', {"a b": {"deep": [1]}}),
            ("socketio.upgradeTimeout", {"socketio": {"upgradeTimeout": 10000}}),
            ("subscribers.kafka", {"subscribers": {"kafka": True}}),
            ("databaseConfig.redis.family", {"databaseConfig": {"redis": {"family": 4}}}),
            ("clients[0].name", {"clients": [{"appId": "shop", "key": "bearer", "name": "n"}]}),
        )
    },
}


@pytest.mark.parametrize(("written", "notes"), NOTED.values(), ids=NOTED)
def test_what_does_nothing_is_accepted_and_noted(written: dict[str, Any], notes: tuple[str, ...]) -> None:
    found = loaded(written)
    assert sorted(found.notes) == sorted(notes)
    assert replace(found, notes=()) == replace(DEFAULTS, notes=())


def test_a_heartbeat_that_is_too_short_is_rounded_up_and_noted() -> None:
    found = loaded({"socketio": {"pingInterval": 20, "pingTimeout": 99.9}})
    assert (found.socketio.ping_interval, found.socketio.ping_timeout) == (0.1, 0.1)
    lines = [f"{FILE}: socketio.{key}: is taken for 100: that is the shortest that there is" for key in _BEATS]
    assert set(lines) <= set(found.notes)


_BEATS = ("pingInterval", "pingTimeout")


def test_the_log_says_it_when_the_server_starts() -> None:
    server = build(MemoryReactorClock(), loaded({"a {b}": 1}))
    with capturedLogs() as events:
        server.startService()
    told = [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]
    assert told == list(noted('"a {b}"', "means nothing here and is left out"))
    server.stopService()


# ---- Redis ----------------------------------------------------------------------------------------------------

AT_REDIS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {"url": "redis://127.0.0.1:6379/0"}),
    "host": ({"host": "r", "port": "6380", "db": 2}, {"url": "redis://r:6380/2"}),
    "an address": ({"host": "::1"}, {"url": "redis://[::1]:6379/0"}),
    "path": ({"path": "/run/r s.sock", "host": "r", "db": "1"}, {"url": "redis+unix:///run/r%20s.sock?db=1"}),
    "keyPrefix": ({"keyPrefix": "l_"}, {"url": "redis://127.0.0.1:6379/0", "prefix": "l_"}),
    "password": ({"password": "hush"}, {"url": "redis://127.0.0.1:6379/0", "password": "hush"}),
    "no password": ({"password": None, "username": "ann"}, {"url": "redis://127.0.0.1:6379/0"}),
    "username": (
        {"username": "ann", "password": 12},
        {"url": "redis://127.0.0.1:6379/0", "username": "ann", "password": "12"},
    ),
    "tls": ({"host": "r", "tls": {}}, {"url": "rediss://r:6379/0"}),
    "tls of anybody": ({"tls": {"rejectUnauthorized": False}}, {"url": "rediss://127.0.0.1:6379/0", "verify": False}),
    "no tls": ({"tls": False}, {"url": "redis://127.0.0.1:6379/0"}),
    "sentinels": (
        {"sentinels": [{"host": "a", "port": 1}, {"host": "b"}], "name": "m", "sentinelPassword": "s", "password": "p"},
        {"url": "redis+sentinel://a:1,b:26379/m/0", "password": "p", "sentinel_password": "s"},
    ),
}


@pytest.mark.parametrize(("written", "options"), AT_REDIS.values(), ids=AT_REDIS)
def test_where_redis_is_is_what_our_driver_is_told(written: dict[str, Any], options: dict[str, Any]) -> None:
    found = loaded({"databaseConfig": {"redis": written}})
    assert found == replace(DEFAULTS, driver=Driver(name="redis", options=options, presumed=options == PRESUMED))
    read_options(options)


def test_members_of_a_server_without_redis_are_in_memory() -> None:
    found = loaded({"subscribers": {"redis": False}})
    assert found.driver == Driver()
    assert found.notes == noted("database", "members are kept in memory, since subscribers.redis is false")


# ---- clients --------------------------------------------------------------------------------------------------


def test_e176_a_number_is_as_good_an_id_as_text() -> None:
    apps = loaded({"clients": [{"appId": 12, "key": 34}, {"appId": "b", "key": "k"}]}).apps
    assert [(app.id, app.key, app.bearer) for app in apps] == [("12", "34", True), ("b", "k", True)]


def test_without_clients_there_is_an_app_that_nobody_can_name() -> None:
    first, second = loaded({}, client=False).apps, loaded({"clients": []}).apps
    (app,) = first
    assert (app.id, app.bearer, app.auth) == ("laravel-echo-server", False, AUTH)
    assert len({app.key, *app.secrets, second[0].key, *second[0].secrets}) == 4
    assert len(app.key) >= 32 and len(app.secrets[0]) >= 32


def test_a_client_that_could_never_get_in_is_left_out() -> None:
    found = loaded({"clients": [{"appId": "shop", "key": "bearer"}, {"appId": "b"}, {"appId": "shop", "key": "hush"}]})
    left_out = (
        f"{FILE}: clients[1]: is left out: a client has an appId and a key",
        f"{FILE}: clients[2].appId: is there twice: the first counts",
    )
    assert found.apps == (CLIENT,)
    assert set(found.notes) == set(left_out)


def test_a_client_has_no_secret_so_nothing_that_is_signed_is_accepted() -> None:
    (app,) = loaded({}).apps
    for secret in ("", app.key, "None"):
        assert not matches(app.secrets, "text", sign(secret, "text"))
        assert check(app, f"{app.key}:{sign(secret, 'text')}", "text") is not None
        query = f"auth_key={app.key}&auth_timestamp=1&auth_version=1.0"
        signature = sign(secret, f"GET\n/apps/shop/channels\n{query}")
        with pytest.raises(RequestRefused):
            authenticate(app, "GET", "/apps/shop/channels", f"{query}&auth_signature={signature}", b"", 1)


# ---- what cannot be meant -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ({"port": []}, "port: expected a string, got a list"),
        ({"host": {}}, "host: expected a string, got a table"),
        ({"host": "\ud800"}, "host: is not valid UTF-8; write it as text"),
        ({"protocol": "ftp"}, 'protocol: expected "http" or "https", got a string "ftp"'),
        ({"database": "mysql"}, 'database: expected "redis" or "sqlite", got a string "mysql"'),
        ({"clients": {}}, "clients: expected a list of objects, got a table; write it between brackets"),
        ({"clients": ["hush"]}, "clients[0]: expected an object, got a string; write it between braces"),
        ({"clients": [{"appId": "a", "key": True}]}, "clients[0].key: expected a string, got a boolean"),
        (
            {"clients": [{"appId": "a", "key": "hush"}, {"appId": "b", "key": "hush"}]},
            "clients[1].key: is another client's key; give each client its own",
        ),
        ({"socketio": "x"}, "socketio: expected an object, got a string; write it between braces"),
        ({"socketio": {"pingTimeout": "5s"}}, 'socketio.pingTimeout: expected a number, got a string "5s"'),
        ({"socketio": {"pingTimeout": -5}}, "socketio.pingTimeout: expected 0 or more, got an integer -5"),
        (
            {"socketio": {"path": "ws"}},
            'socketio.path: expected a path below /, got a string "ws"; write it as "/socket.io"',
        ),
        (
            {"socketio": {"transports": []}},
            'socketio.transports: names no transport that there is; name "polling", "websocket" or both',
        ),
        ({"subscribers": {"http": "perhaps"}}, 'subscribers.http: expected true or false, got a string "perhaps"'),
        ({"headers": {"a b": "1"}}, 'headers."a b": is no name of a header; use letters, digits and dashes'),
        (
            {"apiOriginAllow": {"allowOrigin": "a\r\nb"}},
            "apiOriginAllow.allowOrigin: cannot be sent in a header; use one line of Latin letters, digits and signs",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_key(written: dict[str, Any], line: str) -> None:
    assert refusal(written) == line


_keys = st.sampled_from([*(step for path in VARIABLES.values() for step in path), *EACH_KEY, "appId", "key", "origins"])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["https", "6001"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_keys, _values, max_size=6))
def test_any_json_is_settings_or_one_line(tree: dict[str, object]) -> None:
    try:
        found = settings_of(tree, Place(FILE))
    except ConfigError as error:
        assert str(error).isprintable()
    else:
        assert found.apps and all(note.isprintable() for note in found.notes)
