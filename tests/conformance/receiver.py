"""A back end that takes webhooks, in memory: what it was sent, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, fail, succeed

URL = "https://back.test/hooks"


class Post(Struct):
    """One request, and when it came by the wall's clock."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events, without their ids."""
        return [{key: value for key, value in event.items() if key != "id"} for event in self.numbered]

    @property
    def numbered(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["events"]
        return found


class Backend:
    """Answers what is in ``answers``, first to last, then 200; an exception is what happens instead of an answer."""

    def __init__(self) -> None:
        self.server: Any = None
        self.posts: list[Post] = []
        self.answers: list[int | Exception] = []
        self.down: Exception | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Deferred[tuple[int, bytes]]:
        """See `Poster`."""
        self.posts.append(Post(url, headers, body, self.server.wall if self.server is not None else 0.0))
        answer = self.down or (self.answers.pop(0) if self.answers else 200)
        return fail(answer) if isinstance(answer, Exception) else succeed((answer, b""))

    def events(self) -> list[dict[str, Any]]:
        """All events since the last call, without their ids."""
        posts, self.posts = self.posts, []
        return [event for post in posts for event in post.events]
