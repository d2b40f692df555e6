"""Events told on two ways: each is heard once, however the two are interleaved."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from broadcaster.drivers.pusher.pairing import MOST, Pairing

EVENT = ("a", "e", "1")


def test_the_second_side_is_the_firsts_shadow_whichever_comes_first() -> None:
    pairing = Pairing(60)
    assert pairing.told("here", *EVENT, 0)
    assert not pairing.told("pusher", *EVENT, 1)
    assert pairing.told("pusher", *EVENT, 2)
    assert not pairing.told("here", *EVENT, 3)
    assert len(pairing) == 0


def test_a_side_that_says_the_same_twice_means_two() -> None:
    pairing = Pairing(60)
    assert pairing.told("here", *EVENT, 0)
    assert pairing.told("here", *EVENT, 0)
    assert not pairing.told("pusher", *EVENT, 1)
    assert not pairing.told("pusher", *EVENT, 1)
    assert pairing.told("pusher", *EVENT, 1)


def test_what_differs_in_channel_name_or_data_is_another_event() -> None:
    pairing = Pairing(60)
    pairing.told("here", *EVENT, 0)
    for other in (("b", "e", "1"), ("a", "f", "1"), ("a", "e", "2")):
        assert pairing.told("pusher", *other, 0)


def test_what_stays_alone_is_given_up_and_shadows_nothing_any_more() -> None:
    pairing = Pairing(60)
    pairing.told("here", *EVENT, 0)
    assert pairing.alone(59) == []
    (half,) = pairing.alone(60)
    assert (half.side, half.channel, half.name, half.data, half.since) == ("here", *EVENT, 0)
    assert pairing.told("pusher", *EVENT, 61)


def test_what_is_withdrawn_shadows_nothing() -> None:
    pairing = Pairing(60)
    pairing.told("here", *EVENT, 0)
    pairing.withdraw(*EVENT)
    pairing.withdraw(*EVENT)
    assert pairing.told("pusher", *EVENT, 1)
    pairing.withdraw(*EVENT)
    assert not pairing.told("here", *EVENT, 2)


def test_it_is_bounded() -> None:
    pairing = Pairing(60)
    for number in range(MOST + 5):
        pairing.told("here", "a", "e", str(number), 0)
    assert [half.data for half in pairing.alone(1)] == ["0", "1", "2", "3", "4"]
    assert len(pairing) == MOST


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("xyz"))))
def test_each_event_is_heard_as_often_as_the_side_that_told_it_more_often_told_it(
    told: list[tuple[bool, str]],
) -> None:
    pairing = Pairing(60)
    heard: Counter[str] = Counter()
    by_side: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for here, data in told:
        by_side[here][data] += 1
        heard[data] += pairing.told("here" if here else "pusher", "a", "e", data, 0)
    for data in "xyz":
        assert heard[data] == max(by_side[0][data], by_side[1][data])
