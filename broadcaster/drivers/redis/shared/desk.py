"""Where the parts that share something meet Redis: scripts and the names that they are given."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote

from twisted.internet.defer import Deferred

from broadcaster.drivers.redis.commands import Commands, Script
from broadcaster.drivers.redis.protocol import Argument, Refused


class Desk:
    """``keys`` and ``channels`` are what names in Redis begin with, ``inbox`` names this process's."""

    def __init__(self, commands: Commands, keys: str, channels: str, inbox: str) -> None:
        self.inbox = inbox
        self.channels = channels
        self._commands = commands
        self._keys = keys

    def run(self, script: Script, *arguments: Argument) -> Deferred[Any]:
        """What the script gives; fails as `Commands.script` does."""
        return cast("Deferred[Any]", self._commands.script(script, (), (self._keys, self.channels, *arguments)))

    def call(self, *arguments: Argument) -> Deferred[Any]:
        """The reply to a command; fails as `Commands.call` does."""
        return cast("Deferred[Any]", self._commands.call(*arguments))

    def key(self, *words: str) -> str:
        """A key of ours; only the last word may hold anything."""
        return self._keys + ":".join(words)


def app_word(app_id: str) -> str:
    """An app's id where it is one word of many."""
    return quote(app_id, safe="")


def is_lost(error: object) -> bool:
    """Whether a script refused since this process counts as dead."""
    return isinstance(error, Refused) and error.code == "LEASELOST"
