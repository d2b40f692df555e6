"""The application that is asked about private channels, in memory: it says what the test decides, now or later."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from broadcaster.auth.answer import Answer
from broadcaster.auth.link import NoAnswer
from broadcaster.messages import Subscribe
from tests.inprocess import InProcess

Said = tuple[int, str] | None


class Application:
    """Answers for each channel in turn, the last answer again and again; ``asked`` is all that it was asked."""

    def __init__(self) -> None:
        self.server: InProcess
        self.asked: list[tuple[str, str | None, Subscribe]] = []
        self._answers: dict[str, list[Said | Deferred[Said]]] = {}

    def says(self, channel: str, *answers: Said | Deferred[Said]) -> None:
        """Status and body for each time it is asked; None when it is down."""
        self._answers[channel] = list(answers)

    def members(self, channel: str, *user_ids: Any) -> None:
        """Let these users in, one after the other."""
        self.says(channel, *((200, json.dumps({"channel_data": member(each)})) for each in user_ids))

    async def answer(self, address: str, cookie: str | None, subscribe: Subscribe) -> Answer:
        """In the place of the network."""
        self.asked.append((address, cookie, subscribe))
        answers = self._answers.get(subscribe.channel, [(200, "true")])
        said = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(said, Deferred):
            said = await said
        if said is None:
            raise NoAnswer("is down")
        return Answer(said[0], said[1].encode())


def member(user_id: Any) -> dict[str, Any]:
    """As an application names a member."""
    return {"user_id": user_id, "user_info": {"name": f"U{user_id}"}}
