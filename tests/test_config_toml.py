"""The configuration file: where it is looked for, what it may say, and the one line for everything it may not."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.config import load
from broadcaster.config.place import Place, words
from broadcaster.config.schema import leaves, read_table
from broadcaster.errors import ConfigError
from broadcaster.settings import EMBEDDED, App, Auth, Cors, Driver, EchoApi, Limits, Log, Server, Settings

APP = '\n[[apps]]\nid = "a"\nkey = "k"\nsecret = "s"\n'
NO_APP = (
    'apps: no app is configured; add [[apps]] with id = "app-id", key = "app-key" and secret = "…", '
    "or set PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET"
)


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str | bytes) -> Settings:
    """What ``text`` in broadcaster.toml amounts to."""
    Path("broadcaster.toml").write_bytes(text.encode() if isinstance(text, str) else text)
    return load(None, ".", {})


def refusal(config: str | None = None, directory: str = ".") -> str:
    with pytest.raises(ConfigError) as caught:
        load(config, directory, {})
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# ---- which file -----------------------------------------------------------------------------------------------


def test_without_any_file_the_embedded_default_runs() -> None:
    assert load(None, ".", {}) == EMBEDDED
    assert load(None, "", {}) == EMBEDDED


def test_a_named_file_is_read_and_named() -> None:
    Path("other.toml").write_text("demo = true" + APP)
    Path("broadcaster.toml").write_text(APP)
    settings = load("other.toml", ".", {})
    assert settings.demo and settings.source == "other.toml"


def test_a_file_is_found_in_the_directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "broadcaster.toml").write_text(APP)
    assert load(None, "etc", {}).source == "etc/broadcaster.toml"
    assert load(None, str(tmp_path / "etc"), {}).source == str(tmp_path / "etc" / "broadcaster.toml")


def test_a_file_that_was_named_must_be_there() -> None:
    assert refusal("no.toml") == ("no.toml: no such file; check the path, or leave it out for the embedded default")


def test_a_directory_is_no_file() -> None:
    Path("etc").mkdir()
    assert refusal("etc") == "etc: is a directory; name the file in it"


def test_a_directory_that_is_missing_is_no_reason_to_run_the_embedded_default() -> None:
    line = "nowhere: no such directory; name the one where the configuration is"
    assert refusal(directory="nowhere") == line


def test_a_dangling_link_is_no_reason_to_run_the_embedded_default() -> None:
    Path("broadcaster.toml").symlink_to("gone.toml")
    assert refusal() == ("broadcaster.toml: no such file; check the path, or leave it out for the embedded default")


def test_what_the_system_says_about_an_unreadable_file_is_passed_on() -> None:
    Path("broadcaster.toml").symlink_to("broadcaster.toml")
    assert refusal() == "broadcaster.toml: cannot be read (Too many levels of symbolic links); check the path"


def test_a_file_without_permission_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    line = "b.toml: may not be read by this user; give the user that runs the server access"
    assert refusal("b.toml") == line


# ---- no TOML --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "line"),
    [
        (b'a = "1"\n\nb = "\xff"', "line 3: is not valid UTF-8; save the file as UTF-8"),
        (
            b"\n\nlevel = debug",
            "line 3, column 9: is not valid TOML: Invalid value; "
            "text goes in double quotes, true and false in small letters, lists in brackets",
        ),
        (
            b"a = 1\na = 2",
            "end of document: is not valid TOML: Cannot overwrite a value; the key is there twice, keep one",
        ),
        (
            b"[log]\n[log]\n",
            "line 2, column 5: is not valid TOML: Cannot declare ('log',) twice; "
            "the table is there twice, make them one",
        ),
        (
            b"level\n",
            "line 1, column 6: is not valid TOML: Expected '=' after a key in a key/value pair; write key = \"value\"",
        ),
        (b"a = '\x1b'", r"line 1, column 6: is not valid TOML: Found invalid character '\x1b'; see https://toml.io"),
        (b"a = " + b"[" * 9_000, "is nested too deeply; nothing in a configuration needs that"),
        (b"a = " + b"9" * 9_000, "a number has thousands of digits; write one that is meant"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(written: bytes, line: str) -> None:
    Path("broadcaster.toml").write_bytes(written)
    assert refusal() == f"broadcaster.toml: {line}"


def test_a_byte_order_mark_is_read_over() -> None:
    assert loaded(b"\xef\xbb\xbfdemo = true" + APP.encode()).demo


# ---- what it says ---------------------------------------------------------------------------------------------


def test_an_app_is_all_that_a_file_needs() -> None:
    assert loaded(APP) == Settings(apps=(App(id="a", key="k", secrets=("s",)),), source="broadcaster.toml")


def test_everything_arrives() -> None:
    settings = loaded(
        """
        demo = true
        [server]
        listen = ["tcp:80", "unix:/run/b.sock"]
        drain_seconds = 2.5
        [driver]
        name = "redis"
        [driver.redis]
        url = "redis://localhost"
        deep = { list = [1, 2] }
        [driver.pusher]
        cluster = "eu"
        [limits]
        event_bytes = 0
        frame_bytes = 1_000
        [log]
        level = "debug"
        [echo_api.cors]
        origin = "*"
        methods = "GET"
        headers = "X-A"
        [echo_api.headers]
        X-B = "c"
        [[apps]]
        id = "1"
        key = "k1"
        secrets = ["new", "old"]
        client_events = false
        [apps.auth]
        host = ["https://a.test"]
        [[apps]]
        id = "2"
        key = "k2"
        secret = "s2"
        activity_timeout = 1
        """
    )
    assert settings == Settings(
        demo=True,
        server=Server(listen=("tcp:80", "unix:/run/b.sock"), drain_seconds=2.5),
        driver=Driver(
            name="redis",
            options={"url": "redis://localhost", "deep": {"list": [1, 2]}},
            others={"pusher": {"cluster": "eu"}},
        ),
        limits=Limits(event_bytes=0, frame_bytes=1_000),
        log=Log(level="debug"),
        echo_api=EchoApi(cors=Cors(origin="*", methods="GET", headers="X-A"), headers={"X-B": "c"}),
        apps=(
            App(id="1", key="k1", secrets=("new", "old"), client_events=False, auth=Auth(host=("https://a.test",))),
            App(id="2", key="k2", secrets=("s2",), activity_timeout=1),
        ),
        source="broadcaster.toml",
    )


@pytest.mark.parametrize("name", ["options", "name"])
def test_a_driver_may_be_called_like_a_key(name: str) -> None:
    table = f"[driver.{name}]\nx = 1" if name != "name" else ""
    assert loaded(f'[driver]\nname = "{name}"\n{table}{APP}').driver.name == name


def test_the_table_of_another_driver_called_options_is_its_table() -> None:
    assert loaded(f"[driver.options]\nx = 1{APP}").driver == Driver(others={"options": {"x": 1}})


# ---- what it may not say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ('origins = ["*"]', "origins: unknown key; did you mean server.origins?"),
        ("[limits]\nmax_connections = 1", "limits.max_connections: unknown key; did you mean server.max_connections?"),
        ("[server]\nmax-connections = 1", "server.max-connections: unknown key; did you mean server.max_connections?"),
        ("[server]\nmaxConnections = 1", "server.maxConnections: unknown key; did you mean server.max_connections?"),
        ("[sever]", "sever: unknown key; did you mean server?"),
        ("[server]\nevent_byte = 1", "server.event_byte: unknown key; did you mean limits.event_bytes?"),
        ("[tlz]", "tlz: unknown key; the nearest that is known is tls"),
        ("[limits]\nidentity = 1", "limits.identity: unknown key; the nearest that is known is limits.user_id_length"),
        ('source = "me"', "source: unknown key; the nearest that is known is socketio"),
        ('"\\u001b\\n" = 1', r'"\u001b\n": unknown key; the nearest that is known is server'),
        ('"" = 1', '"": unknown key; the nearest that is known is server'),
        (
            f"[limits]\n{'x' * 99} = 1",
            f'limits."{"x" * 39}…": unknown key; the nearest that is known is limits.event_bytes',
        ),
        ("limits = 5", "limits: expected a table, got an integer"),
        ("[[server]]", "server: expected a table, got a list"),
        (
            '[server]\nlisten = "tcp:1"',
            'server.listen: expected a list of strings, got a string "tcp:1"; write listen = ["…"]',
        ),
        ("[server]\nlisten = []", "server.listen: is empty; give at least one"),
        ('[server]\nlisten = ["tcp:1", ""]', "server.listen[1]: is empty; take it out"),
        ("[server]\nlisten = [1]", "server.listen[0]: expected a string, got an integer 1; put it in quotes"),
        ("[server]\ndrain_seconds = -0.5", "server.drain_seconds: expected 0 or more, got a number -0.5"),
        ("[server]\ndrain_seconds = inf", "server.drain_seconds: expected a finite number, got a number inf"),
        ("[server]\ndrain_seconds = nan", "server.drain_seconds: expected a finite number, got a number nan"),
        ("[server]\ndrain_seconds = true", "server.drain_seconds: expected a number, got a boolean true"),
        ('[limits]\nmembers = "abc"', 'limits.members: expected an integer, got a string "abc"'),
        ('[limits]\nmembers = "5"', 'limits.members: expected an integer, got a string "5"; write it without quotes'),
        (
            f'[limits]\nmembers = "{"x" * 99}"',
            f'limits.members: expected an integer, got a string "{"x" * 39}…"',
        ),
        (
            '[limits]\nmembers = "a\\u001b\\nb"',
            r'limits.members: expected an integer, got a string "a\u001b\nb"',
        ),
        ('[limits]\nmembers = "1.5"', 'limits.members: expected an integer, got a string "1.5"'),
        ("[limits]\nmembers = true", "limits.members: expected an integer, got a boolean true"),
        ("[limits]\nmembers = 1.0", "limits.members: expected an integer, got a number 1.0"),
        ("[limits]\nmembers = -1", "limits.members: expected 0 or more, got an integer -1"),
        ("[limits]\nmembers = 1979-05-27", "limits.members: expected an integer, got a date or time"),
        ("[limits]\nmembers = [1]", "limits.members: expected an integer, got a list"),
        ("[limits]\nmembers = {a = 1}", "limits.members: expected an integer, got a table"),
        (
            f"[limits]\nmembers = 0x1{'0' * 16}",
            "limits.members: expected 9223372036854775807 or less, got an integer beyond 64 bits",
        ),
        ('[limits]\nframe_bytes = "big"', 'limits.frame_bytes: expected an integer, got a string "big"'),
        (
            '[slow_client]\npolicy = "drop"',
            'slow_client.policy: expected "disconnect" or "drop_oldest", got a string "drop"',
        ),
        (
            "[log]\nlevel = 5",
            'log.level: expected "debug", "info", "warn", "error" or "critical", got an integer 5',
        ),
        ("[echo_api]\nheaders = 5", "echo_api.headers: expected a table of strings, got an integer"),
        ("[echo_api.headers]\nX-A = [{}]", "echo_api.headers.X-A[0]: expected a string, got a table"),
        (
            '[echo_api.headers]\n"a b" = "c"',
            'echo_api.headers."a b": is no name of a header; use letters, digits and dashes',
        ),
        (
            '[echo_api.headers]\nX-A = "b\\nc"',
            "echo_api.headers.X-A: cannot be sent in a header; use one line of Latin letters, digits and signs",
        ),
        ("[echo_api.cors]\norigin = '*'", 'echo_api.cors.methods: is missing; add methods = "…"'),
        (
            "[socketio]\nping_interval = '5'",
            'socketio.ping_interval: expected a number, got a string "5"; write it without quotes',
        ),
        ('[metrics]\nlisten = " "', "metrics.listen: is empty; give it a value"),
        (
            '[metrics]\nenabled = "true"',
            'metrics.enabled: expected true or false, got a string "true"; write it without quotes',
        ),
        ("[metrics]\nenabled = 1", "metrics.enabled: expected true or false, got an integer 1"),
        ('driver = "redis"', "driver: expected a table, got a string"),
        ("[driver]\nname = 5", "driver.name: expected a string, got an integer 5; put it in quotes"),
        ('[driver]\nname = ["redis"]', "driver.name: expected a string, got a list"),
        ('[driver]\nname = ""', "driver.name: is empty; give it a value"),
        (
            '[driver]\nname = "redis"\nurl = "redis://:hush@host"',
            "driver.url: unknown key; did you mean driver.name? a driver's options go into its own table, "
            "[driver.redis]",
        ),
        (
            '[driver]\nname = "redis"\nredis = "redis://:hush@host"',
            "driver.redis: expected a table, got a string; its options go under [driver.redis]",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_remedy(written: str, line: str) -> None:
    Path("broadcaster.toml").write_text(written + APP)
    assert refusal() == f"broadcaster.toml: {line}"


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("", NO_APP),
        ("apps = []", NO_APP),
        ("apps = 5", "apps: expected a list of tables, got an integer; write [[apps]]"),
        ('[apps]\nid = "x"', "apps: expected a list of tables, got a table; write [[apps]]"),
        ('apps = ["id:key:hush"]', "apps[0]: expected a table, got a string"),
        ("[[apps]]", 'apps[0].id: is missing; add id = "…"'),
        ('[[apps]]\nid = "x"', 'apps[0].key: is missing; add key = "…"'),
        ('[[apps]]\nid = "x"\nkey = "y"', 'apps[0].secret: is missing; add secret = "…"'),
        ("[[apps]]\nid = 12", "apps[0].id: expected a string, got an integer 12; put it in quotes"),
        ('[[apps]]\nid = ""', "apps[0].id: is empty; give it a value"),
        ('[[apps]]\nsecret = ""', "apps[0].secret: is empty; give it a value"),
        ("[[apps]]\nsecret = 12345", "apps[0].secret: expected a string, got an integer; put it in quotes"),
        (
            '[[apps]]\nsecrets = "hush"',
            'apps[0].secrets: expected a list of strings, got a string; write secrets = ["…"]',
        ),
        ("[[apps]]\nsecrets = []", "apps[0].secrets: is empty; give at least one"),
        ('[[apps]]\nsecrets = ["hush", ""]', "apps[0].secrets[1]: is empty; take it out"),
        (
            '[[apps]]\nsecrets = ["hush", 5]',
            "apps[0].secrets[1]: expected a string, got an integer; put it in quotes",
        ),
        (
            '[[apps]]\nsecret = "hush"\nsecrets = ["hush"]',
            "apps[0].secret: is given besides secrets; keep one of the two",
        ),
        ('[[apps]]\nsecert = "hush"', "apps[0].secert: unknown key; did you mean apps.secret?"),
        (
            APP + "[socketio]\nping_timeout = 0.05",
            "socketio.ping_timeout: expected 0.1 or more, got a number 0.05",
        ),
        (APP + "activity_timeout = 0", "apps[0].activity_timeout: expected 1 or more, got an integer 0"),
        (APP + '[[apps]]\nid = "b"', 'apps[1].key: is missing; add key = "…"'),
        (APP + APP, "apps.id: 'a' is given twice; give each app its own"),
        (
            APP + '[[apps]]\nid = "b"\nkey = "k"\nsecret = "hush"',
            "apps.key: 'k' is given twice; give each app its own",
        ),
    ],
)
def test_an_app_that_cannot_be_meant_is_refused_and_its_secret_kept(written: str, line: str) -> None:
    Path("broadcaster.toml").write_text(written)
    assert refusal() == f"broadcaster.toml: {line}"


# ---- any tree -------------------------------------------------------------------------------------------------

_keys = st.one_of(st.sampled_from([step for path, _ in leaves() for step in words(path)]), st.text(max_size=50))
_scalars = st.one_of(
    st.text(max_size=50),
    st.booleans(),
    st.integers(),
    st.integers().map(lambda number: number**999),
    st.floats(),
    st.datetimes(),
    st.dates(),
    st.just(datetime.time(12)),
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=4), max_leaves=12
)
_trees = st.dictionaries(_keys, _values, max_size=6)


@given(_trees)
def test_any_tree_is_settings_or_one_line(tree: dict[str, object]) -> None:
    try:
        assert isinstance(read_table(Settings, tree, Place("b.toml")), Settings)
    except ConfigError as error:
        assert len(str(error).splitlines()) == 1
        assert str(error).isprintable()
