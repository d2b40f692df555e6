"""The environment: every key by its variable, over the file or the embedded default, and one line for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from broadcaster.config import load
from broadcaster.config.environment import overlay, variables
from broadcaster.config.place import Place
from broadcaster.config.schema import read_table
from broadcaster.errors import ConfigError
from broadcaster.settings import EMBEDDED, App, Driver, Log, Metrics, Server, Settings, SlowClient

APP = '\n[[apps]]\nid = "a"\nkey = "k"\nsecret = "s"\n'


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(written: str | None, **environ: str) -> Settings:
    """What ``environ`` makes of the file, or of the embedded default where there is none."""
    if written is not None:
        Path("broadcaster.toml").write_text(written)
    return load(None, ".", environ)


def refusal(written: str | None, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(written, **environ)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# ---- over a file ----------------------------------------------------------------------------------------------


def test_it_overrides_the_file_and_says_so() -> None:
    settings = loaded("[server]\nmax_connections = 5\ndrain_seconds = 7" + APP, BROADCASTER_SERVER_MAX_CONNECTIONS="6")
    assert settings.server == Server(max_connections=6, drain_seconds=7)
    assert settings.source == "broadcaster.toml and the environment"


def test_headers_are_written_as_json() -> None:
    headers = loaded(APP, BROADCASTER_ECHO_API_HEADERS='{"X-A": "b, c", "X-D": "5"}').echo_api.headers
    assert headers == {"X-A": "b, c", "X-D": "5"}


def test_what_changes_nothing_is_not_named_as_a_source() -> None:
    assert loaded(APP, PATH="/bin", BROADCAST_CONNECTION="pusher").source == "broadcaster.toml"
    assert loaded("demo = true" + APP, BROADCASTER_DEMO="true").source == "broadcaster.toml"


def test_every_type_is_read_as_its_key_wants_it() -> None:
    settings = loaded(
        APP,
        BROADCASTER_SERVER_LISTEN="tcp:80, tcp:443,",
        BROADCASTER_SERVER_TRUSTED_PROXIES="",
        BROADCASTER_SERVER_DRAIN_SECONDS="2.5",
        BROADCASTER_SLOW_CLIENT_BUFFER_BYTES="1_000",
        BROADCASTER_SLOW_CLIENT_POLICY="drop_oldest",
        BROADCASTER_METRICS_ENABLED="off",
        BROADCASTER_METRICS_LISTEN="tcp:9601",
        BROADCASTER_LOG_LEVEL="debug",
        BROADCASTER_LIMITS_FRAME_BYTES="0",
    )
    assert settings.server == Server(listen=("tcp:80", "tcp:443"), trusted_proxies=(), drain_seconds=2.5)
    assert settings.slow_client == SlowClient(buffer_bytes=1_000, policy="drop_oldest")
    assert settings.metrics == Metrics(enabled=False, listen="tcp:9601")
    assert settings.log == Log(level="debug")
    assert settings.limits.frame_bytes == 0


@pytest.mark.parametrize(
    ("text", "value"),
    [*((yes, True) for yes in ("true", "1", "YES", "on")), *((no, False) for no in ("False", "0", "no", "off"))],
)
def test_a_boolean_has_four_spellings_each_way(text: str, value: bool) -> None:
    assert loaded(APP, BROADCASTER_DEMO=text).demo is value


def test_a_wrong_value_in_the_file_does_not_matter_once_it_is_overridden() -> None:
    assert loaded("[limits]\nmembers = 'many'" + APP, BROADCASTER_LIMITS_MEMBERS="7").limits.members == 7


def test_the_file_is_still_blamed_for_what_is_the_files() -> None:
    assert refusal("limits = 5" + APP, BROADCASTER_LIMITS_MEMBERS="7") == (
        "broadcaster.toml: limits: expected a table, got an integer"
    )
    assert refusal("apps = 5", PUSHER_APP_SECRET="hush") == (
        "broadcaster.toml: apps: expected a list of tables, got an integer; write [[apps]]"
    )
    assert (
        refusal("apps = ['x']", PUSHER_APP_SECRET="hush") == "broadcaster.toml: apps[0]: expected a table, got a string"
    )


# ---- the first app --------------------------------------------------------------------------------------------


def test_laravels_variables_set_the_first_app_only() -> None:
    second = '[[apps]]\nid = "b"\nkey = "l"\nsecret = "t"\n'
    settings = loaded(
        APP + "max_connections = 3\n" + second, PUSHER_APP_ID="1", PUSHER_APP_KEY="2", PUSHER_APP_SECRET="3"
    )
    assert settings.apps == (
        App(id="1", key="2", secrets=("3",), max_connections=3),
        App(id="b", key="l", secrets=("t",)),
    )


def test_the_secret_can_be_kept_out_of_the_file() -> None:
    assert loaded('[[apps]]\nid = "a"\nkey = "k"', PUSHER_APP_SECRET="s").apps[0].secrets == ("s",)


def test_an_app_can_come_from_the_environment_alone() -> None:
    environ = {"PUSHER_APP_ID": "1", "PUSHER_APP_KEY": "2", "PUSHER_APP_SECRET": "3"}
    assert loaded("demo = true", **environ).apps == (App(id="1", key="2", secrets=("3",)),)


def test_an_app_from_the_environment_must_be_whole() -> None:
    line = 'broadcaster.toml: apps[0].key: is missing; add key = "…"'
    assert refusal("", PUSHER_APP_ID="1", PUSHER_APP_SECRET="hush") == line


def test_laravels_empty_variables_are_as_good_as_unset() -> None:
    assert loaded(APP, PUSHER_APP_ID="", PUSHER_APP_KEY="", PUSHER_APP_SECRET="") == loaded(APP)


def test_our_variables_win_over_laravels() -> None:
    settings = loaded(APP, PUSHER_APP_ID="theirs", BROADCASTER_APPS_ID="ours", PUSHER_APP_KEY="key")
    assert (settings.apps[0].id, settings.apps[0].key) == ("ours", "key")


@pytest.mark.parametrize("written", ['secret = "file"', 'secrets = ["file", "older"]'])
def test_a_secret_from_the_environment_replaces_all_of_the_files(written: str) -> None:
    app = f'[[apps]]\nid = "a"\nkey = "k"\n{written}'
    assert loaded(app, BROADCASTER_APPS_SECRET="one, with a comma").apps[0].secrets == ("one, with a comma",)
    assert loaded(app, BROADCASTER_APPS_SECRETS="new,old", PUSHER_APP_SECRET="x").apps[0].secrets == ("new", "old")


def test_ids_that_come_to_be_the_same_are_refused() -> None:
    written = APP + '[[apps]]\nid = "b"\nkey = "l"\nsecret = "t"\n'
    assert refusal(written, PUSHER_APP_ID="b") == (
        "broadcaster.toml and the environment: apps.id: 'b' is given twice; give each app its own"
    )


# ---- over the embedded default --------------------------------------------------------------------------------


def test_it_goes_over_the_embedded_default_key_by_key() -> None:
    app = replace(EMBEDDED.apps[0], id="1", secrets=("s",))
    assert loaded(None, PUSHER_APP_ID="1", PUSHER_APP_SECRET="s") == replace(
        EMBEDDED, apps=(app,), source="embedded default and the environment"
    )


def test_its_other_parts_can_be_changed_too() -> None:
    settings = loaded(None, BROADCASTER_SERVER_MAX_CONNECTIONS="9", BROADCASTER_DEMO="no")
    assert settings.server == replace(EMBEDDED.server, max_connections=9)
    assert settings.apps == EMBEDDED.apps
    assert not settings.demo


# ---- the driver -----------------------------------------------------------------------------------------------


def test_the_drivers_options_arrive_as_text() -> None:
    assert loaded(
        '[driver.redis]\nprefix = "p"\nurl = "u"' + APP,
        BROADCASTER_DRIVER_NAME="redis",
        BROADCASTER_DRIVER_REDIS_URL="redis://localhost",
        BROADCASTER_DRIVER_REDIS_REPLY_TIMEOUT="5",
        BROADCASTER_DRIVER_REDIS_EMPTY="",
        BROADCASTER_DRIVER_PUSHER_APP_ID="another driver's",
    ).driver == Driver(
        name="redis",
        options={"prefix": "p", "url": "redis://localhost", "reply_timeout": "5", "empty": ""},
        others={"pusher": {"app_id": "another driver's"}},
    )


def test_options_of_another_driver_are_kept_for_one_that_stands_on_it() -> None:
    driver = loaded('[driver.pusher]\nkey = "k"' + APP, BROADCASTER_DRIVER_PUSHER_APP_ID="1").driver
    assert driver == Driver(others={"pusher": {"key": "k", "app_id": "1"}})


def test_a_drivers_name_is_spelled_in_capitals_and_underscores() -> None:
    driver = loaded('[driver]\nname = "my-bus"' + APP, BROADCASTER_DRIVER_MY_BUS_URL="u").driver
    assert driver == Driver(name="my-bus", options={"url": "u"})


def test_options_do_not_hide_a_file_that_is_wrong() -> None:
    environ = {"BROADCASTER_DRIVER_REDIS_URL": "u"}
    assert refusal('driver = "redis"' + APP, **environ) == "broadcaster.toml: driver: expected a table, got a string"
    assert refusal('[driver]\nname = "redis"\nredis = 5' + APP, **environ) == (
        "broadcaster.toml: driver.redis: expected a table, got an integer; its options go under [driver.redis]"
    )


# ---- what it may not say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "line"),
    [
        ("LIMITS_EVENT_BYTES", "abc", 'expected an integer, got a string "abc"'),
        ("LIMITS_EVENT_BYTES", "1.5", 'expected an integer, got a string "1.5"'),
        ("LIMITS_EVENT_BYTES", "", 'expected an integer, got a string ""'),
        ("LIMITS_EVENT_BYTES", "-1", "expected 0 or more, got an integer -1"),
        ("SERVER_DRAIN_SECONDS", "nan", "expected a finite number, got a number nan"),
        ("SERVER_LISTEN", "", "is empty; give at least one"),
        ("ECHO_API_HEADERS", "X-A: b", "expected a table of strings, got a string"),
        ("ECHO_API_HEADERS", '{"a b": "c"}', "is no name of a header; use letters, digits and dashes"),
        ("LOG_FORMAT", "xml", 'expected "text" or "json", got a string "xml"'),
        ("METRICS_ENABLED", "perhaps", 'expected true or false, got a string "perhaps"'),
        ("METRICS_LISTEN", "", "is empty; give it a value"),
        ("DRIVER_NAME", " ", "is empty; give it a value"),
        ("APPS_ACTIVITY_TIMEOUT", "0", "expected 1 or more, got an integer 0"),
        ("APPS_KEY", "\udcff", "is not valid UTF-8; set it to text"),
        ("DRIVER_MEMORY_URL", "\udcff", "is not valid UTF-8; set it to text"),
        ("LIMITS_EVENT_BYTE", "1", "unknown variable; did you mean BROADCASTER_LIMITS_EVENT_BYTES?"),
        ("ORIGINS", "*", "unknown variable; did you mean BROADCASTER_APPS_ORIGINS?"),
        ("DRIVER_NAM", "redis", "unknown variable; did you mean BROADCASTER_DRIVER_NAME?"),
        ("DRIVER", "redis", "unknown variable; did you mean BROADCASTER_DRIVER_NAME?"),
        ("DRIVER_MEMORY_", "x", "unknown variable; did you mean BROADCASTER_DRIVER_NAME?"),
        ("CONFIG", "b.toml", "unknown variable; the nearest that is known is BROADCASTER_APPS_ORIGINS"),
        ("DIR", "/etc", "unknown variable; the nearest that is known is BROADCASTER_APPS_REDIS_PREFIX"),
        ("SOURCE", "me", "unknown variable; the nearest that is known is BROADCASTER_SOCKETIO_PATH"),
        ("PORT", "6001", "unknown variable; the nearest that is known is BROADCASTER_LOG_FORMAT"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_the_variable_named(variable: str, text: str, line: str) -> None:
    assert refusal(APP, **{f"BROADCASTER_{variable}": text}) == f"environment: BROADCASTER_{variable}: {line}"


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"BROADCASTER_APPS_SECRET": ""}, "BROADCASTER_APPS_SECRET: is empty; take it out"),
        ({"BROADCASTER_APPS_SECRETS": ","}, "BROADCASTER_APPS_SECRETS: is empty; give at least one"),
        ({"PUSHER_APP_SECRET": " "}, "PUSHER_APP_SECRET: is empty; take it out"),
        ({"PUSHER_APP_SECRET": "hush\udcff"}, "PUSHER_APP_SECRET: is not valid UTF-8; set it to text"),
        (
            {"BROADCASTER_APPS_SECRET": "hush", "BROADCASTER_APPS_SECRETS": "hush"},
            "BROADCASTER_APPS_SECRET: is set besides BROADCASTER_APPS_SECRETS; keep one of the two",
        ),
        (
            {"BROADCASTER_\x1b\n": "1"},
            r'"BROADCASTER_\u001b\n": unknown variable; the nearest that is known is BROADCASTER_SERVER_LISTEN',
        ),
    ],
)
def test_no_secret_is_told(environ: dict[str, str], line: str) -> None:
    assert refusal(APP, **environ) == f"environment: {line}"


def test_what_kubernetes_sets_for_a_service_of_our_name_is_let_pass() -> None:
    links = {
        "BROADCASTER_SERVICE_HOST": "10.0.0.1",
        "BROADCASTER_SERVICE_PORT": "6001",
        "BROADCASTER_SERVICE_PORT_HTTP": "6001",
        "BROADCASTER_PORT": "tcp://10.0.0.1:6001",
        "BROADCASTER_PORT_6001_TCP": "tcp://10.0.0.1:6001",
        "BROADCASTER_PORT_6001_TCP_PROTO": "tcp",
        "BROADCASTER_PORT_6001_TCP_PORT": "6001",
        "BROADCASTER_PORT_6001_TCP_ADDR": "10.0.0.1",
        "BROADCASTER_REDIS_SERVICE_HOST": "10.0.0.2",
        "BROADCASTER_REDIS_PORT": "tcp://10.0.0.2:6379",
    }
    assert loaded(APP, **links) == loaded(APP)


@given(
    st.dictionaries(
        st.sampled_from(sorted(variables())) | st.text(max_size=30).map("BROADCASTER_".__add__),
        st.text(max_size=30) | st.integers().map(str) | st.sampled_from(["a,b", "true", "json", "\udcff"]),
        max_size=6,
    )
)
def test_any_environment_is_settings_or_one_line(environ: dict[str, str]) -> None:
    try:
        tree, names = overlay({}, environ)
        assert isinstance(read_table(Settings, tree, Place("embedded default", names), EMBEDDED), Settings)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).isprintable()
        assert error.source == "environment" or "is missing" in error.problem
