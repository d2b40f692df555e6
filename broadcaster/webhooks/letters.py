"""What an operator may ask of the letters: to see those that wait and the dead ones, to have them sent or dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from broadcaster.errors import BroadcasterError
from broadcaster.hooks import Letter
from broadcaster.interfaces import IHookStore

MOST = 1_000
"""Letters of each kind that one list shows."""


class Unasked(BroadcasterError):
    """The question makes no sense; ``str()`` says why."""


async def answer(store: IHookStore, asked: Mapping[str, Any], now: float) -> dict[str, object]:
    """The reply to ``action``: list, show, replay or drop; ``ids`` says which letters, None all that are dead."""
    action, ids = asked.get("action"), asked.get("ids")
    if ids is not None and not (isinstance(ids, list) and all(isinstance(each, str) for each in ids)):
        raise Unasked('"ids" is no list of strings')
    match action:
        case "list":
            return await _listed(store)
        case "show":
            found = {letter["id"]: letter for letter in await _all(store)}
            return {"letters": [found[each] for each in ids or () if each in found]}
        case "replay":
            return {"ids": list(await store.revive(ids, now))}
        case "drop":
            return {"ids": list(await store.drop(ids))}
        case _:
            raise Unasked('"action" is none of list, show, replay, drop')


async def _listed(store: IHookStore) -> dict[str, object]:
    backlogs = await store.backlogs()
    receivers = {name: {"waiting": each.letters, "oldest": each.oldest} for name, each in sorted(backlogs.items())}
    return {"receivers": receivers, "letters": await _all(store)}


async def _all(store: IHookStore) -> list[dict[str, Any]]:
    waiting: list[dict[str, Any]] = []
    for receiver in sorted(await store.backlogs()):
        waiting += [_described(each.letter, state="waiting") for each in await store.first(receiver, MOST)]
    dead = await store.dead(MOST)
    return waiting + [_described(each.letter, state="given up", reason=each.reason, at=each.at) for each in dead]


def _described(letter: Letter, **more: object) -> dict[str, Any]:
    event = msgspec.json.decode(letter.event)
    return {"id": letter.id, "receiver": letter.receiver, "made": letter.made, "event": event, **more}
