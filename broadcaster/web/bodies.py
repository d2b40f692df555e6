"""How large the bodies of requests may be, and what is answered to those that are larger."""

from __future__ import annotations

from typing import Protocol

from broadcaster.web.http import Response, TooLarge, text


class Bodies(Protocol):
    """What the front door asks about it."""

    def most(self, path: str) -> int:
        """Bytes that the body of a request to ``path`` may have; 0: no bound."""

    def too_large(self, refused: TooLarge) -> Response:
        """What is answered to one with more."""


class Bounded:
    """The same bound for all."""

    def __init__(self, most: int) -> None:
        self._most = most

    def most(self, path: str) -> int:
        """See `Bodies`."""
        return self._most

    def too_large(self, refused: TooLarge) -> Response:
        """See `Bodies`."""
        return text(413, f"Request body too large (limits.body_bytes = {refused.most})")
