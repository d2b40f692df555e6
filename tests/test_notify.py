"""What systemd is told, and that nobody who is told nothing is bothered."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from broadcaster.notify import Notifier


def test_news_is_one_datagram_with_a_line_each(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(5)
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).tell(READY=1, STATUS="two\nlines")
        assert systemd.recv(4096) == b"READY=1\nSTATUS=two lines"


def test_where_nobody_listens_any_more_nothing_is_raised(tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    assert notifier.active
    notifier.tell(READY=1)


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_what_is_no_socket_of_ours_is_nobody(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    assert not notifier.active
    assert notifier.watchdog is None
    notifier.tell(READY=1)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    (
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ),
)
def test_the_watchdog_is_for_whom_it_is_meant(environ: dict[str, str], seconds: float | None) -> None:
    assert Notifier({"NOTIFY_SOCKET": "@x"} | environ).watchdog == seconds


def test_who_has_a_successor_says_nothing_more(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"})
        notifier.leave()
        notifier.tell(STOPPING=1)
        assert notifier.watchdog is None
        with pytest.raises(BlockingIOError):
            systemd.recv(4096)
