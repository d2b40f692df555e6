"""One object of laravel-echo-server.json: it may say anything, and whoever wrote it is told what went unheard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from broadcaster.config.place import Place

Value = TypeVar("Value")


class Keys:
    """The keys of an object. Each is taken once; ``leave`` says of the others that they mean nothing here.

    ``notes`` collects one line for each key that is accepted and does nothing.
    """

    def __init__(self, found: object, place: Place, notes: list[str]) -> None:
        if not isinstance(found, dict):
            raise place.unexpected("an object", found, "write it between braces", reveal=False)
        self._left: dict[str, object] = {key: value for key, value in found.items() if value is not None}
        self._place = place
        self._notes = notes

    def at(self, key: str) -> Place:
        """Where ``key`` stands, for errors."""
        return self._place.at(key)

    def take(self, key: str, read: Callable[[object, Place], Value], default: Value) -> Value:
        """The value of ``key``; ``default`` where it has none, or null."""
        if key not in self._left:
            return default
        return read(self._left.pop(key), self.at(key))

    def below(self, key: str) -> Keys:
        """The keys of the object that ``key`` holds; none where there is none."""
        return Keys(self._left.pop(key, {}), self.at(key), self._notes)

    def holds_object(self, key: str) -> bool:
        """Whether ``key`` holds an object."""
        return isinstance(self._left.get(key), dict)

    def each(self, key: str) -> list[Keys]:
        """The objects of the list that ``key`` holds."""
        found = self._left.pop(key, [])
        if not isinstance(found, list):
            raise self.at(key).unexpected("a list of objects", found, "write it between brackets", reveal=False)
        return [Keys(item, self.at(key).at(index), self._notes) for index, item in enumerate(found)]

    def ignore(self, key: str, why: str) -> None:
        """Accept ``key``, and note why it does nothing."""
        if self._left.pop(key, None) is not None:
            self.note(key, why)

    def note(self, key: str, text: str) -> None:
        """Say something about ``key``, or about the whole object where it is empty."""
        place = self.at(key) if key else self._place
        self._notes.append(str(place.error(text)))

    def read_over(self, *keys: str) -> None:
        """Accept ``keys`` in silence: what there is to say about them is said of something else."""
        for key in keys:
            self._left.pop(key, None)

    def leave(self) -> None:
        """Note that what is left means nothing here."""
        for key in list(self._left):
            self.ignore(key, "means nothing here and is left out")
