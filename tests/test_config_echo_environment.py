"""What goes over laravel-echo-server.json: its own variables, those of ``.env``, and ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broadcaster.config import dotenv, load
from broadcaster.config.echo_environment import VARIABLES
from broadcaster.settings import EMBEDDED, TLS, Driver, Limits, Log, Server, Settings
from tests.certificates import encrypted, issued
from tests.echo_files import AUTH, CLIENT, DEFAULTS, FILE, REDIS, loaded, refusal
from tests.sockets import certificate

SOURCE = f"{FILE} and the environment"
CHANGED = replace(DEFAULTS, source=SOURCE)
TWO = {"clients": [{"appId": "shop", "key": "bearer"}, {"appId": "b", "key": "k"}]}


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def listening(*endpoints: str) -> Settings:
    return replace(CHANGED, server=Server(listen=endpoints))


def on_redis(**options: str) -> Settings:
    return replace(CHANGED, driver=Driver(name="redis", options=REDIS.options | options))


# ---- laravel-echo-server's variables --------------------------------------------------------------------------

OVER = {
    "AUTH_HOST": (
        "https://a.test",
        replace(CHANGED, apps=(replace(CLIENT, auth=replace(AUTH, host=("https://a.test",))),)),
    ),
    "DEBUG": ("true", replace(CHANGED, log=Log(level="debug"))),
    "HOST": ("10.0.0.1", listening("tcp:6001:interface=10.0.0.1")),
    "PORT": ("http://h:7001", listening("tcp:7001")),
    "REDIS_HOST": ("redis", on_redis(url="redis://redis:6379/0")),
    "REDIS_PORT": ("6380", on_redis(url="redis://127.0.0.1:6380/0")),
    "REDIS_PASSWORD": ("hush", on_redis(password="hush")),
    "PROTO": ("https", listening("tls:6001")),
    "SSL_CERT": ("other.pem", CHANGED),
    "SSL_KEY": ("other.pem", CHANGED),
    "SSL_CHAIN": ("other.pem", CHANGED),
    "SSL_PASS": ("hush", CHANGED),
}
IN_THE_FILE = {
    "authHost": "http://localhost",
    "port": "6001",
    "databaseConfig": {"redis": {"host": "127.0.0.1", "port": 6379, "password": None}},
    "sslCertPath": "file.pem",
    "sslKeyPath": "file.pem",
}


@pytest.mark.parametrize("name", OVER)
def test_e174_each_variable_wins_over_the_file(name: str) -> None:
    value, expected = OVER[name]
    Path("file.pem").write_bytes(certificate())
    assert loaded(IN_THE_FILE) == DEFAULTS
    overlaid = loaded(IN_THE_FILE, {f"LARAVEL_ECHO_SERVER_{name}": value})
    assert replace(overlaid, tls=TLS()) == expected
    Path(".env").write_text(f"LARAVEL_ECHO_SERVER_{name}={value}")
    assert loaded(IN_THE_FILE) == overlaid


def test_e174_no_variable_is_left_untested() -> None:
    assert {f"LARAVEL_ECHO_SERVER_{name}" for name in OVER} == set(VARIABLES)


@pytest.mark.parametrize("name", ["CERT", "KEY", "CHAIN"])
def test_e174_the_files_for_https_come_from_variables_too(name: str, tmp_path: Path) -> None:
    Path("file.pem").write_bytes(certificate())
    environ = {"LARAVEL_ECHO_SERVER_PROTO": "https", f"LARAVEL_ECHO_SERVER_SSL_{name}": "gone.pem"}
    assert refusal(IN_THE_FILE, environ) == (
        f"environment: LARAVEL_ECHO_SERVER_SSL_{name}: {tmp_path}/gone.pem cannot be read (No such file or directory); "
        "check the path, and that the user that runs the server may read it"
    )


def test_e174_a_passphrase_from_a_variable_is_refused_by_its_name_and_kept() -> None:
    pair = issued()
    Path("file.pem").write_bytes(pair.certificate + encrypted(pair.key))
    line = refusal(IN_THE_FILE | {"protocol": "https"}, {"LARAVEL_ECHO_SERVER_SSL_PASS": "hush"})
    assert line.startswith("environment: LARAVEL_ECHO_SERVER_SSL_PASS: does not open the key in ")
    assert "hush" not in line


def test_e174_empty_is_as_good_as_unset() -> None:
    environ = dict.fromkeys(VARIABLES, "")
    assert loaded(IN_THE_FILE, environ) == DEFAULTS
    Path(".env").write_text("".join(f"{name}=\n" for name in VARIABLES))
    assert loaded(IN_THE_FILE) == DEFAULTS


@pytest.mark.parametrize(
    ("value", "listen"),
    [
        ("${ECHO_PORT}", "tcp:7001"),
        ("80${ECHO_PORT}00", "tcp:7001"),
        ("${NONE}", "tcp:6001"),
        ("$ECHO_PORT/80", "tcp:80"),
    ],
)
def test_e174_another_variable_stands_for_the_whole_value(value: str, listen: str) -> None:
    environ = {"LARAVEL_ECHO_SERVER_PORT": value, "ECHO_PORT": "7001"}
    assert loaded({}, environ).server.listen == (listen,)
    Path(".env").write_text("".join(f"{name}={text}\n" for name, text in environ.items()))
    assert loaded({}).server.listen == (listen,)


def test_debug_is_on_by_true_and_off_by_everything_else() -> None:
    assert loaded({"devMode": True}, {"LARAVEL_ECHO_SERVER_DEBUG": "1"}).log == Log()


def test_without_the_file_they_mean_nothing() -> None:
    assert load(None, ".", {"LARAVEL_ECHO_SERVER_PORT": "7001"}) == EMBEDDED


def test_a_mistake_in_a_variable_is_told_by_its_name() -> None:
    assert refusal({}, {"LARAVEL_ECHO_SERVER_PROTO": "ftp"}) == (
        'environment: LARAVEL_ECHO_SERVER_PROTO: expected "http" or "https", got a string "ftp"'
    )
    assert refusal({"databaseConfig": 5}, {"LARAVEL_ECHO_SERVER_REDIS_HOST": "r"}) == (
        "databaseConfig: expected an object, got an integer; write it between braces"
    )


# ---- .env -----------------------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_working_directorys_file(tmp_path: Path) -> None:
    Path(".env").write_text("LARAVEL_ECHO_SERVER_PORT=7001")
    assert loaded({}, {"LARAVEL_ECHO_SERVER_PORT": "7002"}).server.listen == ("tcp:7002",)
    assert loaded({}, {"LARAVEL_ECHO_SERVER_PORT": ""}).server.listen == ("tcp:6001",)
    Path("etc").mkdir()
    Path(FILE).rename(f"etc/{FILE}")
    Path("etc/.env").write_text("LARAVEL_ECHO_SERVER_PORT=7003")
    assert load(None, "etc", {}).server.listen == ("tcp:7001",)


def test_it_says_nothing_but_laravel_echo_servers_variables() -> None:
    Path(".env").write_text("BROADCASTER_SERVER_LISTEN=tcp:1\nPUSHER_APP_SECRET=x\nPORT=2")
    assert loaded({}) == DEFAULTS


def test_one_that_cannot_be_read_is_left_out_and_noted() -> None:
    Path(".env").mkdir()
    assert loaded({}).notes == (".env: cannot be read (Is a directory); it is left out",)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        (" A = b c ", "b c"),
        ("A=", ""),
        ('A="b\\nc"', "b\nc"),
        ("A='b\\nc'", "b\\nc"),
        ("A='b\"", "'b\""),
        ("A=b # c", "b # c"),
        ("A=b=c", "b=c"),
        ('A="', '"'),
        ("A=x\r\nA=y\rB.c-d=z", "y"),
        ("\ufeffA=b", "b"),
        ("export A=b", None),
        ("# A=b", None),
        ("A", None),
    ],
)
def test_a_line_means_what_it_means_to_dotenv(line: str, value: str | None) -> None:
    assert dotenv.parse(line).get("A") == value


@given(st.text() | st.lists(st.sampled_from(["A", "=", '"', "'", "\\n", "\r", "\n", " ", "${A}"])).map("".join))
def test_any_text_is_read(text: str) -> None:
    assert all(name and "\n" not in name for name in dotenv.parse(text))


# ---- ours -----------------------------------------------------------------------------------------------------


def test_our_variables_go_over_the_file_and_leave_the_other_clients() -> None:
    environ = {"BROADCASTER_LIMITS_MEMBERS": "7", "BROADCASTER_APPS_SECRET": "s", "BROADCASTER_APPS_AUTH_VERIFY": "yes"}
    found = loaded(TWO, environ)
    assert found.limits == Limits(members=7, member_bytes=0, event_bytes=0)
    assert found.apps == (
        replace(CLIENT, secrets=("s",), auth=replace(AUTH, verify=True)),
        replace(CLIENT, id="b", key="k"),
    )
    assert (found.source, found.notes) == (SOURCE, ())


def test_our_driver_options_go_over_the_files_one_by_one() -> None:
    written = {"databaseConfig": {"redis": {"host": "r", "keyPrefix": "p_"}}}
    over = {"BROADCASTER_DRIVER_REDIS_PASSWORD": "hush", "BROADCASTER_DRIVER_REDIS_PREFIX": "q_"}
    found = loaded(written, over)
    assert found.driver.options == {"url": "redis://r:6379/0", "prefix": "q_", "password": "hush"}
    assert loaded(written, {"BROADCASTER_DRIVER_NAME": "memory"}).driver == Driver()


def test_laravels_public_key_does_not_become_the_key_to_publish_with() -> None:
    environ = {"PUSHER_APP_ID": "public", "PUSHER_APP_KEY": "shown to pages", "PUSHER_APP_SECRET": "s"}
    found = loaded(TWO, environ)
    assert found.apps == (replace(CLIENT, secrets=("s",)), replace(CLIENT, id="b", key="k"))
    assert found.notes == (
        "environment: PUSHER_APP_ID: is not used: clients[0].appId stands, since Laravel's key is public; "
        "BROADCASTER_APPS_ID would win",
        "environment: PUSHER_APP_KEY: is not used: clients[0].key stands, since Laravel's key is public; "
        "BROADCASTER_APPS_KEY would win",
    )
    environ |= {"BROADCASTER_APPS_ID": "mine", "PUSHER_APP_KEY": "bearer"}
    assert loaded(TWO, environ).apps[0] == replace(CLIENT, id="mine", secrets=("s",))


@pytest.mark.parametrize("environ", [{"PUSHER_APP_ID": "", "PUSHER_APP_KEY": ""}, {"PUSHER_APP_KEY": "bearer"}])
def test_nothing_is_noted_where_nothing_differs(environ: dict[str, str]) -> None:
    assert loaded({}, environ) == DEFAULTS


def test_without_clients_laravels_variables_name_the_app() -> None:
    environ = {"PUSHER_APP_ID": "1", "PUSHER_APP_KEY": "2", "PUSHER_APP_SECRET": "3"}
    (app,) = loaded({}, environ, client=False).apps
    assert (app.id, app.key, app.secrets, app.bearer, app.auth) == ("1", "2", ("3",), False, AUTH)
