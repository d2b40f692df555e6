"""Webhooks in Redis: whichever process is left sends them, and none of them counts somebody as gone twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from broadcaster.drivers.redis.shared.desk import Desk, app_word
from broadcaster.drivers.redis.shared.scripts import HOOKS_KEEP, HOOKS_OWN, HOOKS_SETTLE
from broadcaster.hooks import Backlog, Entry, GivenUp, Kept, Letter, Spot
from broadcaster.interfaces import IHookStore

OWNED_MILLISECONDS = 5_000
"""After which a process that has said nothing is not the one that sends any more."""

TOGETHER = 0.5
"""Seconds by which a user may be due later than the channel, and still be told before it."""


@implementer(IHookStore)
class HookStore:
    """See `IHookStore`; as durable as Redis is configured to be."""

    shared = True
    durable = True

    def __init__(self, desk: Desk, process: str) -> None:
        self._desk = desk
        self._process = process

    def keep(self, entries: Sequence[Entry]) -> Deferred[None]:
        """See `IHookStore`."""
        return self._desk.run(HOOKS_KEEP, _packed(entries)).addCallback(_nothing)

    def own(self) -> Deferred[bool]:
        """See `IHookStore`."""
        return self._desk.run(HOOKS_OWN, self._process, OWNED_MILLISECONDS).addCallback(bool)

    def disown(self, due: float | None) -> Deferred[None]:
        """See `IHookStore`; the members of all processes are known, so nobody has to be waited for."""
        return self._desk.run(HOOKS_OWN, self._process, 0).addCallback(_nothing)

    def backlogs(self) -> Deferred[Mapping[str, Backlog]]:
        """See `IHookStore`."""
        return Deferred.fromCoroutine(self._backlogs())

    async def _backlogs(self) -> Mapping[str, Backlog]:
        found: dict[str, Backlog] = {}
        for name in sorted(await self._desk.call("SMEMBERS", self._desk.key("hooks", "receivers"))):
            receiver = name.decode()
            oldest = await self.first(receiver, 1)
            if oldest:
                letters = await self._desk.call("XLEN", self._letters(receiver))
                found[receiver] = Backlog(letters, oldest[0].letter.made)
        return found

    def first(self, receiver: str, most: int) -> Deferred[Sequence[Kept]]:
        """See `IHookStore`."""
        asking = self._desk.call("XRANGE", self._letters(receiver), "-", "+", "COUNT", most)
        return asking.addCallback(lambda rows: [Kept(row[0].decode(), _letter(receiver, _fields(row))) for row in rows])

    def done(self, receiver: str, places: Sequence[str]) -> Deferred[None]:
        """See `IHookStore`."""
        return self._desk.call("XDEL", self._letters(receiver), *places).addCallback(_nothing)

    def give_up(self, receiver: str, kept: Sequence[Kept], reason: str, at: float, most: int) -> Deferred[None]:
        """See `IHookStore`."""
        bound = ("MAXLEN", most) if most else ()
        for each in kept:
            letter = each.letter
            fields = ("receiver", receiver, "id", letter.id, "event", letter.event, "made", repr(letter.made))
            dying = self._desk.call("XADD", self._dead, *bound, "*", *fields, "reason", reason, "at", repr(at))
            dying.addErrback(_nothing)  # the link is lost then, and what comes last fails too
        return self.done(receiver, [each.place for each in kept])

    def leaving(self, now: float, most: int) -> Deferred[Sequence[Spot]]:
        """See `IHookStore`."""
        key, latest = self._desk.key("hooks", "leaving"), repr(now + TOGETHER)
        asking = self._desk.call("ZRANGEBYSCORE", key, "-inf", latest, "WITHSCORES", "LIMIT", 0, most)
        return asking.addCallback(_due, now)

    def settle(self, gone: Sequence[Entry], back: Sequence[Spot]) -> Deferred[None]:
        """See `IHookStore`."""
        words = msgspec.msgpack.encode([_word(spot) for spot in back])
        return self._desk.run(HOOKS_SETTLE, _packed(gone), words).addCallback(_nothing)

    def present(self, after: Spot | None, most: int) -> Deferred[Sequence[Spot]]:
        """See `IHookStore`."""
        start = "-" if after is None else f"({_word(after)}"
        asking = self._desk.call("ZRANGEBYLEX", self._desk.key("hooks", "present"), start, "+", "LIMIT", 0, most)
        return asking.addCallback(lambda words: [_spot(word) for word in words])

    def dead(self, most: int) -> Deferred[Sequence[GivenUp]]:
        """See `IHookStore`."""
        asking = self._desk.call("XREVRANGE", self._dead, "+", "-", "COUNT", most)
        return asking.addCallback(lambda rows: [_given_up(_fields(row)) for row in reversed(rows)])

    def revive(self, ids: Sequence[str] | None, now: float) -> Deferred[Sequence[str]]:
        """See `IHookStore`."""
        return Deferred.fromCoroutine(self._revive(ids, now))

    async def _revive(self, ids: Sequence[str] | None, now: float) -> Sequence[str]:
        revived: dict[str, None] = {}
        for row in await self._desk.call("XRANGE", self._dead, "-", "+"):
            letter = _given_up(_fields(row)).letter
            if ids is None or letter.id in ids:
                await self.keep([Entry((Letter(letter.receiver, letter.id, letter.event, now),))])
                await self._desk.call("XDEL", self._dead, row[0])
                revived[letter.id] = None
        return list(revived)

    def drop(self, ids: Sequence[str] | None) -> Deferred[Sequence[str]]:
        """See `IHookStore`."""
        return Deferred.fromCoroutine(self._drop(ids))

    async def _drop(self, ids: Sequence[str] | None) -> Sequence[str]:
        streams = [self._dead]
        if ids is not None:
            receivers = await self._desk.call("SMEMBERS", self._desk.key("hooks", "receivers"))
            streams += [self._letters(name.decode()) for name in receivers]
        dropped: dict[str, None] = {}
        for stream in streams:
            for row in await self._desk.call("XRANGE", stream, "-", "+"):
                letter_id = _fields(row)["id"].decode()
                if ids is None or letter_id in ids:
                    await self._desk.call("XDEL", stream, row[0])
                    dropped[letter_id] = None
        return list(dropped)

    def close(self) -> Deferred[None]:
        """See `IHookStore`; the links are the driver's."""
        return succeed(None)

    @property
    def _dead(self) -> str:
        return self._desk.key("hooks", "dead")

    def _letters(self, receiver: str) -> str:
        return self._desk.key("hooks", "letters", receiver)


