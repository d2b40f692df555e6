"""Who is dead is found out, and who is not is left in peace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.protocols.heartbeat import GRACE, LOST, SECOND_TRY, Action, Heartbeat


def follow(
    heartbeat: Heartbeat, start: float, end: float, heard: dict[float, None] | None = None
) -> list[tuple[float, Action]]:
    """Check whenever it asks for, and at whole seconds as the wheel does; what was to be done when."""
    done = []
    due = heartbeat.deadline
    now = start
    while now <= end:
        if heard is not None and now in heard:
            heartbeat.heard = now
        if now >= due:
            action, due = heartbeat.check(now)
            if action is not Action.NOTHING:
                done.append((now, action))
            if action is Action.HANG_UP:
                break
            assert due > now, "or the wheel would spin"
        now += 1
    return done


def test_silence_is_answered_by_a_ping_a_question_and_the_end() -> None:
    heartbeat = Heartbeat(0, 30)
    assert heartbeat.deadline == 40
    assert follow(heartbeat, 0, 1_000) == [(40, Action.PING), (50, Action.ASK), (70, Action.HANG_UP)]


@pytest.mark.parametrize("activity_timeout", [1, 30, 120])
def test_how_long_silence_may_be_is_the_apps(activity_timeout: float) -> None:
    first = activity_timeout + GRACE
    assert follow(Heartbeat(0, activity_timeout), 0, 1_000) == [
        (first, Action.PING),
        (first + SECOND_TRY, Action.ASK),
        (first + LOST, Action.HANG_UP),
    ]


PINGED, ASKED = (40, Action.PING), (50, Action.ASK)


@pytest.mark.parametrize(
    ("answered", "before"),
    [(40, []), (41, [PINGED]), (50, [PINGED]), (51, [PINGED, ASKED]), (69, [PINGED, ASKED])],
)
def test_any_sound_before_the_end_starts_it_all_again(answered: float, before: list[tuple[float, Action]]) -> None:
    again = answered + 40
    assert follow(Heartbeat(0, 30), 0, 1_000, {answered: None}) == [
        *before,
        (again, Action.PING),
        (again + SECOND_TRY, Action.ASK),
        (again + LOST, Action.HANG_UP),
    ]


def test_an_answer_in_the_very_moment_of_the_ping_counts() -> None:
    heartbeat = Heartbeat(0, 30)
    assert heartbeat.check(40) == (Action.PING, 50)
    heartbeat.heard = 40
    assert heartbeat.check(50) == (Action.NOTHING, 80)


def test_who_speaks_often_enough_is_never_asked() -> None:
    assert follow(Heartbeat(0, 30), 0, 1_000, dict.fromkeys(range(0, 1_001, 39))) == []


def test_who_answers_every_ping_and_never_speaks_stays() -> None:
    heartbeat = Heartbeat(0, 30)
    now, pings = 0.0, 0
    due = heartbeat.deadline
    while now < 10_000:
        now = due
        action, due = heartbeat.check(now)
        assert action in (Action.NOTHING, Action.PING)
        if action is Action.PING:
            pings += 1
            heartbeat.heard = now + 0.05
    assert pings > 200


@given(
    st.lists(st.floats(0.01, 200), max_size=30),
    st.integers(1, 120),
    st.floats(0, 0.999),
)
def test_nobody_who_was_heard_within_the_last_thirty_seconds_is_hung_up_on(
    gaps: list[float], activity_timeout: int, offset: float
) -> None:
    heartbeat = Heartbeat(0, activity_timeout)
    sounds = []
    at = 0.0
    for gap in gaps:
        at += gap
        sounds.append(at)
    due = heartbeat.deadline
    for second in range(int(at) + 500):
        now = second + offset
        while sounds and sounds[0] <= now:
            heartbeat.heard = sounds.pop(0)
        if now >= due:
            action, due = heartbeat.check(now)
            if action is Action.HANG_UP:
                assert now - heartbeat.heard >= LOST
                assert now - heartbeat.heard <= activity_timeout + GRACE + LOST + 3
                return
    raise AssertionError("the dead are found out")
