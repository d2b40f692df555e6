"""Keeping watch over one Pusher connection: pings the silent, closes the dead and those who do not say who they are."""

from __future__ import annotations

from typing import Protocol

from broadcaster.interfaces import ITransport
from broadcaster.protocols.heartbeat import Action, Heartbeat


class Watched(Protocol):
    """What a `Vigil` needs of the connection."""

    def ask(self) -> None:
        """Ping in the words of the dialect."""

    def close(self, code: int, reason: str) -> None:
        """End it."""


class Vigil:
    """On the wheel for as long as the connection is open. Times are seconds on the caller's clock."""

    __slots__ = ("_connection", "_heartbeat", "_transport", "_unauthorized_until", "spoke")

    def __init__(
        self, connection: Watched, transport: ITransport, now: float, activity_timeout: int, authorize_within: int
    ) -> None:
        self.spoke: int | None = None
        self._connection = connection
        self._transport = transport
        self._heartbeat = Heartbeat(now, activity_timeout)
        self._unauthorized_until = now + authorize_within if authorize_within else None

    @property
    def deadline(self) -> float:
        """When `due` is to be called first."""
        return self._soonest(self._heartbeat.deadline)

    def heard(self, now: float) -> None:
        """Something came from the client, whatever it was."""
        self._heartbeat.heard = now

    def authorized(self) -> None:
        """The client has said who it is, by signing in or by a channel that asks for it."""
        self._unauthorized_until = None

    def due(self, now: float) -> float | None:
        """See `Timed`."""
        if self._unauthorized_until is not None and now >= self._unauthorized_until:
            self._connection.close(4009, "Connection not authorized within timeout")
            return None
        action, following = self._heartbeat.check(now)
        if action is Action.PING:
            self._transport.ping()
        elif action is Action.ASK:
            self._connection.ask()
        elif action is Action.HANG_UP:
            self._connection.close(4201, "Pong reply not received")
            return None
        return self._soonest(following)

    def _soonest(self, following: float) -> float:
        return following if self._unauthorized_until is None else min(following, self._unauthorized_until)
