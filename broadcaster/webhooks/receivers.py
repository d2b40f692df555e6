"""Who is told: each ``[[apps.webhooks]]`` with a name that can be shown, and what it wants to hear. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from broadcaster.auth.signature import sign
from broadcaster.errors import ConfigError
from broadcaster.settings import App
from broadcaster.webhooks.happenings import ALL


class Receiver(Struct, frozen=True):
    """``name`` is what its letters are kept by: it stays while the app and the URL do, and holds no credentials."""

    name: str
    app_id: str
    shown: str
    """The URL without credentials and query."""
    url: str
    key: str
    secret: str
    events: frozenset[str]
    channels: tuple[str, ...]
    headers: Mapping[str, str]

    def wants(self, event: str, channel: str) -> bool:
        """Whether it is to hear an event of that name; what is about no channel is in no pattern's way."""
        if event not in self.events:
            return False
        return not self.channels or not channel or any(fnmatchcase(channel, pattern) for pattern in self.channels)

    def signed(self, body: bytes) -> dict[str, str]:
        """All headers for a body; those of ours count. They are spelled as PHP's SDK looks them up."""
        return {
            "User-Agent": "broadcaster",
            **self.headers,
            "Content-Type": "application/json",
            "X-Pusher-Key": self.key,
            "X-Pusher-Signature": sign(self.secret, body),
        }


def receivers_of(apps: Iterable[App], source: str) -> list[Receiver]:
    """All that are configured, by app in their order. Raises `ConfigError` for an URL that cannot be one."""
    made: list[Receiver] = []
    for app in apps:
        names: Counter[str] = Counter()
        for webhook in app.webhooks:
            url, shown, authorization = _parsed(webhook.url, source)
            name = f"{app.id} {shown}"
            if webhook.url != shown:
                name += f" {sha256(webhook.url.encode()).hexdigest()[:8]}"
            names[name] += 1
            if names[name] > 1:
                name += f" #{names[name]}"
            headers = {**authorization, **webhook.headers}
            # While secrets change, receivers know the oldest for certain (Pusher: "the oldest active token").
            secret = app.secrets[-1] if app.secrets else ""
            events = frozenset(webhook.events or ALL)
            made.append(Receiver(name, app.id, shown, url, app.key, secret, events, webhook.channels, headers))
    return made


def _parsed(url: str, source: str) -> tuple[str, str, dict[str, str]]:
    """The URL to ask, the URL to show, and the header that its credentials become."""
    wrong = ConfigError(source, "apps.webhooks.url", "is no http:// or https:// URL", 'write "https://host/path"')
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        url.encode("ascii")
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or any(each.isspace() for each in url) or port == 0:
        raise wrong
    where = parts.netloc.rpartition("@")[2]
    asked = parts._replace(netloc=where, path=parts.path or "/", fragment="")
    shown = asked._replace(query="").geturl()
    if parts.username is None:
        return asked.geturl(), shown, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return asked.geturl(), shown, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
