"""What webhooks are kept in: order, who is there, a disk that is full, and two servers on one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from broadcaster.hooks import Entry, Kept, Letter, Spot
from broadcaster.webhooks import sqlite
from broadcaster.webhooks.batches import LARGEST_BODY, Batch, expired, pause
from broadcaster.webhooks.sqlite import SqliteStore

T = TypeVar("T")


def now(deferred: Deferred[T]) -> T:
    """What it has fired with."""
    found: list[T] = []
    deferred.addCallback(found.append)
    return found[0]


def store_at(path: Path) -> SqliteStore:
    return SqliteStore(None, str(path / "webhooks.sqlite"), lambda: 1000.0)


def letter(number: int, size: int = 10) -> Letter:
    return Letter("r", str(number), b"x" * size, float(number))


def ids(store: SqliteStore) -> list[str]:
    return [each.letter.id for each in now(store.first("r", 10_000))]


def test_what_is_kept_is_there_for_the_next_in_its_order(tmp_path: Path) -> None:
    first = store_at(tmp_path)
    now(first.keep([Entry((letter(number),)) for number in range(5)]))
    now(first.close())
    second = store_at(tmp_path)
    assert ids(second) == ["0", "1", "2", "3", "4"]
    now(second.done("r", [each.place for each in now(second.first("r", 2))]))
    assert ids(second) == ["2", "3", "4"]
    assert now(second.backlogs())["r"].oldest == 2.0
    now(second.close())


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    now(store.keep([Entry((letter(1),))]))
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    now(store.close())


def test_of_two_servers_on_one_file_one_sends_what_both_keep(tmp_path: Path) -> None:
    one, two = store_at(tmp_path), store_at(tmp_path)
    assert now(one.own()) and not now(two.own())
    now(two.keep([Entry((letter(1),))]))
    assert ids(one) == ["1"]
    now(one.disown(None))
    assert now(two.own()) and not now(one.own())
    for store in (one, two):
        now(store.close())


def test_users_that_left_are_told_before_their_channel(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    channel, user = Spot("1", "presence-a"), Spot("1", "presence-a", "u")
    now(store.keep([Entry(came=channel), Entry(came=user)]))
    now(store.keep([Entry(went=channel, due=10.0), Entry(went=user, due=10.1)]))
    assert now(store.leaving(9.9, 10)) == []
    assert now(store.leaving(10.0, 10)) == [user, channel]
    now(store.keep([Entry((letter(1),), came=user)]))
    assert ids(store) == [], "whoever is back was never away"
    now(store.settle([Entry((letter(2),), went=user), Entry((letter(3),), went=channel)], []))
    assert ids(store) == ["3"]
    now(store.close())


def test_a_full_disk_means_memory_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_at(tmp_path)
    now(store.keep([Entry((letter(1),))]))
    assert store._database is not None
    (pages,) = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count={pages}")
    now(store.keep([Entry((letter(number, 5_000),)) for number in (2, 3)]))
    assert not store.durable
    assert ids(store) == ["1", "2", "3"]
    now(store.done("r", [now(store.first("r", 1))[0].place]))
    monkeypatch.setattr(sqlite, "MEND_SECONDS", -1.0)
    assert ids(store) == ["2", "3"]
    assert store.durable
    now(store.close())
    again = store_at(tmp_path)
    assert ids(again) == ["2", "3"]
    now(again.close())


def test_a_directory_that_cannot_be_written_means_memory(tmp_path: Path) -> None:
    store = store_at(tmp_path / "nowhere")
    now(store.keep([Entry((letter(1),))]))
    assert not store.durable and ids(store) == ["1"] and now(store.own())
    now(store.close())
    assert not os.path.exists(tmp_path / "nowhere")


def test_dead_letters_are_bounded_and_can_be_sent_again_or_dropped(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    now(store.keep([Entry((letter(number),)) for number in range(4)]))
    now(store.give_up("r", now(store.first("r", 10)), "too old", 99.0, 3))
    assert [each.letter.id for each in now(store.dead(10))] == ["1", "2", "3"]
    assert now(store.revive(["1", "9"], 50.0)) == ["1"]
    assert now(store.drop(["2"])) == ["2"]
    assert now(store.drop(None)) == ["3"]
    assert ids(store) == ["1"] and now(store.backlogs())["r"].oldest == 50.0
    now(store.close())


@given(st.lists(st.integers(1, LARGEST_BODY + 10), min_size=1, max_size=20))
def test_batches_are_bounded_and_leave_nothing_out_in_between(sizes: list[int]) -> None:
    kept = [Kept(str(number), letter(number, size)) for number, size in enumerate(sizes)]
    batch = Batch(kept)
    assert batch.kept == kept[: len(batch.kept)]
    assert len(batch.kept) == 1 or sum(sizes[: len(batch.kept)]) <= LARGEST_BODY


@given(st.integers(1, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_pauses_grow_whatever_the_jitter_and_have_an_end(failures: int, one: float, other: float) -> None:
    assert pause(failures, one) <= 75
    assert failures > 5 or pause(failures, one) < pause(failures + 1, other)


def test_nothing_expires_without_a_bound() -> None:
    kept = [Kept("1", letter(0)), Kept("2", letter(90))]
    assert expired(kept, 100.0, 50.0) == kept[:1]
    assert expired(kept, 100.0, 0.0) == []
