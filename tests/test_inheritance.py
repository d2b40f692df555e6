"""Listening on sockets that somebody else has bound: found by where they listen, left as they are."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError

from broadcaster.inheritance import ACTIVATED, Inherited, Inheriting, bind_unix, is_stale, sayable
from tests.processes import free_port
from tests.sockets import Catcher, Peer, reactor, run_until, turn


@pytest.fixture
def listen() -> Iterator[Any]:
    """Listens on an endpoint, on an inherited socket if there is one for it; gives the port, closed at last."""
    ports = []

    def start(description: str, *sockets: tuple[str, socket.socket]) -> Any:
        inherited = Inherited(sockets)
        listening = serverFromString(Inheriting(reactor, inherited), description).listen(Catcher())
        ports.append(listening.result)
        listening.addErrback(lambda _: None)
        inherited.close()
        return ports[-1]

    yield start
    for port in ports:
        stop(port)


def stop(port: Any) -> None:
    if hasattr(port, "socket"):
        stopped: list[object] = []
        port.stopListening().addBoth(stopped.append)
        run_until(lambda: stopped, "the end of listening")


def bound(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    made.listen()
    return made


@pytest.mark.parametrize("description", ["tcp:{port}:interface=127.0.0.1", "tcp:{port}:interface=localhost"])
def test_a_socket_is_found_by_its_address(listen: Any, description: str) -> None:
    theirs = bound()
    number = theirs.getsockname()[1]
    inode = _inode(theirs)
    port = listen(description.format(port=number), ("tcp", theirs))
    assert _inode(port.socket) == inode
    with Peer(("127.0.0.1", number)):
        run_until(lambda: port.factory.caught, "the connection")


def test_all_of_ipv4_is_all_of_ipv6_for_systemd_only(listen: Any) -> None:
    with bound(host="0.0.0.0") as keeping:
        number, inode = keeping.getsockname()[1], _inode(keeping)
        inherited = Inherited([("tcp", keeping.dup())])
        assert inherited.at(("::", number)) == (None, False)
        inherited.close()
        port = listen(f"tcp:{number}:interface=\\:\\:", (ACTIVATED, keeping.dup()))
        assert _inode(port.socket) == inode


def test_where_nothing_was_inherited_it_is_bound(listen: Any) -> None:
    number = free_port()
    with bound() as other:
        port = listen(f"tcp:{number}:interface=127.0.0.1", ("tcp", other.dup()))
        assert port.getHost().port == number


def test_a_unix_socket_is_found_and_its_path_removed_by_whom_it_belongs_to_now(listen: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    theirs = bind_unix(str(path), 0o600)
    theirs.listen()
    port = listen(f"unix:{path}", ("unix", theirs))
    with Peer(str(path)):
        run_until(lambda: port.factory.caught, "the connection")
    assert path.stat().st_mode & 0o777 == 0o600
    stop(port)
    assert not path.exists()


def test_one_of_systemds_stays_in_its_place(listen: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with bind_unix(str(path), 0o660) as theirs:
        theirs.listen()
        port = listen(f"unix:{path}", (ACTIVATED, theirs.dup()))
        stop(port)
        assert path.exists()


def test_what_systemd_gave_a_predecessor_is_found_by_its_name(tmp_path: Path) -> None:
    with bound() as keeping:
        inherited = Inherited([("systemd:domain=INET:name=http", keeping.dup())])
        endpoint = Inheriting(reactor, inherited).named("systemd:domain=INET:name=http")
        assert endpoint is not None
        port = endpoint.listen(Catcher()).result
        assert port.getHost().port == keeping.getsockname()[1]
        stop(port)
        assert inherited.named("systemd:domain=INET:name=http") is None


def test_a_socket_that_nobody_listens_on_is_in_nobodys_way(listen: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert is_stale(str(path))
    listen(f"unix:{path}:mode=640")
    assert not is_stale(str(path))
    assert path.stat().st_mode & 0o777 == 0o640


def test_one_that_somebody_listens_on_and_a_file_are_left_alone(listen: Any, tmp_path: Path) -> None:
    path, file = tmp_path / "a.sock", tmp_path / "file"
    file.write_text("mine")
    with bind_unix(str(path), 0o600) as theirs:
        theirs.listen()
        for each in (path, file):
            assert isinstance(listen(f"unix:{each}").value, CannotListenError)
    assert file.read_text() == "mine"


def test_a_name_without_a_file_needs_none(listen: Any) -> None:
    port = listen(f"unix:\0broadcaster-{free_port()}")
    with Peer(port.socket.getsockname().decode()):
        run_until(lambda: port.factory.caught, "the connection")
    turn()


def test_a_path_that_is_too_long_is_said_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 90) / "e"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert sayable(str(deep / "a.sock")) == "a.sock"
    assert sayable(str(tmp_path / "a.sock")) == str(tmp_path / "a.sock")


def test_what_nobody_wanted_is_told_to_the_predecessor_once() -> None:
    told: list[list[str]] = []
    with bound() as one, bound() as other:
        inherited = Inherited([("one", one.dup()), ("other", other.dup())], told.append)
        mine = inherited.named("one")
        assert mine is not None
        mine.close()
        assert inherited.release()
        assert not inherited.release()
    assert told == [["other"]]


def test_where_systemd_listens_for_nobody_is_named() -> None:
    with bound() as served, bound() as idle:
        inherited = Inherited([(ACTIVATED, served.dup()), (ACTIVATED, idle.dup()), ("tcp", idle.dup())])
        assert inherited.idle([served]) == [f"127.0.0.1:{idle.getsockname()[1]}"]
        inherited.close()


def _inode(of: socket.socket) -> int:
    return Path(f"/proc/self/fd/{of.fileno()}").stat().st_ino
