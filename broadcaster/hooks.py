"""What is kept of webhooks until their receivers have them: the values that go between `webhooks` and a store."""

from __future__ import annotations

from msgspec import Struct


class Letter(Struct, frozen=True):
    """One event for one ``receiver``: its JSON with its ``id`` in it, and when it was made, by the wall's clock."""

    receiver: str
    id: str
    event: bytes
    made: float


class Spot(Struct, frozen=True):
    """What is there or is not, and is told when that changes: a channel, or with ``user_id`` a user on it."""

    app_id: str
    channel: str
    user_id: str | None = None


class Entry(Struct, frozen=True):
    """What one fact leaves behind: ``letters``, and who ``came`` or ``went``.

    Whoever came and was there already leaves no letters, and is not leaving any more. Whoever went leaves them when
    that is settled, after ``due``.
    """

    letters: tuple[Letter, ...] = ()
    came: Spot | None = None
    went: Spot | None = None
    due: float = 0.0


class Kept(Struct, frozen=True):
    """A letter where it lies; places of one receiver sort in the order in which they were kept."""

    place: str
    letter: Letter


class GivenUp(Struct, frozen=True):
    """A dead letter: why it was given up, and when."""

    letter: Letter
    reason: str
    at: float


class Backlog(Struct, frozen=True):
    """How many letters wait for a receiver, and when the oldest of them was made."""

    letters: int
    oldest: float
