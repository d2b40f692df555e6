"""Deadlines: none too early, none more than a turn late, none lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.wheel import Wheel


class Alarm:
    """Remembers when it was due, and what to do then."""

    def __init__(self, then: Callable[[float], float | None] = lambda now: None) -> None:
        self.spoke: int | None = None
        self.rung: list[float] = []
        self._then = then

    def due(self, now: float) -> float | None:
        self.rung.append(now)
        return self._then(now)


@pytest.fixture
def wheel() -> Wheel:
    return Wheel(100.5)


def turn_until(wheel: Wheel, end: float, start: float = 101.5) -> None:
    """Turn about once a second."""
    now = start
    while now <= end:
        wheel.turn(now)
        now += 1


@pytest.mark.parametrize(("deadline", "rung"), [(103, 103.5), (103.4, 104.5), (104, 104.5), (90, 101.5), (101, 101.5)])
def test_a_deadline_is_served_at_the_first_turn_after_it(wheel: Wheel, deadline: float, rung: float) -> None:
    alarm = Alarm()
    wheel.set(alarm, deadline)
    turn_until(wheel, 110)
    assert alarm.rung == [rung]
    assert alarm.spoke is None


def test_a_new_deadline_takes_the_place_of_the_old_one(wheel: Wheel) -> None:
    sooner, later = Alarm(), Alarm()
    wheel.set(sooner, 109)
    wheel.set(sooner, 103)
    wheel.set(later, 103)
    wheel.set(later, 109)
    turn_until(wheel, 120)
    assert (sooner.rung, later.rung) == ([103.5], [109.5])


def test_a_deadline_that_is_cleared_never_comes(wheel: Wheel) -> None:
    alarm, other = Alarm(), Alarm()
    wheel.clear(alarm)
    wheel.set(alarm, 103)
    wheel.set(other, 103)
    wheel.clear(alarm)
    wheel.clear(alarm)
    turn_until(wheel, 110)
    assert (alarm.rung, other.rung) == ([], [103.5])


def test_what_is_due_names_its_next_deadline(wheel: Wheel) -> None:
    alarm = Alarm(lambda now: now + 3 if now < 108 else None)
    wheel.set(alarm, 103)
    turn_until(wheel, 120)
    assert alarm.rung == [103.5, 107.5, 111.5]
    assert not wheel._spokes


def test_a_deadline_that_is_over_already_does_not_come_twice_in_a_turn(wheel: Wheel) -> None:
    alarm = Alarm(lambda now: now)
    wheel.set(alarm, 103)
    turn_until(wheel, 106)
    assert alarm.rung == [103.5, 104.5, 105.5]


def test_what_was_missed_while_nobody_turned_comes_at_once_and_in_order(wheel: Wheel) -> None:
    order: list[str] = []
    alarms = {name: Alarm(lambda now, name=name: order.append(name)) for name in "abc"}  # type: ignore[misc]
    for name, deadline in (("c", 130), ("a", 103), ("b", 120)):
        wheel.set(alarms[name], deadline)
    wheel.turn(1_000)
    assert order == ["a", "b", "c"]


@pytest.mark.parametrize("other_deadline", [102, 103, 104, 105])
def test_what_is_due_may_clear_and_set_others(wheel: Wheel, other_deadline: float) -> None:
    cleared, moved = Alarm(), Alarm()

    def interfere(now: float) -> None:
        wheel.clear(cleared)
        wheel.set(moved, now + 5)

    first = Alarm(interfere)
    wheel.set(first, 102)
    wheel.set(cleared, other_deadline)
    wheel.set(moved, other_deadline)
    wheel.turn(110)
    assert (len(first.rung), cleared.rung, moved.rung) == (1, [], [])
    turn_until(wheel, 120, start=111)
    assert (cleared.rung, moved.rung) == ([], [115])


def test_what_is_due_may_clear_itself_and_still_name_a_deadline(wheel: Wheel) -> None:
    alarm = Alarm(lambda now: wheel.clear(alarm) or (now + 2 if now < 105 else None))
    wheel.set(alarm, 103)
    turn_until(wheel, 110)
    assert alarm.rung == [103.5, 106.5]


@given(st.lists(st.tuples(st.floats(0, 50), st.integers(0, 9), st.booleans()), max_size=40))
def test_every_deadline_comes_within_a_turn_and_only_the_last_one(moves: list[tuple[float, int, bool]]) -> None:
    wheel = Wheel(0.25)
    alarms = [Alarm() for _ in range(10)]
    wanted: dict[int, float] = {}
    for deadline, who, clear in moves:
        if clear:
            wheel.clear(alarms[who])
            wanted.pop(who, None)
        else:
            wheel.set(alarms[who], deadline)
            wanted[who] = deadline
    turn_until(wheel, 60, start=1.25)
    for who, alarm in enumerate(alarms):
        if who not in wanted:
            assert alarm.rung == []
        else:
            [rung] = alarm.rung
            assert wanted[who] <= rung
            assert rung <= max(wanted[who], 0.25) + 2
    assert not wheel._spokes


def test_a_deadline_that_raises_keeps_no_other_from_its_own() -> None:
    class Item:
        def __init__(self, fault: Exception | None = None) -> None:
            self.spoke: int | None = None
            self.fault = fault
            self.served = 0

        def due(self, now: float) -> float | None:
            self.served += 1
            if self.fault is not None:
                raise self.fault
            return now + 1

    wheel = Wheel(0.0)
    items = [Item(), Item(ZeroDivisionError()), Item()]
    for item in items:
        wheel.set(item, 1.0)
    with pytest.raises(ExceptionGroup):
        wheel.turn(1.0)
    wheel.turn(2.0)
    assert [item.served for item in items] == [2, 1, 2]


def test_a_finer_wheel_is_as_exact_as_its_grain() -> None:
    wheel, alarm = Wheel(100.5, 0.05), Alarm()
    wheel.set(alarm, 100.62)
    for hundredth in range(0, 30, 5):
        wheel.turn(100.5 + hundredth / 100)
    assert alarm.rung == [pytest.approx(100.65)]
