"""``init --no-input``: what the options answer, and that nothing is overwritten unasked. The terminal: integration/."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path

import pytest

from broadcaster.cli.certificate import certify
from broadcaster.config import load
from broadcaster.settings import App, Auth, Cors, EchoApi, Server
from tests.commands import Shell


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)


def test_with_nothing_said_it_is_as_by_default_and_for_its_owner_only(shell: Shell) -> None:
    said = dict(line.split(": ") for line in shell("init", "--no-input").result().splitlines())
    settings = load(None, ".", {})
    assert settings.server == Server()
    assert settings.log.level == "info"
    assert settings.apps == (
        App(id=said["appId"], key=said["key"], secrets=(said["secret"],), auth=Auth(host=("http://localhost",))),
    )
    assert os.stat("broadcaster.toml").st_mode & 0o777 == 0o600
    assert said["Configuration file saved"] == "broadcaster.toml"


def test_every_question_can_be_answered_by_an_option(shell: Shell) -> None:
    options = "--dev --port 7001 --database redis --auth-host https://shop.test/ --bearer --cors --host ::1"
    cors = ("--cors-origin", "https://a.test", "--cors-methods", "GET", "--cors-headers", "Accept, X-A")
    app = "--app-id i --app-key k --app-secret s --redis-url redis://r.test:6379/3"
    shell("configure", "--no-input", *options.split(), *cors, *app.split()).result()
    settings = load(None, ".", {})
    assert settings.server.listen == ("tcp:7001:interface=\\:\\:1",)
    assert (settings.driver.name, settings.driver.options) == ("redis", {"url": "redis://r.test:6379/3"})
    auth = Auth(host=("https://shop.test",))
    assert settings.apps == (App(id="i", key="k", secrets=("s",), bearer=True, auth=auth),)
    assert settings.echo_api == EchoApi(cors=Cors(origin="https://a.test", methods="GET", headers="Accept, X-A"))
    assert settings.log.level == "debug"


def test_what_was_made_can_be_had_as_json(shell: Shell) -> None:
    made = json.loads(shell("init", "--no-input", "--json", "--dir", os.getcwd(), "--config", "a.toml").result())
    assert made["file"] == os.path.join(os.getcwd(), "a.toml")
    (app,) = load("a.toml", ".", {}).apps
    assert (app.id, app.key, app.secrets) == (made["id"], made["key"], (made["secret"],))


def test_sqlite_is_memory_here(shell: Shell) -> None:
    shell("init", "--no-input", "--database", "sqlite").result()
    assert load(None, ".", {}).driver.name == "memory"


def test_what_is_there_stays_unless_forced(shell: Shell) -> None:
    shell("init", "--no-input", "--app-id", "first").result()
    assert shell("init", "--no-input").refusal(1) == "broadcaster.toml is there already; --force overwrites it"
    assert load(None, ".", {}).apps[0].id == "first"
    shell("init", "--no-input", "--force", "--app-id", "second").result()
    assert load(None, ".", {}).apps[0].id == "second"


def test_without_a_terminal_it_says_how_to_do_without(shell: Shell) -> None:
    assert "--no-input" in shell("init").refusal(2)
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("options", "told"),
    (
        (("--port", "0"), "--port"),
        (("--port", "many"), "--port"),
        (("--auth-host", "shop.test"), "--auth-host"),
        (("--protocol", "gopher"), "--protocol"),
        (("--protocol", "https"), "--certificate"),
        (("--protocol", "https", "--certificate", "a.pem"), "--certificate-key"),
        (("--config", "laravel-echo-server.json"), "TOML"),
        (("--dir", "absent"), "absent"),
        (("--config", "/"), "/"),
    ),
)
def test_what_cannot_be_meant_is_one_line_and_nothing_is_written(
    shell: Shell, options: tuple[str, ...], told: str
) -> None:
    ended = shell("init", "--no-input", *options)
    assert told in ended.refusal(1 if options[0] in ("--dir", "--config") and told != "TOML" else 2)
    assert os.listdir() == []


def test_a_certificate_for_a_first_try_is_believed_by_who_is_given_it() -> None:
    certify("certificate.pem", "key.pem", ["shop.test"], lambda _: False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("certificate.pem", "key.pem")
    client = ssl.create_default_context(cafile="certificate.pem")
    assert shakes_hands(context, client, "shop.test")
    assert shakes_hands(context, client, "localhost")
    assert shakes_hands(context, client, "127.0.0.1")
    assert not shakes_hands(context, client, "other.test")
    assert os.stat("key.pem").st_mode & 0o777 == 0o600


def shakes_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    """Whether a client that looks for that name believes the server."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = client.wrap_bio(back, there, server_hostname=name), server.wrap_bio(there, back, server_side=True)
    done = 0
    while done < 2:
        for end in ends:
            try:
                end.do_handshake()
                done += 1
            except ssl.SSLWantReadError:
                done = 0
            except ssl.SSLCertVerificationError:
                return False
    return True
