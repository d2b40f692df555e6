"""What is written to the log about the application, and how seldom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher

from broadcaster.auth.complaints import MOST, Complaints


@pytest.fixture
def lines() -> Iterator[list[tuple[LogLevel, str]]]:
    lines: list[tuple[LogLevel, str]] = []

    def observe(event: dict) -> None:
        lines.append((event["log_level"], event["log_format"].format(**event)))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def test_a_line_says_who_answered_what_about_which_channel(lines: list[tuple[LogLevel, str]]) -> None:
    complaints = Complaints(Clock().seconds)
    complaints.tell("http://a/auth", "answered 500: {oops}", "private-{x}")
    complaints.tell("http://a/auth", "answered 403: no", "private-y", ordinary=True)
    assert lines == [
        (LogLevel.warn, "http://a/auth answered 500: {oops} (channel private-{x})"),
        (LogLevel.info, "http://a/auth answered 403: no (channel private-y)"),
    ]


def test_one_line_for_each_address_and_fault_in_ten_seconds(lines: list[tuple[LogLevel, str]]) -> None:
    clock = Clock()
    complaints = Complaints(clock.seconds)

    def tell(host: str, kind: str) -> int:
        lines.clear()
        for _ in range(3):
            complaints.tell(host, kind, "private-x")
        return len(lines)

    assert [tell("a", "500"), tell("a", "500"), tell("a", "tls"), tell("b", "500")] == [1, 0, 1, 1]
    clock.advance(9.9)
    assert tell("a", "500") == 0
    clock.advance(0.1)
    assert [tell("a", "500"), tell("a", "500"), tell("b", "500")] == [1, 0, 1]


def test_clients_that_name_ever_new_hosts_fill_neither_log_nor_memory(lines: list[tuple[LogLevel, str]]) -> None:
    clock = Clock()
    complaints = Complaints(clock.seconds)
    for number in range(10 * MOST):
        complaints.tell(f"https://{number}.example.com/auth", "is down", "private-x")
    assert len(lines) == len(complaints._told) == MOST
    clock.advance(10)
    complaints.tell("a", "is down", "private-x")
    assert len(lines) == MOST + 1 and len(complaints._told) == 1
