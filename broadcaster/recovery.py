"""Socket.IO's connection state recovery: what a client that comes back is given back. Pure: time is an argument.

laravel-echo before 1.20 and 2.1.6 never subscribes again on socket.io-client 3 and 4, so its subscriptions are kept
under the private id that the client was given, and made again, asking the application anew, when it presents that id.
"""

from __future__ import annotations

from secrets import token_urlsafe

from msgspec import Struct

from broadcaster.messages import Subscribe


class Kept(Struct, frozen=True):
    """What was subscribed on an app when the link went down; ``until`` on the caller's clock."""

    app_id: str
    subscriptions: tuple[Subscribe, ...]
    until: float


class Recovery:
    """Those who may come back, by their private id; each may do so once, within ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._kept: dict[str, Kept] = {}

    def new_id(self) -> str:
        """A private id: 20 characters that nobody can guess."""
        return token_urlsafe(15)

    def keep(self, pid: str, app_id: str, subscriptions: tuple[Subscribe, ...], now: float) -> None:
        """The link of ``pid`` is down."""
        if self.seconds:
            self._kept[pid] = Kept(app_id, subscriptions, now + self.seconds)

    def take(self, pid: str, app_id: str, now: float) -> tuple[Subscribe, ...]:
        """The subscriptions of ``pid``, for once; none if it is unknown here or its time is over."""
        kept = self._kept.get(pid)
        if kept is None or kept.app_id != app_id:
            return ()
        del self._kept[pid]
        return kept.subscriptions if now < kept.until else ()

    def forget(self, now: float) -> None:
        """Let go of whose time is over; they stand in the order of their going."""
        for pid, kept in list(self._kept.items()):
            if kept.until > now:
                break
            del self._kept[pid]
