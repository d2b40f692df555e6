"""Which client events are passed on: the table of refusals, in its order and words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.client_events import REFUSED, why_not
from broadcaster.limits import TokenBucket
from broadcaster.messages import ClientEvent
from broadcaster.settings import App, Limits

APP = App(id="3", key="key", secrets=("secret",))
LIMITS = Limits(event_bytes=10_240)
SUBSCRIPTIONS = (
    "private-x",
    "presence-x",
    "private-encrypted-x",
    "private-cache-x",
    "presence-cache-x",
    "x",
    "cache-x",
)

DISABLED = "To send client events, you must enable this feature in the Settings"
NO_CHANNEL = "Missing parameter: channel"
NOT_HERE = "Client event rejected - only supported on private and presence channels"
NOT_SUBSCRIBED = "Client event rejected - you are not subscribed to {}"
TOO_LONG = "Event name exceeds 200 characters (limits.event_name_length = 200)"
TOO_LARGE = "The data content of this event exceeds the allowed maximum (10240 bytes) (limits.event_bytes = 10240)"
TOO_MANY = "Client event rejected due to rate limit (limits.client_events_per_second = 10)"


class Sender:
    """A connection's share in it: its rate."""

    def __init__(self, app: App = APP, limits: Limits = LIMITS) -> None:
        self._app = app
        self._limits = limits
        self._bucket = TokenBucket()

    def why_not(
        self, channel: str | None = "private-x", name: str = "client-t", data: str = "1", now: float = 0
    ) -> str | None:
        event = ClientEvent(name, channel, data)
        return why_not(event, self._app, SUBSCRIPTIONS, self._bucket, self._limits, now)


def test_the_code_leaves_the_connection_open() -> None:
    assert REFUSED == 4301


@pytest.mark.parametrize("channel", ["private-x", "presence-x", "private-encrypted-x", "private-cache-x"])
def test_p140_p152_private_and_presence_channels_pass_them_on(channel: str) -> None:
    assert Sender().why_not(channel) is None


def test_p146_an_app_may_have_none() -> None:
    assert Sender(App(id="3", key="key", secrets=("s",), client_events=False)).why_not() == DISABLED


@pytest.mark.parametrize("channel", ["x", "cache-x", "#server-to-user-1", "Private-x", "privateer"])
def test_p144_other_channels_do_not(channel: str) -> None:
    assert Sender().why_not(channel) == NOT_HERE


def test_without_a_channel_there_is_nobody_to_tell() -> None:
    assert Sender().why_not(None) == NO_CHANNEL


def test_p145_only_who_listens_may_speak() -> None:
    assert Sender().why_not("private-y") == NOT_SUBSCRIBED.format("private-y")


def test_p147_names_are_as_long_as_the_limit_says() -> None:
    assert Sender().why_not(name="client-" + "é" * 193) is None
    assert Sender().why_not(name="client-" + "é" * 194) == TOO_LONG
    assert Sender(limits=Limits(event_name_length=0)).why_not(name="client-" + "x" * 1_000) is None


def test_p148_data_is_measured_in_bytes() -> None:
    assert Sender().why_not(data="x" * 10_240) is None
    assert Sender().why_not(data="x" * 10_241) == TOO_LARGE
    assert Sender().why_not(data="é" * 5_120) is None
    assert Sender().why_not(data="é" * 5_120 + "x") == TOO_LARGE
    assert Sender(limits=Limits(event_bytes=0)).why_not(data="x" * 1_000_000) is None


def test_p149_ten_at_once_and_ten_a_second() -> None:
    sender = Sender()
    assert [sender.why_not(now=0) for _ in range(11)] == [None] * 10 + [TOO_MANY]
    assert sender.why_not(now=0.05) == TOO_MANY
    assert [sender.why_not(now=1.05) for _ in range(11)] == [None] * 10 + [TOO_MANY]
    assert [sender.why_not(now=1.3) for _ in range(3)] == [None] * 2 + [TOO_MANY]


def test_p149_each_connection_has_its_own_rate() -> None:
    first, second = Sender(), Sender()
    assert [first.why_not() for _ in range(11)][-1] == TOO_MANY
    assert second.why_not() is None


def test_p149_the_rate_is_a_setting() -> None:
    slow = Sender(limits=Limits(client_events_per_second=1))
    assert slow.why_not() is None
    assert slow.why_not() == "Client event rejected due to rate limit (limits.client_events_per_second = 1)"
    unbound = Sender(limits=Limits(client_events_per_second=0))
    assert {unbound.why_not() for _ in range(1_000)} == {None}


def test_p149_what_is_refused_costs_nothing() -> None:
    sender = Sender()
    for _ in range(100):
        assert sender.why_not("x") == NOT_HERE
        assert sender.why_not(data="x" * 10_241) == TOO_LARGE
    assert [sender.why_not() for _ in range(11)] == [None] * 10 + [TOO_MANY]


def test_the_first_fault_in_the_order_of_the_table_is_told() -> None:
    """One that has them all loses one after the other."""
    disabled = App(id="3", key="key", secrets=("s",), client_events=False)
    name, data = "client-" + "x" * 200, "x" * 10_241
    assert Sender(disabled).why_not(None, name, data) == DISABLED
    sender = Sender()
    while sender.why_not() is None:
        pass
    course = [sender.why_not(channel, name, data) for channel in (None, "y", "private-y", "private-x")]
    assert course == [NO_CHANNEL, NOT_HERE, NOT_SUBSCRIBED.format("private-y"), TOO_LONG]
    assert sender.why_not(data=data) == TOO_LARGE
    assert sender.why_not() == TOO_MANY


@given(st.lists(st.floats(0, 3), max_size=60))
def test_no_second_ever_sees_more_than_twice_the_rate_nor_a_patient_one_a_refusal(pauses: list[float]) -> None:
    """A full bucket and a second's filling are the most that any second can let through."""
    sender, now, passed = Sender(), 0.0, []
    for pause in pauses:
        now += pause
        why = sender.why_not(now=now)
        assert why is None or why == TOO_MANY
        if pause >= 0.11:
            assert why is None
        if why is None:
            passed.append(now)
    for start in passed:
        assert sum(start <= moment < start + 1 for moment in passed) <= 20
