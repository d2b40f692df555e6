"""The last event of each cache channel: kept by the script that publishes it, so that it is the last for everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.drivers.redis import wire
from broadcaster.drivers.redis.protocol import Argument
from broadcaster.drivers.redis.shared.desk import Desk, app_word
from broadcaster.drivers.redis.shared.inbox import Inbox
from broadcaster.drivers.redis.shared.scripts import LAST, PUBLISH
from broadcaster.interfaces import ILastEvents
from broadcaster.messages import Event, LastEvent
from broadcaster.names import CACHE_PREFIXES


@implementer(ILastEvents)
class LastEvents:
    """See `ILastEvents`."""

    def __init__(self, desk: Desk, inbox: Inbox) -> None:
        self._desk = desk
        self._inbox = inbox
        self._seconds: Callable[[str], int] = lambda app_id: 0

    def keep_last(self, seconds: Callable[[str], int]) -> None:
        """See `ILastEvents`."""
        self._seconds = seconds

    def keeps(self, app_id: str, event: Event) -> bool:
        """Whether the event is one to keep."""
        cached = any(channel.startswith(CACHE_PREFIXES) for channel in event.channels)
        return cached and not event.name.startswith("client-") and self._seconds(app_id) > 0

    def publish(self, app_id: str, event: Event, channel: Callable[[str, str], bytes]) -> Deferred[Any]:
        """Publish it on its channels, whose names in Redis ``channel`` says, and keep it where that is due."""
        arguments: list[Argument] = []
        for name in event.channels:
            key = self._key(app_id, name) if name.startswith(CACHE_PREFIXES) else ""
            arguments += (channel(app_id, name), key, self._seconds(app_id) * 1000)
        return self._desk.run(PUBLISH, wire.encode_event(event), *arguments)

    def keep(self, app_id: str, event: Event) -> None:
        """Keep an event that somebody else has published, and that arrived here."""
        payload = wire.encode_event(event)
        for name in event.channels:
            key = self._key(app_id, name)
            kept = self._desk.call("SET", key, payload, "PX", self._seconds(app_id) * 1000)
            kept.addErrback(lambda _: None)

    def last(self, app_id: str, channel: str) -> Deferred[LastEvent | None]:
        """See `ILastEvents`."""
        key = self._key(app_id, channel)
        answer = self._inbox.ask(lambda request: self._desk.run(LAST, self._desk.inbox, request, key))
        return answer.addCallback(_read, channel)

    def _key(self, app_id: str, channel: str) -> str:
        return self._desk.key("last", app_word(app_id), channel)


def _read(answer: bytes, channel: str) -> LastEvent | None:
    milliseconds, _, payload = answer.partition(b" ")
    if not payload:
        return None
    event = wire.decode_event(payload, channel)
    return LastEvent(event.name, event.data, int(milliseconds) / 1000)
