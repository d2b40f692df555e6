"""The embedded store: one SQLite file beside the configuration, and memory for as long as the disk fails."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from zope.interface import implementer

from broadcaster.hooks import Backlog, Entry, GivenUp, Kept, Spot
from broadcaster.interfaces import IHookStore
from broadcaster.webhooks import tables
from broadcaster.webhooks.worker import Worker

T = TypeVar("T")

ABSENCE_SECONDS = 10.0
"""How long clients have to come back after a server has died, before they count as gone."""

MEND_SECONDS = 5.0
"""Between two tries to use the disk again."""


@implementer(IHookStore)
class SqliteStore:
    """See `IHookStore`. Several processes may keep letters in one file; who has the lock beside it sends them.

    ``durable`` says whether what is kept is on the disk.
    """

    shared = False
    _log = Logger()

    def __init__(self, reactor: Any, path: str, now: Callable[[], float]) -> None:
        self.durable = True
        self._path = path
        self._now = now
        self._worker = Worker(reactor)
        self._database: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._tried = 0.0
        self._marks = {"letters": 0, "dead": 0}
        """What lay in the file when memory began to stand in for it."""

    def keep(self, entries: Sequence[Entry]) -> Deferred[None]:
        """See `IHookStore`; one commit."""
        return self._do(tables.keep, entries)

    def own(self) -> Deferred[bool]:
        """See `IHookStore`; the kernel takes the lock from whoever dies."""
        return self._worker.call(self._claim)

    def disown(self, due: float | None) -> Deferred[None]:
        """See `IHookStore`."""
        left = succeed(None) if due is None or self._lock is None else self._do(tables.depart, due)
        return left.addBoth(lambda _: self._unlock())

    def backlogs(self) -> Deferred[Mapping[str, Backlog]]:
        """See `IHookStore`."""
        return self._do(tables.backlogs).addCallback(lambda found: found)

    def first(self, receiver: str, most: int) -> Deferred[Sequence[Kept]]:
        """See `IHookStore`."""
        return self._do(tables.first, receiver, most).addCallback(lambda found: found)

    def done(self, receiver: str, places: Sequence[str]) -> Deferred[None]:
        """See `IHookStore`."""
        return self._do(tables.done, places)

    def give_up(self, receiver: str, kept: Sequence[Kept], reason: str, at: float, most: int) -> Deferred[None]:
        """See `IHookStore`."""
        return self._do(tables.give_up, kept, reason, at, most)

    def leaving(self, now: float, most: int) -> Deferred[Sequence[Spot]]:
        """See `IHookStore`."""
        return self._do(tables.leaving, now, most).addCallback(lambda found: found)

    def settle(self, gone: Sequence[Entry], back: Sequence[Spot]) -> Deferred[None]:
        """See `IHookStore`."""
        return self._do(tables.settle, gone, back)

    def present(self, after: Spot | None, most: int) -> Deferred[Sequence[Spot]]:
        """See `IHookStore`."""
        return self._do(tables.present, after, most).addCallback(lambda found: found)

    def dead(self, most: int) -> Deferred[Sequence[GivenUp]]:
        """See `IHookStore`."""
        return self._do(tables.dead, most).addCallback(lambda found: found)

    def revive(self, ids: Sequence[str] | None, now: float) -> Deferred[Sequence[str]]:
        """See `IHookStore`."""
        return self._do(tables.revive, ids, now).addCallback(lambda found: found)

    def drop(self, ids: Sequence[str] | None) -> Deferred[Sequence[str]]:
        """See `IHookStore`."""
        return self._do(tables.drop, ids).addCallback(lambda found: found)

    def close(self) -> Deferred[None]:
        """See `IHookStore`."""
        return self._worker.call(self._close).addBoth(lambda _: self._worker.stop())

    # ---- in the worker's thread ---------------------------------------------------------------------------------

    def _do(self, work: Callable[..., T], *arguments: object) -> Deferred[T]:
        return self._worker.call(self._run, work, *arguments)

    def _run(self, work: Callable[..., T], *arguments: object) -> T:
        """Do it on the file if that can be, else in memory; what fails in memory is a mistake of ours."""
        if not self.durable and monotonic() - self._tried > MEND_SECONDS:
            self._mend()
        if self.durable:
            try:
                if self._database is None:
                    self._database = self._open()
                return work(self._database, *arguments)
            except (sqlite3.Error, OSError) as error:
                self._fall_back(error)
        assert self._database is not None
        return work(self._database, *arguments)

    def _open(self) -> sqlite3.Connection:
        # SQLite gives the files beside it the mode of the first, and what clients say is in there.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        return tables.connect(self._path)

    def _claim(self) -> bool:
        if self._lock is not None:
            return True
        try:
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return True  # nobody else can either; the store itself will say what is wrong
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        self._run(tables.depart, self._now() + ABSENCE_SECONDS)
        return True

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _close(self) -> None:
        if not self.durable:
            self._mend()
        if self._database is not None:
            self._database.close()
            self._database = None
        self._unlock()

    # ---- a disk that fails --------------------------------------------------------------------------------------

    def _fall_back(self, error: Exception) -> None:
        self._log.error(
            "webhooks: {path}: {error}; they are kept in memory until it works again",
            path=self._path,
            error=str(error),
        )
        self.durable, self._tried = False, monotonic()
        memory, disk = tables.connect(":memory:"), self._database
        if disk is not None:
            try:
                disk.backup(memory)
            except sqlite3.Error:
                memory.close()
                memory = tables.connect(":memory:")
            disk.close()
        for table in self._marks:
            (mark,) = memory.execute(f"SELECT COALESCE(MAX(place), 0) FROM {table}").fetchone()
            self._marks[table] = mark
        self._database = memory

    def _mend(self) -> None:
        """Write to the file what has changed since it failed; others may have written to it meanwhile."""
        self._tried, memory = monotonic(), self._database
        assert memory is not None
        try:
            disk = self._open()
            disk.close()
            memory.execute("ATTACH ? AS disk", (self._path,))
            try:
                memory.execute("PRAGMA disk.synchronous=FULL")
                with tables.transaction(memory):
                    for table, columns in (("letters", _COLUMNS), ("dead", f"{_COLUMNS}, reason, at")):
                        mark = (self._marks[table],)
                        left = f"SELECT place FROM main.{table}"
                        memory.execute(f"DELETE FROM disk.{table} WHERE place <= ? AND place NOT IN ({left})", mark)
                        new = f"SELECT {columns} FROM main.{table} WHERE place > ? ORDER BY place"
                        memory.execute(f"INSERT INTO disk.{table} ({columns}) {new}", mark)
                    memory.execute("DELETE FROM disk.spots")
                    memory.execute("INSERT INTO disk.spots SELECT * FROM main.spots")
            finally:
                memory.execute("DETACH disk")
            self._database = self._open()
        except (sqlite3.Error, OSError):
            return
        memory.close()
        self.durable = True
        self._log.info("webhooks: {path} works again; they are on the disk", path=self._path)


_COLUMNS = "receiver, id, event, made"
