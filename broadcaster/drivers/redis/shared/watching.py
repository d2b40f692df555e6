"""Who is online, for those who watch them here: a user's coming and going has a Redis channel of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from broadcaster.drivers.redis.shared.desk import Desk, app_word
from broadcaster.drivers.redis.shared.inbox import Inbox
from broadcaster.drivers.redis.shared.scripts import ONLINE
from broadcaster.drivers.redis.shared.waiting import all_of
from broadcaster.drivers.redis.shared.wire import decode_names
from broadcaster.drivers.redis.subscriptions import Subscriptions
from broadcaster.interfaces import IWatch
from broadcaster.messages import Delivery, UserOffline, UserOnline

Key = tuple[str, str]


@implementer(IWatch)
class Watching:
    """See `IWatch`."""

    def __init__(
        self, desk: Desk, inbox: Inbox, subscriptions: Subscriptions, deliver: Callable[[str, Delivery], None]
    ) -> None:
        self._desk = desk
        self._inbox = inbox
        self._subscriptions = subscriptions
        self._deliver = deliver
        self._watchers: dict[Key, int] = {}
        self._online: dict[Key, bool] = {}

    def watch(self, app_id: str, user_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """See `IWatch`."""
        hearing = []
        for user_id in user_ids:
            key = app_id, user_id
            self._watchers[key] = self._watchers.get(key, 0) + 1
            heard = partial(self._heard, key)
            hearing.append(self._subscriptions.hear(self._channel(app_id, user_id), heard))
        return Deferred.fromCoroutine(self._watch(app_id, user_ids, hearing))

    async def _watch(self, app_id: str, user_ids: Sequence[str], hearing: list[Deferred[None]]) -> frozenset[str]:
        await all_of(hearing)
        return await self._ask(app_id, user_ids)

    def unwatch(self, app_id: str, user_ids: Sequence[str]) -> None:
        """See `IWatch`."""
        for user_id in user_ids:
            key = app_id, user_id
            self._watchers[key] -= 1
            if not self._watchers[key]:
                del self._watchers[key]
                self._online.pop(key, None)
            self._subscriptions.unhear(self._channel(app_id, user_id))

    async def _ask(self, app_id: str, user_ids: Sequence[str]) -> frozenset[str]:
        def ask(request: str) -> Deferred[Any]:
            return self._desk.run(ONLINE, self._desk.inbox, request, app_word(app_id), *user_ids)

        online = frozenset(decode_names(await self._inbox.ask(ask)))
        for user_id in user_ids:
            if (app_id, user_id) in self._watchers:
                self._is((app_id, user_id), user_id in online)
        return online

    def _heard(self, key: Key, payload: bytes) -> None:
        # Before anybody has been told how things stand, there is nothing to be told about it.
        if key in self._online:
            self._is(key, payload == b"1")

    def _is(self, key: Key, online: bool) -> None:
        before = self._online.get(key)
        self._online[key] = online
        if before is not None and before is not online:
            self._deliver(key[0], UserOnline(key[1]) if online else UserOffline(key[1]))

    def _channel(self, app_id: str, user_id: str) -> bytes:
        return f"{self._desk.channels}user:{app_word(app_id)}:{user_id}".encode()

    # ---- Holding ----------------------------------------------------------------------------------------------

    async def claim(self, loud: bool) -> bool:
        """See `Holding`: nothing of it is shared."""
        return False

    async def mend(self, whole: bool) -> None:
        """See `Holding`."""
        if not whole:
            return
        by_app: dict[str, list[str]] = {}
        for app_id, user_id in self._online:
            by_app.setdefault(app_id, []).append(user_id)
        for app_id, user_ids in by_app.items():
            for start in range(0, len(user_ids), 100):
                await self._ask(app_id, user_ids[start : start + 100])
