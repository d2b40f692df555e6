"""The client library that pages of laravel-echo-server load from the server itself: socket.io-client's browser build.

It is not part of the sources: ``make`` fetches it from npm before it builds the package.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from broadcaster.web.http import JSON, Request, Response, text

VERSION = "2.5.0"

_TYPES = {"socket.io.js": "application/javascript", "socket.io.js.map": JSON}
_TAG = f'"{VERSION}"'
_MISSING = (
    f"socket.io-client {VERSION} is not in this installation: build it where npm is installed (make run fetches it), "
    f"or load dist/socket.io.js of npm's socket.io-client@{VERSION} from your own pages"
)


def library(name: str, request: Request, directory: Traversable | None = None) -> Response | None:
    """The file of that name below Socket.IO's path, for who asks to read it; None if it is none of the library's."""
    if name not in _TYPES or request.method not in ("GET", "HEAD"):
        return None
    headers = (("Cache-Control", "public, max-age=0"), ("ETag", _TAG))
    try:
        body = ((directory or files("broadcaster.web").joinpath("pages")) / name).read_bytes()
    except FileNotFoundError:
        return text(404, _MISSING)
    known = {tag.removeprefix("w/") for tag in request.tokens("if-none-match")}
    if _TAG in known or "*" in known:
        return Response(304, headers=headers)
    return Response(200, body, _TYPES[name], headers)
