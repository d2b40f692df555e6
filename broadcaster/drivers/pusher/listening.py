"""What a Pusher client says and understands, for one that only listens. Pure: text in, text out, time is an argument.

The protocol is pusher-js's (version 7); private and presence channels are signed here, as the application would.
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import token_hex
from typing import Any

import msgspec
from msgspec import Struct

from broadcaster.auth.signature import channel_text, sign
from broadcaster.names import CACHE_PREFIXES

ACTIVITY_SECONDS, PONG_SECONDS = 120.0, 30.0
"""Silence after which pusher-js asks for a sign of life, and how long it waits for one."""


class _Greeting(Struct):
    socket_id: str
    activity_timeout: float = ACTIVITY_SECONDS


_greeting = msgspec.json.Decoder(_Greeting).decode
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Heard(Struct, frozen=True):
    """An event at Pusher; ``kept`` if it is the one that a cache channel keeps, told because it was subscribed."""

    channel: str
    name: str
    data: str
    user_id: str | None = None
    kept: bool = False


class Listening:
    """One connection after the other to the same app, listening to what is wanted at the time.

    ``send`` takes a text for the connection, ``heard`` each event, ``complain`` a line for the log. ``silent`` is
    asked by whoever has the clock.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        send: Callable[[str], None],
        heard: Callable[[Heard], None],
        complain: Callable[[str], None],
    ) -> None:
        self._key = key
        self._secret = secret
        self._send = send
        self._heard = heard
        self._complain = complain
        self._user_id = f"broadcaster-{token_hex(4)}"
        self._wanted: dict[str, Heard | None] = {}
        self._expecting: set[str] = set()
        self._socket_id: str | None = None
        self._activity = ACTIVITY_SECONDS
        self._last = 0.0
        self._asked: float | None = None

    @property
    def up(self) -> bool:
        """Whether Pusher has greeted us on the connection that there is."""
        return self._socket_id is not None

    def want(self, channel: str) -> None:
        """Listen to it from now on."""
        if channel not in self._wanted:
            self._wanted[channel] = None
            if self.up:
                self._subscribe(channel)

    def unwant(self, channel: str) -> None:
        """Listen to it no more."""
        if channel in self._wanted:
            del self._wanted[channel]
            self._expecting.discard(channel)
            if self.up:
                self._say("pusher:unsubscribe", {"channel": channel})

    def lost(self) -> None:
        """The connection is gone."""
        self._socket_id = None
        self._asked = None
        self._expecting.clear()

    def silent(self, now: float) -> bool:
        """Whether nothing has come for so long that the connection counts as dead; asks for a sign of life first."""
        if not self.up or now - self._last < self._activity:
            return False
        if self._asked is None:
            self._asked = now
            self._say("pusher:ping", {})
        return now - self._asked >= PONG_SECONDS

    def received(self, text: str | bytes, now: float) -> None:
        """One frame. Nothing in it raises."""
        self._last, self._asked = now, None
        try:
            frame = _decode(text)
            name, channel, data = frame["event"], frame.get("channel"), frame.get("data")
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError, RecursionError):
            self._complain("what came is no Pusher message")
            return
        match name:
            case "pusher:connection_established":
                self._greeted(data)
            case "pusher:ping":
                self._say("pusher:pong", {})
            case "pusher:error":
                self._complain(f"Pusher says {_words(data)}")
            case "pusher_internal:subscription_succeeded" if channel in self._wanted:
                if channel.startswith(CACHE_PREFIXES):
                    self._expecting.add(channel)
            case "pusher:subscription_error":
                self._complain(f"Pusher refuses {channel}: {_words(data)}")
            case "pusher:cache_miss":
                self._expecting.discard(channel)
            case str() if isinstance(channel, str) and not name.startswith(("pusher:", "pusher_internal:")):
                self._event(channel, name, data, frame.get("user_id"))

    def _greeted(self, data: object) -> None:
        try:
            told = _greeting(data if isinstance(data, str) else _encode(data))
        except msgspec.MsgspecError:
            self._complain("what greets is not Pusher")
            return
        self._socket_id = told.socket_id
        self._activity = min(ACTIVITY_SECONDS, told.activity_timeout)
        for channel in self._wanted:
            self._subscribe(channel)

    def _subscribe(self, channel: str) -> None:
        asked: dict[str, Any] = {"channel": channel}
        channel_data = None
        if channel.startswith("presence-"):
            channel_data = asked["channel_data"] = _encode({"user_id": self._user_id}).decode()
        if channel.startswith(("private-", "presence-")):
            text = channel_text(str(self._socket_id), channel, channel_data)
            asked["auth"] = f"{self._key}:{sign(self._secret, text)}"
        self._say("pusher:subscribe", asked)

    def _event(self, channel: str, name: str, data: object, user_id: object) -> None:
        if channel not in self._wanted:
            return
        text = data if isinstance(data, str) else _encode(data).decode()
        kept = channel in self._expecting
        heard = Heard(channel, name, text, user_id if isinstance(user_id, str) else None, kept)
        self._expecting.discard(channel)
        before = self._wanted[channel]
        if channel.startswith(CACHE_PREFIXES):
            self._wanted[channel] = heard
        # After a reconnect the kept event is told again: only one that is new was missed.
        if not (kept and before is not None and (before.name, before.data) == (name, text)):
            self._heard(heard)

    def _say(self, event: str, data: dict[str, Any]) -> None:
        self._send(_encode({"event": event, "data": data}).decode())


def _words(data: object) -> str:
    return " ".join(str(data).split())[:200]
