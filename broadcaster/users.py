"""Signed-in users of this process: their connections, and who watches their coming and going."""

from __future__ import annotations

from collections.abc import Container, Iterable

from broadcaster.interfaces import ISubscriber
from broadcaster.messages import Envelope, User, WatchlistEvents

_Connections = dict[str, ISubscriber]


class Users:
    """A user is online while at least one connection is signed in; watchers are told at the edges only.

    Where several processes share that (``alone`` is false), they say who comes and goes, and who is online.
    """

    def __init__(self, alone: bool = True) -> None:
        self._alone = alone
        self._online: dict[tuple[str, str], _Connections] = {}
        self._watchers: dict[tuple[str, str], _Connections] = {}

    def sign_in(self, app_id: str, user_id: str, connection: ISubscriber) -> None:
        """``connection`` is that user's now."""
        connections = self._online.setdefault((app_id, user_id), {})
        connections[connection.socket_id] = connection
        if len(connections) == 1 and self._alone:
            self.came(app_id, user_id)

    def sign_out(self, app_id: str, user_id: str, connection: ISubscriber) -> None:
        """It is gone."""
        if _without(self._online, (app_id, user_id), connection) and self._alone:
            self.went(app_id, user_id)

    def came(self, app_id: str, user_id: str) -> None:
        """The user is online now; tell the watchers."""
        self._tell(app_id, user_id, WatchlistEvents(online=(user_id,)))

    def went(self, app_id: str, user_id: str) -> None:
        """And now no more."""
        self._tell(app_id, user_id, WatchlistEvents(offline=(user_id,)))

    def enter(
        self,
        app_id: str,
        user: User,
        before: User | None,
        connection: ISubscriber,
        online: Container[str] | None = None,
    ) -> WatchlistEvents:
        """``connection`` is ``user``'s, in place of ``before`` who it was; how things stand with its watchlist.

        ``online`` is who of it is, where processes share that.
        """
        if before is None:
            self.sign_in(app_id, user.id, connection)
        else:
            self.unwatch(app_id, before.watchlist, connection)
        return self.watch(app_id, user.watchlist, connection, online)

    def leave(self, app_id: str, user: User, connection: ISubscriber) -> None:
        """It is nobody's any more."""
        self.unwatch(app_id, user.watchlist, connection)
        self.sign_out(app_id, user.id, connection)

    def watch(
        self, app_id: str, watchlist: Iterable[str], connection: ISubscriber, online: Container[str] | None = None
    ) -> WatchlistEvents:
        """Tell ``connection`` about these users from now on; how things stand with them."""
        present: list[str] = []
        absent: list[str] = []
        for user_id in watchlist:
            self._watchers.setdefault((app_id, user_id), {})[connection.socket_id] = connection
            here = (app_id, user_id) in self._online if online is None else user_id in online
            (present if here else absent).append(user_id)
        return WatchlistEvents(tuple(present), tuple(absent))

    def unwatch(self, app_id: str, watchlist: Iterable[str], connection: ISubscriber) -> None:
        """Tell it nothing more."""
        for user_id in watchlist:
            _without(self._watchers, (app_id, user_id), connection)

    def connections(self, app_id: str, user_id: str) -> list[ISubscriber]:
        """All on which that user is signed in."""
        return list(self._online.get((app_id, user_id), {}).values())

    def _tell(self, app_id: str, user_id: str, change: WatchlistEvents) -> None:
        watchers = self._watchers.get((app_id, user_id))
        if watchers:
            envelope = Envelope((change,))
            for watcher in list(watchers.values()):
                watcher.send(envelope)


def _without(table: dict[tuple[str, str], _Connections], key: tuple[str, str], connection: ISubscriber) -> bool:
    """Take ``connection`` out; whether it was the last one there."""
    connections = table.get(key)
    if connections is None or connections.pop(connection.socket_id, None) is None or connections:
        return False
    del table[key]
    return True
