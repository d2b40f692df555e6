"""The tables of the embedded store, and what is asked of them; each function is one transaction's work.

Plain ``sqlite3``, blocking; `sqlite` decides where and when it runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from broadcaster.hooks import Backlog, Entry, GivenUp, Kept, Letter, Spot

_SCHEMA = """
CREATE TABLE IF NOT EXISTS letters (
    place INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, id TEXT NOT NULL, event BLOB NOT NULL,
    made REAL NOT NULL);
CREATE INDEX IF NOT EXISTS letters_of_receiver ON letters (receiver, place);
CREATE TABLE IF NOT EXISTS dead (
    place INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, id TEXT NOT NULL, event BLOB NOT NULL,
    made REAL NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spots (
    app TEXT NOT NULL, channel TEXT NOT NULL, user TEXT NOT NULL, due REAL, PRIMARY KEY (app, channel, user)
    ) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS spots_by_due ON spots (due) WHERE due IS NOT NULL;
"""
"""``user`` is "" for the channel itself, else "=" and the id. ``due`` is NULL for whoever is there."""


def connect(path: str) -> sqlite3.Connection:
    """Open the database, with the tables in it. A commit is on the disk when it returns (WAL, synchronous FULL)."""
    database = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        with transaction(database):
            for statement in _SCHEMA.split(";\n"):
                database.execute(statement)
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def keep(database: sqlite3.Connection, entries: Iterable[Entry]) -> None:
    """See `IHookStore`."""
    with transaction(database):
        for entry in entries:
            if entry.went is not None:
                upsert = "INSERT INTO spots VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET due = excluded.due"
                database.execute(upsert, (*_key(entry.went), entry.due))
            elif entry.came is not None:
                key = _key(entry.came)
                added = database.execute("INSERT OR IGNORE INTO spots VALUES (?, ?, ?, NULL)", key)
                if added.rowcount:
                    _write(database, entry.letters)
                else:
                    database.execute("UPDATE spots SET due = NULL WHERE app = ? AND channel = ? AND user = ?", key)
            else:
                _write(database, entry.letters)


def backlogs(database: sqlite3.Connection) -> dict[str, Backlog]:
    """See `IHookStore`."""
    grouped = "SELECT receiver, COUNT(*) AS n, MIN(place) AS place FROM letters GROUP BY receiver"
    rows = database.execute(f"SELECT g.receiver, n, made FROM ({grouped}) g JOIN letters USING (place)")
    return {receiver: Backlog(count, made) for receiver, count, made in rows}


def first(database: sqlite3.Connection, receiver: str, most: int) -> list[Kept]:
    """See `IHookStore`."""
    asked = "SELECT place, receiver, id, event, made FROM letters WHERE receiver = ? ORDER BY place LIMIT ?"
    return [Kept(str(place), Letter(*row)) for place, *row in database.execute(asked, (receiver, most))]


def done(database: sqlite3.Connection, places: Sequence[str]) -> None:
    """See `IHookStore`."""
    with transaction(database):
        _forget(database, places)


def give_up(database: sqlite3.Connection, kept: Sequence[Kept], reason: str, at: float, most: int) -> None:
    """See `IHookStore`."""
    with transaction(database):
        _forget(database, [each.place for each in kept])
        rows = [(*_row(each.letter), reason, at) for each in kept]
        write = "INSERT INTO dead (receiver, id, event, made, reason, at) VALUES (?, ?, ?, ?, ?, ?)"
        database.executemany(write, rows)
        if most:
            oldest = "SELECT place FROM dead ORDER BY place DESC LIMIT -1 OFFSET ?"
            database.execute(f"DELETE FROM dead WHERE place IN ({oldest})", (most,))


def leaving(database: sqlite3.Connection, now: float, most: int) -> list[Spot]:
    """See `IHookStore`: with a channel go all of its users that are leaving, were they due a moment later."""
    due = "SELECT app, channel, user, due FROM spots WHERE due <= ? ORDER BY due LIMIT ?"
    found: dict[Spot, None] = {}
    for app, channel, user, _ in database.execute(due, (now, most)).fetchall():
        if not user:
            with_it = (
                "SELECT user FROM spots WHERE app = ? AND channel = ? AND user <> '' AND due IS NOT NULL ORDER BY due"
            )
            found |= dict.fromkeys(_spot(app, channel, each) for (each,) in database.execute(with_it, (app, channel)))
        found[_spot(app, channel, user)] = None
    return list(found)


def settle(database: sqlite3.Connection, gone: Sequence[Entry], back: Sequence[Spot]) -> None:
    """See `IHookStore`."""
    with transaction(database):
        for entry in gone:
            assert entry.went is not None
            forget = "DELETE FROM spots WHERE app = ? AND channel = ? AND user = ? AND due IS NOT NULL"
            if database.execute(forget, _key(entry.went)).rowcount:
                _write(database, entry.letters)
        present = "UPDATE spots SET due = NULL WHERE app = ? AND channel = ? AND user = ?"
        database.executemany(present, [_key(spot) for spot in back])


def depart(database: sqlite3.Connection, due: float) -> None:
    """Whoever is there may be gone: it is to be seen at ``due``."""
    with transaction(database):
        database.execute("UPDATE spots SET due = ? WHERE due IS NULL", (due,))


def present(database: sqlite3.Connection, after: Spot | None, most: int) -> list[Spot]:
    """See `IHookStore`."""
    asked = "SELECT app, channel, user FROM spots WHERE (app, channel, user) > (?, ?, ?) AND due IS NULL LIMIT ?"
    start = ("", "", "") if after is None else _key(after)
    return [_spot(app, channel, user) for app, channel, user in database.execute(asked, (*start, most))]


def dead(database: sqlite3.Connection, most: int) -> list[GivenUp]:
    """See `IHookStore`."""
    asked = "SELECT receiver, id, event, made, reason, at FROM dead ORDER BY place DESC LIMIT ?"
    rows = database.execute(asked, (most,)).fetchall()
    return [GivenUp(Letter(*row[:4]), row[4], row[5]) for row in reversed(rows)]


def revive(database: sqlite3.Connection, ids: Sequence[str] | None, now: float) -> list[str]:
    """See `IHookStore`."""
    revived = []
    with transaction(database):
        for letter_id in _dead_ids(database) if ids is None else ids:
            copy = (
                "INSERT INTO letters (receiver, id, event, made) SELECT receiver, id, event, ? FROM dead WHERE id = ?"
            )
            if database.execute(copy, (now, letter_id)).rowcount:
                database.execute("DELETE FROM dead WHERE id = ?", (letter_id,))
                revived.append(letter_id)
    return revived


def drop(database: sqlite3.Connection, ids: Sequence[str] | None) -> list[str]:
    """See `IHookStore`."""
    dropped = []
    with transaction(database):
        for letter_id in _dead_ids(database) if ids is None else ids:
            rows = sum(
                database.execute(f"DELETE FROM {table} WHERE id = ?", (letter_id,)).rowcount
                for table in (("dead",) if ids is None else ("dead", "letters"))
            )
            if rows:
                dropped.append(letter_id)
    return dropped


def _dead_ids(database: sqlite3.Connection) -> list[str]:
    return list(dict.fromkeys(letter_id for (letter_id,) in database.execute("SELECT id FROM dead ORDER BY place")))


def _forget(database: sqlite3.Connection, places: Sequence[str]) -> None:
    database.executemany("DELETE FROM letters WHERE place = ?", [(int(place),) for place in places])


def _write(database: sqlite3.Connection, letters: Iterable[Letter]) -> None:
    write = "INSERT INTO letters (receiver, id, event, made) VALUES (?, ?, ?, ?)"
    database.executemany(write, [_row(letter) for letter in letters])


def _row(letter: Letter) -> tuple[str, str, bytes, float]:
    return letter.receiver, letter.id, letter.event, letter.made


def _key(spot: Spot) -> tuple[str, str, str]:
    return spot.app_id, spot.channel, "" if spot.user_id is None else f"={spot.user_id}"


def _spot(app_id: str, channel: str, user: str) -> Spot:
    return Spot(app_id, channel, user[1:] if user else None)
