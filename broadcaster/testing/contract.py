"""What `broadcaster.interfaces` promises of drivers, as tests that any driver's own tests inherit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import gatherResults, maybeDeferred
from zope.interface.verify import verifyObject

from broadcaster.errors import DriverError
from broadcaster.interfaces import IDriver, IInterest
from broadcaster.messages import Event, Publication, Terminated
from broadcaster.testing.sink import RecordingSink

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase
else:
    TestCase = object

APP, OTHER_APP = "app", "other-app"

DATA = ("", "text", '{"a": [1, 2.50, null], "b": "\\u00fc"}', "ü € 😀 \u2028", '"\\\n\t\x00', "x" * 100_000)
"""Text that must arrive as it was published."""


class DriverContract(ABC, TestCase):
    """Mix it into a ``TestCase`` of ``twisted.trial.unittest`` and say how the driver is made::

        class TestMine(DriverContract, TestCase):
            def make_driver(self):
                return MyDriver(...)

    Each call of ``make_driver`` stands for one more process on the same engine. It may return a Deferred; ``setUp``
    and ``addCleanup`` are yours for whatever the engine needs.
    """

    @abstractmethod
    def make_driver(self) -> Any:
        """A driver that is not started, or a Deferred of one."""

    # ---- what it says of itself -------------------------------------------------------------------------------

    async def test_it_provides_the_interface(self) -> None:
        assert verifyObject(IDriver, await self._made())

    # ---- events -----------------------------------------------------------------------------------------------

    async def test_what_is_published_is_delivered_once_and_unchanged(self) -> None:
        driver, sink = await self._started("private-a")
        events = [Event(f"e{number}", ("private-a",), data) for number, data in enumerate(DATA)]
        events.append(Event("client-e", ("private-a",), "{}", exclude="12.34", user_id="ann ü"))
        await self._publish(driver, *events)
        assert await self._heard(driver, sink, "private-a") == events

    async def test_the_order_of_a_channel_is_the_order_of_publishing(self) -> None:
        driver, sink = await self._started("a")
        events = [Event("e", ("a",), str(number)) for number in range(500)]
        await self._publish(driver, *events)
        assert await self._heard(driver, sink, "a") == events

    async def test_an_event_for_several_channels_reaches_each_once(self) -> None:
        channels = tuple(f"c{number}" for number in range(100))
        driver, sink = await self._started(*channels)
        await self._publish(driver, Event("e", channels, "1", exclude="1.2"))
        for channel in channels:
            assert await self._heard(driver, sink, channel) == [Event("e", (channel,), "1", exclude="1.2")], channel

    async def test_apps_hear_nothing_of_each_other(self) -> None:
        driver, sink = await self._started("a")
        await self._wanted(driver, OTHER_APP, "a")
        await driver.publish(OTHER_APP, Event("e", ("a",), "theirs"))
        await self._publish(driver, Event("e", ("a",), "ours"))
        assert [event.data for event in await self._heard(driver, sink, "a")] == ["ours"]
        assert [event.data for event in await self._heard(driver, sink, "a", OTHER_APP)] == ["theirs"]

    async def test_channel_names_are_told_apart_whatever_they_hold(self) -> None:
        names = ("a", "A", "a.b", "a-b", "a_b", "a=b", "a@b", "a,b", "a;b", "private-a", "#server-to-user-1")
        driver, sink = await self._started(*names)
        await self._publish(driver, *(Event("e", (name,), name) for name in names))
        for name in names:
            assert [event.data for event in await self._heard(driver, sink, name)] == [name]

    async def test_the_end_of_a_users_connections_is_delivered_too(self) -> None:
        driver, sink = await self._started()
        for user_id in ("ann", "ben"):
            await driver.publish(APP, Terminated(user_id))
        await sink.until(lambda: (APP, Terminated("ben")) in sink.delivered)
        assert sink.delivered == [(APP, Terminated("ann")), (APP, Terminated("ben"))]

    # ---- starting, stopping, failing --------------------------------------------------------------------------

    async def test_publishing_without_being_started_fails_as_it_should(self) -> None:
        driver = await self._made()
        await self._refuses(driver)

    async def test_nothing_is_taken_or_delivered_once_it_is_stopped(self) -> None:
        driver, sink = await self._started("a")
        await self._publish(driver, Event("e", ("a",), "1"))
        publishing = [maybeDeferred(driver.publish, APP, Event("e", ("a",), "2")) for _ in range(50)]
        for deferred in publishing:
            deferred.addErrback(lambda failure: failure.trap(DriverError))
        stopping = driver.stop()
        delivered = len(sink.delivered)
        await stopping
        await gatherResults(publishing)
        await self._refuses(driver)
        other, others = await self._started("a")
        await self._publish(other, Event("e", ("a",), "3"))
        await self._heard(other, others, "a")
        assert len(sink.delivered) == delivered

    async def test_a_driver_that_was_never_started_can_be_stopped(self) -> None:
        await (await self._made()).stop()

    # ---- how it is asked --------------------------------------------------------------------------------------

    async def _made(self) -> IDriver:
        driver: IDriver = await maybeDeferred(self.make_driver)
        return driver

    async def _started(self, *channels: str) -> tuple[IDriver, RecordingSink]:
        driver, sink = await self._made(), RecordingSink()
        self.addCleanup(driver.stop)
        await driver.start(sink)
        for channel in channels:
            await self._wanted(driver, APP, channel)
        return driver, sink

    async def _wanted(self, driver: IDriver, app_id: str, channel: str) -> None:
        interest = IInterest(driver, None)
        if interest is not None:
            await interest.wanted(app_id, channel)

    async def _publish(self, driver: IDriver, *publications: Publication) -> None:
        await gatherResults([driver.publish(APP, each) for each in publications])

    async def _heard(self, driver: IDriver, sink: RecordingSink, channel: str, app_id: str = APP) -> list[Event]:
        """All that was published on a channel, once a last event that ends it has come."""
        last = Event("last", (channel,), "")
        await driver.publish(app_id, last)
        await sink.until(lambda: last in sink.events(app_id, channel))
        heard = sink.events(app_id, channel)
        assert heard[-1] == last, "the order of a channel is the order of publishing"
        return heard[:-1]

    async def _refuses(self, driver: IDriver) -> None:
        try:
            await maybeDeferred(driver.publish, APP, Event("e", ("a",), "late"))
        except DriverError:
            return
        raise AssertionError("publish() must fail with DriverError while the driver is not running")


class SharedDriverContract(DriverContract):
    """For drivers by which processes are one server: what ``make_driver`` makes are different processes."""

    async def test_every_process_is_delivered_what_each_publishes_in_one_order(self) -> None:
        (first, sink), (second, other) = await self._started("a"), await self._started("a")
        for number in range(100):
            await gatherResults(
                [
                    driver.publish(APP, Event("e", ("a",), f"{name}{number}"))
                    for name, driver in (("first", first), ("second", second))
                ]
            )
        heard = await self._heard(first, sink, "a")
        await other.until(lambda: len(other.events(APP, "a")) > len(heard))
        assert other.events(APP, "a")[:-1] == heard
        for name in ("first", "second"):
            assert [event.data for event in heard if event.data.startswith(name)] == [
                f"{name}{number}" for number in range(100)
            ]

    async def test_the_end_of_a_users_connections_reaches_every_process(self) -> None:
        (driver, sink), (_, other) = await self._started(), await self._started()
        await driver.publish(APP, Terminated("ann"))
        await sink.until(lambda: (APP, Terminated("ann")) in sink.delivered)
        await other.until(lambda: (APP, Terminated("ann")) in other.delivered)

    async def test_a_process_that_stops_takes_nothing_from_the_others(self) -> None:
        (stopping, _), (driver, sink) = await self._started("a"), await self._started("a")
        await stopping.stop()
        await self._publish(driver, Event("e", ("a",), "1"))
        assert [event.data for event in await self._heard(driver, sink, "a")] == ["1"]
