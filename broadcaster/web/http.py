"""HTTP as the rest of `web` sees it: a request as a value, a response as a value, and the bytes of the latter."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import unquote

from msgspec import Struct
from twisted.internet.defer import Deferred

Headers = tuple[tuple[str, str], ...]

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Request(Struct):
    """One request. ``path`` and ``query`` are as on the wire; header names are lower-case.

    ``peer`` is the client's address and ``secure`` whether it came over TLS, both as far as proxies can be believed.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    peer: str
    secure: bool

    def header(self, name: str) -> str | None:
        """The first header of that (lower-case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def tokens(self, name: str) -> list[str]:
        """A comma-separated header in lower case, all its lines together."""
        return [
            token.strip().lower() for key, value in self.headers if key == name for token in value.split(",") if token
        ]

    def segments(self) -> list[str]:
        """The path cut at its slashes, each piece percent-decoded, without the empty one before the first slash."""
        path = self.path[1:]
        return [unquote(piece) for piece in path.split("/")] if "%" in path else path.split("/")


class TooLarge(Struct, frozen=True):
    """A request whose body is beyond what its path allows, and was not read: ``most`` bytes are."""

    request: Request
    most: int


class Response(Struct, frozen=True):
    """One answer, whole."""

    status: int
    body: bytes = b""
    content_type: str = PLAIN
    headers: Headers = ()


class Held(Deferred[Response]):
    """An answer that may be long in coming: it is cancelled when the client has gone meanwhile."""


def text(status: int, line: str, *headers: tuple[str, str]) -> Response:
    """A line for people and SDKs: plain text, one line, newline at its end."""
    return Response(status, " ".join(line.splitlines()).encode(errors="replace") + b"\n", PLAIN, headers)


def encode(response: Response, keep_alive: bool, head: bool = False) -> bytes:
    """The bytes on the wire; ``head`` leaves the body out, for HEAD."""
    if response is NOTHING and keep_alive and not head:
        return _NOTHING
    return _encode(response, keep_alive, head)


def _encode(response: Response, keep_alive: bool, head: bool) -> bytes:
    lines = [_STATUS_LINES[response.status]]
    if response.status not in (204, 304):
        lines.append(f"Content-Type: {response.content_type}\r\nContent-Length: {len(response.body)}\r\n")
    for name, value in response.headers:
        lines.append(f"{name}: {value}\r\n")
    lines.append("\r\n" if keep_alive else "Connection: close\r\n\r\n")
    start = "".join(lines).encode("latin-1", "replace")
    return start if head else start + response.body


NOTHING = Response(200, b"{}", JSON)
"""What nearly every publish is answered, and therefore encoded once."""

_NOTHING = _encode(NOTHING, keep_alive=True, head=False)
