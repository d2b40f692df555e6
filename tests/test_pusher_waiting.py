"""What waits to be forwarded: order per channel, whatever is under way and however it ends."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from broadcaster.drivers.pusher.calls import BATCH
from broadcaster.drivers.pusher.waiting import Entry, Waiting
from broadcaster.messages import Event, Terminated


def event(number: int, *channels: str) -> Entry:
    return Entry(Event("e", channels, str(number)), float(number))


def filled(*entries: Entry) -> Waiting:
    waiting = Waiting(1_000)
    for entry in entries:
        waiting.put(entry)
    return waiting


def numbers(entries: list[Entry]) -> list[int]:
    return [int(entry.since) for entry in entries]


def test_events_of_one_channel_each_go_together_up_to_a_batch() -> None:
    waiting = filled(*(event(number, "a") for number in range(BATCH + 1)))
    assert numbers(waiting.take()) == list(range(BATCH))
    assert waiting.take() == []


def test_a_channel_under_way_holds_up_its_own_events_and_no_others() -> None:
    waiting = filled(event(0, "a"))
    first = waiting.take()
    waiting.put(event(1, "a"))
    waiting.put(event(2, "b"))
    assert numbers(waiting.take()) == [2]
    waiting.done(first)
    assert numbers(waiting.take()) == [1]


def test_an_event_for_several_channels_goes_alone_and_keeps_its_place_on_each() -> None:
    waiting = filled(event(0, "a"), event(1, "a", "b"), event(2, "b"), event(3, "c"))
    first = waiting.take()
    assert numbers(first) == [0, 3]
    assert waiting.take() == []
    waiting.done(first)
    second = waiting.take()
    assert numbers(second) == [1]
    waiting.done(second)
    assert numbers(waiting.take()) == [2]


def test_the_oldest_that_is_not_under_way_is_dropped() -> None:
    waiting = filled(event(0, "a"), event(1, "a", "b"))
    under_way = waiting.take()
    assert numbers(under_way) == [0]
    dropped = waiting.drop_oldest()
    assert dropped is not None and dropped.since == 1
    assert waiting.drop_oldest() is None
    assert len(waiting) == 1
    assert waiting.oldest() == 0
    waiting.done(under_way)
    assert waiting.oldest() is None


def test_it_is_full_with_what_is_under_way() -> None:
    waiting = Waiting(2)
    waiting.put(event(0, "a"))
    waiting.take()
    assert not waiting.full()
    waiting.put(event(1, "a"))
    assert waiting.full()
    assert numbers(waiting.clear()) == [0, 1]
    assert len(waiting) == 0


CHANNELS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)


@given(st.lists(CHANNELS | st.none(), max_size=60), st.data())
def test_whatever_ends_first_each_is_sent_once_and_no_channel_is_overtaken(
    items: list[list[str] | None], data: st.DataObject
) -> None:
    entries = [
        Entry(Terminated("u"), float(number)) if channels is None else event(number, *channels)
        for number, channels in enumerate(items)
    ]
    waiting = filled(*entries)
    under_way: list[list[Entry]] = []
    ended: list[Entry] = []
    while len(waiting):
        taken = waiting.take()
        if taken:
            lanes = [lane for each in under_way for entry in each for lane in entry.lanes()]
            assert not {lane for entry in taken for lane in entry.lanes()} & set(lanes)
            under_way.append(taken)
        if not taken or data.draw(st.booleans()):
            batch = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            waiting.done(batch)
            ended += batch
    assert sorted(numbers(ended)) == list(range(len(items)))
    order: dict[str, list[int]] = defaultdict(list)
    for entry in ended:
        for lane in entry.lanes():
            order[lane].append(int(entry.since))
    assert all(seen == sorted(seen) for seen in order.values())
