"""What the log looks like, for people and for machines, and where twistd's own options put it."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from twisted.logger import Logger, LogLevel
from twisted.logger._legacy import publishToNewObserver
from twisted.python.failure import Failure
from twisted.python.log import textFromEventDict

from broadcaster.logs import observer
from broadcaster.settings import Log

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"

Write = Callable[..., str]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Write:
    """What a logger's calls put on standard output under the given ``[log]``."""

    def write(use: Callable[[Logger], object], **log: Any) -> str:
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        monkeypatch.setattr(sys, "stdout", out)
        observe = observer(Log(**log), {"nodaemon": True})
        use(Logger("broadcaster.service", observer=observe))
        return out.buffer.getvalue().decode()  # type: ignore[attr-defined]

    return write


def fail(log: Logger) -> None:
    try:
        raise ValueError("cable cut")
    except ValueError:
        log.failure("it failed")


# ---- text -----------------------------------------------------------------------------------------------------


def test_a_line_for_people_has_time_level_place_and_text(written: Write) -> None:
    text = written(lambda log: log.info("{count} clients", count=3))
    assert re.fullmatch(rf"{TIME} info  service: 3 clients\n", text)


def test_a_failure_is_told_with_its_traceback(written: Write) -> None:
    text = written(fail)
    assert re.match(rf"{TIME} critical service: it failed\nTraceback", text)
    assert text.endswith("builtins.ValueError: cable cut\n")


@pytest.mark.parametrize("format", ("text", "json"))
def test_an_event_without_words_is_no_line(written: Write, format: str) -> None:
    assert written(lambda log: log.emit(LogLevel.info), format=format) == ""


@pytest.mark.parametrize("format", ("text", "json"))
def test_what_cannot_be_encoded_is_written_all_the_same(written: Write, format: str) -> None:
    text = written(lambda log: log.error("no {what}", what="\udce9 route"), format=format)
    assert "udce9 route" in text
    assert text.endswith("\n")


# ---- JSON -----------------------------------------------------------------------------------------------------


def test_a_line_for_machines_is_an_object_with_what_the_text_was_made_of(written: Write) -> None:
    text = written(lambda log: log.warn("{a} {b}\n{c}", a="x", b=1.5, c=True, d=None, e=object()), format="json")
    assert text.count("\n") == 1
    line = json.loads(text)
    assert re.fullmatch(TIME, line.pop("time"))
    assert line == {"level": "warn", "system": "service", "message": "x 1.5\nTrue", "a": "x", "b": 1.5, "c": True}


def test_a_value_cannot_pass_for_what_every_line_has(written: Write) -> None:
    line = json.loads(written(lambda log: log.info("{message}", message="m", system="s", time=1), format="json"))
    assert (line["level"], line["message"], line["system"]) == ("info", "m", "service")
    assert re.fullmatch(TIME, line["time"])


@pytest.mark.parametrize("number", (2**64, -(2**70), float("nan"), float("inf")))
def test_any_number_is_a_line(written: Write, number: float) -> None:
    line = json.loads(written(lambda log: log.info("{n}", n=number), format="json"))
    assert line["message"] == str(number)


def test_a_failure_for_machines_is_one_line_too(written: Write) -> None:
    text = written(fail, format="json")
    assert text.count("\n") == 1
    line = json.loads(text)
    assert (line["level"], line["message"]) == ("critical", "it failed")
    assert line["failure"].rstrip().endswith("builtins.ValueError: cable cut")


def test_a_failure_needs_no_words(written: Write) -> None:
    failure = Failure(ValueError("cable cut"))
    text = written(lambda log: log.emit(LogLevel.error, log_failure=failure), format="json")
    assert "cable cut" in json.loads(text)["failure"]


# ---- levels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ("text", "json"))
@pytest.mark.parametrize(("level", "count"), (("debug", 5), ("info", 4), ("warn", 3), ("error", 2), ("critical", 1)))
def test_only_what_is_important_enough_is_written(written: Write, level: str, count: int, format: str) -> None:
    def say(log: Logger) -> None:
        for each in LogLevel.iterconstants():
            log.emit(each, "something")

    assert written(say, level=level, format=format).count("\n") == count


def test_what_old_code_says_is_info(written: Write) -> None:
    def say(log: Logger) -> None:
        old = {"message": ("said",), "isError": 0, "system": "old", "time": 0.0}
        publishToNewObserver(log.observer, old, textFromEventDict)

    assert written(say).endswith(" info  old: said\n")


# ---- where ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ("syslog", "logger"))
def test_twistd_may_be_asked_for_another_kind_of_log(kind: str) -> None:
    assert observer(Log(), {kind: True, "nodaemon": True}) is None


@pytest.mark.parametrize("options", ({"logfile": "-"}, {"logfile": "-", "nodaemon": True}, {"nodaemon": True}))
def test_standard_output_is_where_it_goes_in_the_foreground(
    options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Logger("x", observer=observer(Log(), options)).info("said")
    assert capsys.readouterr().out.endswith(" info  x: said\n")


@pytest.mark.parametrize("options", ({"logfile": "mine.log"}, {"logfile": "mine.log", "nodaemon": True}, {}))
def test_otherwise_a_file_is(options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    observe: Any = observer(Log(), options)
    Logger("x", observer=observe).info("said")
    observe._file.close()
    (file,) = tmp_path.iterdir()
    assert file.name == options.get("logfile", "twistd.log")
    assert file.read_text().endswith(" info  x: said\n")
