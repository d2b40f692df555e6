"""What names an app and lets its publishers in."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex


@dataclass(frozen=True, slots=True)
class Credentials:
    """An app as it stands in a file, or shall stand there; ``secret`` is None where there is none or it shall stay."""

    id: str
    key: str
    secret: str | None = None
    bearer: bool = False


def random_id() -> str:
    """As long as laravel-echo-server makes it."""
    return token_hex(8)


def random_key() -> str:
    """As long as laravel-echo-server makes it."""
    return token_hex(16)


def random_secret() -> str:
    """As many bits as the signature has."""
    return token_hex(32)
