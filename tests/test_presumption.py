"""A Redis that nobody named is used where it is, and done without where it is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from broadcaster import presumption
from broadcaster.presumption import without_absent_redis
from broadcaster.settings import Driver, Settings
from tests.echo_files import loaded
from tests.processes import free_port


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_used_where_it_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as redis:
        monkeypatch.setattr(presumption, "ADDRESS", redis.getsockname())
        settings = loaded({})
        assert settings.driver.name == "redis"
        assert without_absent_redis(settings) is settings


def test_memory_stands_in_where_it_does_not_and_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presumption, "ADDRESS", ("127.0.0.1", free_port()))
    settings = without_absent_redis(loaded({}))
    assert settings.driver == Driver()
    assert "databaseConfig.redis: is not set, and nothing listens" in settings.notes[-1]


@pytest.mark.parametrize(
    "settings",
    (
        lambda: loaded({"databaseConfig": {"redis": {"host": "redis.test"}}}),
        lambda: Settings(driver=Driver(name="redis", options={"url": "redis://127.0.0.1:6379/0"})),
    ),
    ids=("laravel-echo-server.json", "broadcaster.toml"),
)
def test_one_that_is_named_is_waited_for(settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presumption, "ADDRESS", ("127.0.0.1", free_port()))
    named: Settings = settings()  # type: ignore[operator]
    assert without_absent_redis(named) is named
