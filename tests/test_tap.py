"""``twistd broadcaster``: its options, and how it says no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import twisted.internet
from twisted.application.service import Application, IService
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver
from twisted.plugin import getPlugins

from broadcaster.errors import ConfigError
from broadcaster.listeners import Unlistenable
from broadcaster.tap import Options, makeService

Make = Callable[..., Any]

LISTEN = "tcp:6001:interface=127.0.0.1"


class Reactor(MemoryReactorClock):
    """Keeps what is to be done when it runs, which it never does."""

    def __init__(self) -> None:
        super().__init__()
        self.upcoming: list[str] = []

    def callWhenRunning(self, callable: Callable[..., Any], *args: Any, **kw: Any) -> None:
        self.upcoming.append(callable.__name__)


@pytest.fixture
def reactor(monkeypatch: pytest.MonkeyPatch) -> Reactor:
    reactor = Reactor()
    monkeypatch.setattr(twisted.internet, "reactor", reactor, raising=False)
    return reactor


@pytest.fixture
def make(reactor: Reactor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """`makeService` by a command line, in an empty directory and environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.environ", {})
    made = []

    def make(*arguments: str, **twistd: Any) -> Any:
        options = Options()
        options.parent = {"nodaemon": True, **twistd}
        options.parseOptions(arguments)
        made.append(makeService(options))
        return made[-1]

    yield make
    for root in made:
        root.stopService()


def ports(reactor: Reactor) -> list[int]:
    return [port for port, *_ in reactor.tcpServers]


# ---- options --------------------------------------------------------------------------------------------------


def test_twistd_finds_it_by_its_name() -> None:
    from twisted.application.service import IServiceMaker

    (maker,) = (maker for maker in getPlugins(IServiceMaker) if maker.tapname == "broadcaster")
    assert maker.options is Options
    assert maker.makeService is makeService


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    (
        ((), {"config": None, "dir": ".", "listen": []}),
        (("--config", "a.toml"), {"config": "a.toml", "dir": ".", "listen": []}),
        (("-c", "a.toml", "-d", "etc"), {"config": "a.toml", "dir": "etc", "listen": []}),
        (("--listen", "tcp:1", "-l", "tcp:2"), {"config": None, "dir": ".", "listen": ["tcp:1", "tcp:2"]}),
    ),
)
def test_a_command_line_is_read(arguments: tuple[str, ...], wanted: dict[str, Any]) -> None:
    options = Options()
    options.parseOptions(arguments)
    assert {key: options[key] for key in wanted} == wanted


def test_two_command_lines_share_nothing() -> None:
    first, second = Options(), Options()
    first.parseOptions(["--listen", "tcp:1"])
    assert second["listen"] == []


@pytest.mark.parametrize("arguments", (["--no-such-option"], ["superfluous"], ["--config"]))
def test_a_wrong_command_line_is_one_line_and_status_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        Options().parseOptions(arguments)
    line = capsys.readouterr().err
    assert caught.value.code == 2
    assert line.startswith("broadcaster: ")
    assert line.endswith("; see twistd broadcaster --help\n")
    assert line.count("\n") == 1


# ---- the service ----------------------------------------------------------------------------------------------


def test_with_nothing_at_all_it_is_the_embedded_default(make: Make, reactor: Reactor) -> None:
    root = make()
    service, _ = root.services
    assert service.settings.source == "embedded default"
    assert ports(reactor) == [6001]
    assert reactor.upcoming == ["settle", "poll_directly"]
    assert IService.providedBy(root)


def test_the_file_in_the_directory_counts(make: Make, reactor: Reactor, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    app = '[[apps]]\nid = "a"\nkey = "k"\nsecret = "s"\n'
    (tmp_path / "etc" / "broadcaster.toml").write_text(f'[server]\nlisten = ["{LISTEN}"]\n{app}')
    service, _ = make("--dir", "etc").services
    assert [app.id for app in service.settings.apps] == ["a"]


def test_addresses_on_the_command_line_replace_the_configured_ones(make: Make, reactor: Reactor) -> None:
    service, _ = make("-l", "tcp:7001:interface=127.0.0.1", "-l", "tcp:7002:interface=127.0.0.1").services
    assert ports(reactor) == [7001, 7002]
    assert service.settings.server.listen == ("tcp:7001:interface=127.0.0.1", "tcp:7002:interface=127.0.0.1")


@pytest.mark.parametrize(
    ("error", "status"),
    (
        (ConfigError("broadcaster.toml", "driver.name", "there is no driver 'x'", "name another"), 2),
        (Unlistenable("cannot listen on tcp:6001: Address already in use; stop it"), 1),
    ),
)
def test_what_keeps_it_from_starting_is_one_line_and_a_status(
    make: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, status: int
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("broadcaster.tap.build", refuse)
    with pytest.raises(SystemExit) as caught:
        make()
    assert caught.value.code == status
    assert capsys.readouterr().err == f"broadcaster: {error}\n"


def test_a_configuration_that_is_wrong_is_status_2(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        make("--config", "absent.toml")
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("broadcaster: ")
    assert "absent.toml" in line
    assert line.count("\n") == 1


# ---- its log --------------------------------------------------------------------------------------------------


def test_the_application_logs_the_way_that_is_configured(make: Make) -> None:
    application = Application("broadcaster")
    root = make()
    root.setServiceParent(application)
    assert application.getComponent(ILogObserver) is not None
    assert [service.name for service in IService(application)] == [root.name]


def test_twistd_logs_its_own_way_where_it_was_asked_to(make: Make) -> None:
    application = Application("broadcaster")
    make(syslog=True).setServiceParent(application)
    assert application.getComponent(ILogObserver) is None
