"""Who went is told a moment later, unless they are back by then; who vanished untold is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from broadcaster.hooks import Entry, Letter, Spot
from broadcaster.interfaces import IHookStore, IMembership
from broadcaster.webhooks.happenings import Happening, gone

MOST = 500
"""How many are looked at in one go."""


class Leaving:
    """Asks the membership how things are: what was told by several processes may have arrived in another order."""

    def __init__(
        self,
        store: IHookStore,
        membership: IMembership,
        letters: Callable[[str, Happening], tuple[Letter, ...]],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._membership = membership
        self._letters = letters
        self._now = now
        self._after: Spot | None = None

    async def settle(self) -> bool:
        """Tell of those who are due; whether there were any. Fails with `DriverError`."""
        spots = await self._store.leaving(self._now(), MOST)
        if not spots:
            return False
        there = await self._there(spots)
        left = [Entry(self._letters(spot.app_id, gone(spot)), went=spot) for spot in spots if spot not in there]
        await self._store.settle(left, [spot for spot in spots if spot in there])
        return True

    async def look_after(self) -> None:
        """See whether some of those who are said to be there still are: the next ones each time.

        A process that died between a fact and its entry here has told nobody. Fails with `DriverError`.
        """
        spots = await self._store.present(self._after, MOST)
        self._after = spots[-1] if len(spots) == MOST else None
        there = await self._there(spots)
        lost = [Entry(went=spot, due=self._now()) for spot in spots if spot not in there]
        if lost:
            await self._store.keep(lost)

    async def _there(self, spots: Sequence[Spot]) -> set[Spot]:
        there = set()
        members: dict[tuple[str, str], set[str]] = {}
        for spot in spots:
            key = spot.app_id, spot.channel
            if spot.user_id is None:
                if await self._membership.subscriptions(*key):
                    there.add(spot)
                continue
            if key not in members:
                members[key] = {member.user_id for member in await self._membership.members(*key)}
            if spot.user_id in members[key]:
                there.add(spot)
        return there
