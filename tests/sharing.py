"""A driver that claims to share everything with other processes, and notes what it is asked; answers are the test's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from broadcaster.interfaces import IFactObserver, IFactSource, IInterest, ILastEvents, IMembership, ISeats, IWatch
from broadcaster.messages import LastEvent, Member
from tests.drivers import ScriptedDriver


@implementer(IInterest, IMembership, IFactSource, IWatch, ILastEvents, ISeats)
class SharingDriver(ScriptedDriver):
    """What it is asked is in ``asked``, in order; what waits for an answer is in ``waiting``, by question.

    Questions named in ``slow`` wait, others are answered at once.
    """

    def __init__(self, *slow: str) -> None:
        super().__init__()
        self.slow = set(slow)
        self.asked: list[tuple[object, ...]] = []
        self.waiting: dict[str, list[Deferred[object]]] = {}
        self.seconds: Callable[[str], int] | None = None
        self.observer: IFactObserver | None = None
        self.answers: dict[str, object] = {
            "wanted": None,
            "leave": None,
            "members": (),
            "user_counts": (0,),
            "subscriptions": 0,
            "channels": {},
            "tell_count": 0,
            "watch": frozenset(),
            "last": None,
            "seat": True,
        }

    def _ask(self, name: str, *arguments: object, answer: object = None) -> Deferred[object]:
        self.asked.append((name, *arguments))
        if name in self.slow:
            waiting: Deferred[object] = Deferred()
            self.waiting.setdefault(name, []).append(waiting)
            return waiting
        found = self.answers.get(name, answer)
        return found if isinstance(found, Deferred) else succeed(found)

    def names(self) -> list[object]:
        """What was asked since the last call: each question with what it is about."""
        asked, self.asked = self.asked, []
        return [one[0] if one[0] in ("seat", "unseat") else (one[0], one[2]) for one in asked]

    def wanted(self, app_id: str, channel: str) -> Deferred[None]:
        return self._ask("wanted", app_id, channel)  # type: ignore[return-value]

    def unwanted(self, app_id: str, channel: str) -> None:
        self.asked.append(("unwanted", app_id, channel))

    def observe(self, observer: IFactObserver) -> None:
        self.observer = observer

    def join(self, app_id: str, channel: str, socket_id: str, member: Member, limit: int) -> Deferred[Sequence[Member]]:
        return self._ask("join", app_id, channel, socket_id, member, limit, answer=(member,))  # type: ignore[return-value]

    def leave(self, app_id: str, channel: str, socket_id: str) -> Deferred[None]:
        return self._ask("leave", app_id, channel, socket_id)  # type: ignore[return-value]

    def members(self, app_id: str, channel: str) -> Deferred[Sequence[Member]]:
        return self._ask("members", app_id, channel)  # type: ignore[return-value]

    def user_counts(self, app_id: str, channels: Sequence[str]) -> Deferred[Sequence[int]]:
        return self._ask("user_counts", app_id, channels)  # type: ignore[return-value]

    def subscriptions(self, app_id: str, channel: str) -> Deferred[int]:
        return self._ask("subscriptions", app_id, channel)  # type: ignore[return-value]

    def channels(self, app_id: str, prefix: str) -> Deferred[Mapping[str, int]]:
        return self._ask("channels", app_id, prefix)  # type: ignore[return-value]

    def tell_count(self, app_id: str, channel: str) -> Deferred[int]:
        return self._ask("tell_count", app_id, channel)  # type: ignore[return-value]

    def watch(self, app_id: str, user_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        return self._ask("watch", app_id, user_ids)  # type: ignore[return-value]

    def unwatch(self, app_id: str, user_ids: Sequence[str]) -> None:
        self.asked.append(("unwatch", app_id, user_ids))

    def keep_last(self, seconds: Callable[[str], int]) -> None:
        self.seconds = seconds

    def last(self, app_id: str, channel: str) -> Deferred[LastEvent | None]:
        return self._ask("last", app_id, channel)  # type: ignore[return-value]

    def seat(self, app_id: str, limit: int) -> Deferred[bool]:
        return self._ask("seat", app_id, limit)  # type: ignore[return-value]

    def unseat(self, app_id: str) -> None:
        self.asked.append(("unseat", app_id))