def _packed(entries: Iterable[Entry]) -> bytes:
    rows = []  # texts, since Redis unpacks no bytes
    for each in entries:
        came, went = (_word(spot) if spot is not None else "" for spot in (each.came, each.went))
        letters = [(letter.receiver, letter.id, letter.event.decode(), repr(letter.made)) for letter in each.letters]
        rows.append((came, went, repr(each.due), letters))
    return msgspec.msgpack.encode(rows)


def _word(spot: Spot) -> str:
    user = "" if spot.user_id is None else f"={spot.user_id}"
    return f"{app_word(spot.app_id)}\n{spot.channel}\n{user}"


def _spot(word: bytes) -> Spot:
    app_id, channel, user = word.decode().split("\n", 2)
    return Spot(unquote(app_id), channel, user[1:] if user else None)


def _due(found: Sequence[bytes], now: float) -> list[Spot]:
    """Those that are due, users before their channels; ``found`` are words and when each is due."""
    scores = {_spot(word): float(score) for word, score in zip(found[::2], found[1::2], strict=True)}
    told: dict[Spot, None] = {}
    for spot, score in scores.items():
        if score <= now:
            if spot.user_id is None:
                with_it = (each for each in scores if each.user_id is not None and each.channel == spot.channel)
                told |= dict.fromkeys(each for each in with_it if each.app_id == spot.app_id)
            told[spot] = None
    return list(told)


def _fields(row: Any) -> dict[str, bytes]:
    names, values = row[1][::2], row[1][1::2]
    return {name.decode(): value for name, value in zip(names, values, strict=True)}


def _letter(receiver: str, fields: Mapping[str, bytes]) -> Letter:
    return Letter(receiver, fields["id"].decode(), fields["event"], float(fields["made"]))


def _given_up(fields: Mapping[str, bytes]) -> GivenUp:
    letter = _letter(fields["receiver"].decode(), fields)
    return GivenUp(letter, fields["reason"].decode(), float(fields["at"]))


def _nothing(_: object) -> None:
    """For answers that say nothing."""
