"""One answer out of the bytes of a link: parsed by httptools, bounded here. Knows neither sockets nor time."""

from __future__ import annotations

import httptools
from msgspec import Struct

MOST_BYTES = 65_536
"""Of a body, and of a head: an authorisation is a few hundred."""


class Answer(Struct, frozen=True):
    """What the application said; ``body`` is None where it is longer than anybody wants to read."""

    status: int
    body: bytes | None


class Unreadable(Exception):
    """This is no answer in HTTP."""


class AnswerReader:
    """Reads one answer; interim ones (100–199) are passed over."""

    __slots__ = ("_body", "_framed", "_head", "_overrun", "_parser", "_size", "_status", "answer", "heard", "reusable")

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.heard = False
        """Whether any byte of it has come."""
        self.reusable = False
        """Whether another answer may follow on that link; counts once there is an `answer`."""
        self._parser = httptools.HttpResponseParser(self)
        self._status = 0
        self._framed = False
        self._head = 0
        self._body: list[bytes] = []
        self._size = 0
        self._overrun = False

    def feed(self, data: bytes) -> Answer | None:
        """Take what came in; gives the answer as soon as it is whole. Raises `Unreadable`."""
        self.heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            raise Unreadable("it switches to another protocol") from None
        except httptools.HttpParserError as error:
            if self.answer is None:
                raise Unreadable(str(error)) from None
            self.reusable = False
        if self._overrun:
            # Bytes that nobody asked for must never pass for the answer to somebody else's question.
            self.reusable = False
        if self.answer is None and not self._status:
            self._head += len(data)
            if self._head > MOST_BYTES:
                raise Unreadable("its head has no end")
        return self.answer

    def end(self, clean: bool) -> Answer | None:
        """The link is down; gives the answer that only this end makes whole, as in HTTP/1.0."""
        if self.answer is None and self._status and not self._framed and clean:
            self._finish(b"".join(self._body))
        return self.answer

    def _finish(self, body: bytes | None) -> None:
        self.answer = Answer(self._status, body)

    # ---- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        self._overrun = self.answer is not None
        self._framed = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or trailer."""
        if not self._status and name.lower() in (b"content-length", b"transfer-encoding"):
            self._framed = True

    def on_headers_complete(self) -> None:
        """The head is whole."""
        status = self._parser.get_status_code()
        if self.answer is None and status >= 200:
            self._status = status
            self.reusable = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self.answer is not None:
            return
        self._size += len(body)
        if self._size > MOST_BYTES:
            self.reusable = False
            self._finish(None)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self.answer is None and self._status:
            self._finish(b"".join(self._body))
