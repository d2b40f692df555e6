"""The documents in JetStream: a stream that keeps one message per channel, and replaces it only if nobody else has."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, gatherResults

from broadcaster.errors import DriverError
from broadcaster_nats.document import Document, decode, encode
from broadcaster_nats.link import Link
from broadcaster_nats.options import Options
from broadcaster_nats.wire import name_of, token

NOT_FOUND, IN_USE, OUTRUN = 10037, 10058, 10071
"""JetStream's numbers for: no message there, a stream of that name with other settings, not the last one."""

Key = tuple[str, str]
"""App and channel."""


class Store:
    """Each question fails with `DriverError`, after ``wait_seconds`` if there is no answer."""

    def __init__(self, reactor: Any, link: Link, options: Options) -> None:
        self._reactor = reactor
        self._link = link
        self._options = options
        self._stream = f"{options.namespace}_channels"

    def told(self, key: Key) -> str:
        """The subject on which each document is told once it is kept."""
        return f"{self._options.namespace}.channel.{token(key[0])}.{token(key[1])}"

    def _kept(self, key: Key) -> str:
        return f"{self._options.namespace}.put.{token(key[0])}.{token(key[1])}"

    async def prepare(self) -> None:
        """Make the stream, unless it is there."""
        kept, told = (f"{self._options.namespace}.{word}.>" for word in ("put", "channel"))
        await self._ask(
            "STREAM.CREATE",
            name=self._stream,
            subjects=[kept],
            max_msgs_per_subject=1,
            storage=self._options.storage,
            republish={"src": kept, "dest": told},
        )

    async def read(self, key: Key) -> tuple[int, Document]:
        """The document and its number; an empty one with 0 where there is none."""
        answer = await self._ask("STREAM.MSG.GET", last_by_subj=self._kept(key))
        message = answer.get("message")
        return (message["seq"], decode(b64decode(message["data"]))) if message else (0, Document())

    async def write(self, key: Key, document: Document, after: int) -> int | None:
        """Replace the document with the number ``after``; the new one's, None if that is not the last any more."""
        asked = self._link.request(
            self._kept(key), encode(document), Nats_Expected_Last_Subject_Sequence=after
        ).addTimeout(self._options.wait_seconds, self._reactor, _overdue)
        answer = _checked((await asked).body, OUTRUN)
        # With an error there is a number too, and it is 0.
        return None if "error" in answer else answer["seq"]

    async def forget(self, key: Key, number: int) -> None:
        """Drop the document with that number, if it is still the last."""
        await self._ask("STREAM.PURGE", filter=self._kept(key), seq=number + 1)

    async def all(self, app_id: str | None = None, prefix: str = "") -> dict[Key, Document]:
        """All documents, or those of an app's channels that begin with ``prefix``."""
        which = f"{self._options.namespace}.put.{token(app_id) if app_id is not None else '*'}.*"
        keys: list[Key] = []
        while True:
            answer = await self._ask("STREAM.INFO", subjects_filter=which, offset=len(keys))
            found = answer["state"].get("subjects") or {}
            keys += [(name_of(app), name_of(channel)) for _, _, app, channel in (each.split(".") for each in found)]
            if not found or len(keys) >= answer.get("total", 0):
                break
        keys = [key for key in keys if key[1].startswith(prefix)]
        read = await gatherResults([Deferred.fromCoroutine(self.read(key)) for key in keys], consumeErrors=True)
        return {key: document for key, (_, document) in zip(keys, read, strict=True)}

    async def _ask(self, what: str, **question: Any) -> dict[str, Any]:
        asked = self._link.request(f"$JS.API.{what}.{self._stream}", json.dumps(question).encode())
        asked.addTimeout(self._options.wait_seconds, self._reactor, _overdue)
        return _checked((await asked).body, NOT_FOUND, IN_USE)


def _checked(body: bytes, *allowed: int) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(body)
    error = answer.get("error")
    if error and error.get("err_code") not in allowed:
        raise DriverError(f"JetStream says: {error.get('description')}")
    return answer


def _overdue(_: object, seconds: float) -> NoReturn:
    raise DriverError(f"JetStream has not answered within {seconds:g} s")
