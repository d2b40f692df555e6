"""HTTP/1.1 requests out of the bytes of one link: parsed by httptools, bounded here. Knows neither sockets nor time.

httptools is llhttp, which by itself refuses two lengths, a length beside chunks, folded headers, bare line feeds and
control characters. What is ours: a head and a body are never held beyond their limits, headers that come after the
body count for nothing, and an offer to upgrade to what is not spoken here changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import IntEnum

import httptools
import msgspec

from broadcaster.web.http import Headers, Request, Response, TooLarge, text

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_NOBODYS = httptools.HttpRequestParser(object())
"""What stands in for a parser that is not needed any more; it is not fed."""


class Stage(IntEnum):
    """What a link is in the middle of."""

    IDLE = 0
    HEAD = 1
    BODY = 2


class Reading:
    """One link's. ``most`` says how many bytes the body of a request to a path may have; ``client`` makes (address,
    secure) of a request's headers, or of none if no proxy wrote any. A bound of 0 is none.

    `ready` is what is to be answered, in its order: requests, each with whether the link may live on after it;
    `CONTINUE`, to be passed on; and last of all perhaps a refusal.
    """

    __slots__ = (
        "_body",
        "_body_size",
        "_client",
        "_direct",
        "_forwarded",
        "_head_bytes",
        "_head_size",
        "_headers",
        "_modern",
        "_most",
        "_parser",
        "_plain_head",
        "_raw",
        "_room",
        "_silent",
        "_url",
        "over",
        "ready",
        "rest",
        "stage",
        "steps",
    )

    def __init__(
        self,
        head_bytes: int,
        most: Callable[[str], int],
        client: Callable[[Sequence[tuple[str, str]]], tuple[str, bool]],
    ) -> None:
        self.ready: deque[tuple[Request | TooLarge | Response | bytes, bool]] = deque()
        self.over = False
        """Whether whatever comes in now is thrown away."""
        self.rest: bytes | None = None
        """What came after the last of `ready`, if that may be an upgrade: it is no HTTP then."""
        self.stage = Stage.IDLE
        self.steps = 0
        """Grows whenever `stage` changes, also if it is the same again after one `feed`."""
        self._head_bytes = head_bytes
        self._most = most
        self._client = client
        self._direct = client(())
        self._parser = httptools.HttpRequestParser(self)
        self._silent = 0
        self._begin()

    def end(self) -> None:
        """Throw away whatever waits and whatever comes in; not to be called from within `feed`."""
        self.over = True
        self.ready.clear()
        # Ours holds our methods, and such a ring waits for a search for garbage: two kilobytes for each WebSocket.
        self._parser = _NOBODYS

    def _begin(self) -> None:
        self._url = b""
        self._raw: list[tuple[bytes, bytes]] = []
        self._headers: list[tuple[str, str]] = []
        self._modern = True
        self._forwarded = False
        self._body = bytearray()
        self._head_size = 0
        self._body_size = 0
        self._room: int | None = None
        self._plain_head: bytes | None = None

    def feed(self, data: bytes) -> None:
        """Take what came in."""
        if self.over:
            return
        if self.rest is not None:
            self.rest += data
            return
        self._silent += len(data)
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            self._refuse(text(400, f"Bad request: {error}"))
        # An unfinished header, or trailer, is held by the parser and was not told yet.
        if self.stage is Stage.HEAD:
            self._bound_head(self._head_size + self._silent)
        elif self._silent:
            self._bound_head(self._silent)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                rest = data[upgrade.args[0] :]
            if self._plain_head is None:
                self.rest = rest
                return
            self._parser = httptools.HttpRequestParser(self)
            data = self._plain_head + rest

    def _step(self, stage: Stage) -> None:
        self.stage = stage
        self.steps += 1
        self._silent = 0

    # ---- httptools --------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._begin()
        self.stage = Stage.HEAD
        self.steps += 1

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._silent = 0
        self._url += url
        self._head_size += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header; those after the body are dropped, since nobody here asks for any (RFC 9110 §6.5.1)."""
        self._silent = 0
        if self.stage is Stage.HEAD:
            self._raw.append((name, value))
            self._head_size += len(name) + len(value) + 4

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._bound_head(self._head_size)
        self._step(Stage.BODY)
        if self.over:
            return
        self._headers = headers = [
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")) for name, value in self._raw
        ]
        self._modern = modern = self._parser.get_http_version() == "1.1"
        if self._parser.should_upgrade() and not self._may_upgrade():
            self._plain_head = self._without_upgrade()
            return
        length = expects = None
        hosts = 0
        for name, value in headers:
            if name == "host":
                hosts += 1
            elif name == "content-length":
                length = int(value)
            elif name == "expect":
                expects = value.lower()
            elif name[:12] == "x-forwarded-" or name == "forwarded":
                self._forwarded = True
        if hosts > 1 or (hosts == 0 and modern):
            self._refuse(text(400, "Bad request: exactly one Host header is required"))
        elif length is not None and self._beyond(length):
            return
        elif expects == "100-continue" and modern:
            self.ready.append((CONTINUE, True))

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._silent = 0
        if self.over:
            return
        self._body_size += len(body)
        if not self._beyond(self._body_size):
            self._body += body

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._step(Stage.IDLE)
        if self.over or self._plain_head is not None:
            return
        request, parser = self._request(), self._parser
        # An HTTP/1.0 client that is not told otherwise waits for the end of the link: so that is what it gets.
        keep_alive = self._modern and parser.should_keep_alive() and not parser.should_upgrade()
        self.ready.append((request, keep_alive))

    def _request(self) -> Request:
        """The request as far as it was read."""
        path, _, query = self._target().partition("?")
        peer, secure = self._client(self._headers) if self._forwarded else self._direct
        method = self._parser.get_method().decode("ascii")
        return Request(method, path, query, self._headers, bytes(self._body), peer, secure)

    def _target(self) -> str:
        url = self._url.decode(errors="replace")
        # The absolute form (RFC 9112 §3.2.2); `OPTIONS *` and CONNECT targets lead nowhere here.
        return url if url.startswith("/") else "/" + url.partition("://")[2].partition("/")[2]

    # ---- upgrades ---------------------------------------------------------------------------------------------

    def _may_upgrade(self) -> bool:
        method = self._parser.get_method()
        if method == b"CONNECT":
            return True
        wanted = any(name == "upgrade" and "websocket" in value.lower() for name, value in self._headers)
        return wanted and method == b"GET" and self._modern

    def _without_upgrade(self) -> bytes:
        # llhttp takes every upgrade for agreed and reads no body after one, while Java's and curl's clients offer h2c
        # with each publish; so the head is parsed once more without the offer, which RFC 9110 §7.8 lets us ignore.
        parser = self._parser
        lines = [f"{name}: {value}\r\n".encode("latin-1") for name, value in self._headers if name != "upgrade"]
        start = b"%b %b HTTP/%b\r\n" % (parser.get_method(), self._url, parser.get_http_version().encode())
        return start + b"".join(lines) + b"\r\n"

    # ---- refusals ---------------------------------------------------------------------------------------------

    def _bound_head(self, size: int) -> None:
        limit = self._head_bytes
        if limit and size > limit:
            self._refuse(text(431, f"Request head too large (limits.handshake_bytes = {limit})"))

    def _beyond(self, size: int) -> bool:
        """Whether a body of that size is too large, which is its end then."""
        if self._room is None:
            self._room = self._most(self._target().partition("?")[0])
        if not self._room or size <= self._room:
            return False
        self._body.clear()
        if not self.over:
            self.over = True
            self.ready.append((TooLarge(self._request(), self._room), False))
        return True

    def _refuse(self, response: Response) -> None:
        if not self.over:
            self.over = True
            self.ready.append((msgspec.structs.replace(response, headers=self._readable()), False))

    def _readable(self) -> Headers:
        """Lets the page that sent this, if one did, read what is wrong: it is nothing that anybody may not know."""
        for name, value in self._raw:
            if name.lower() == b"origin":
                return (
                    ("Access-Control-Allow-Origin", value.decode("latin-1")),
                    ("Access-Control-Allow-Credentials", "true"),
                    ("Vary", "Origin"),
                )
        return ()
