"""Applications: found by key (WebSocket) or by id (HTTP API). The only holders of secrets, beside `auth`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from broadcaster.errors import ConfigError
from broadcaster.settings import App


class Apps:
    """The applications of this server; ids and keys are unique."""

    def __init__(self, apps: Iterable[App], source: str = "apps") -> None:
        self._by_id: dict[str, App] = {}
        self._by_key: dict[str, App] = {}
        for app in apps:
            for field, known in (("id", self._by_id), ("key", self._by_key)):
                value = getattr(app, field)
                if value in known:
                    raise ConfigError(source, f"apps.{field}", f"{value!r} is given twice", "give each app its own")
                known[value] = app

    def by_id(self, app_id: str) -> App | None:
        """The app that the HTTP API calls ``/apps/<app_id>``."""
        return self._by_id.get(app_id)

    def by_key(self, key: str) -> App | None:
        """The app that clients call ``/app/<key>``."""
        return self._by_key.get(key)

    def __iter__(self) -> Iterator[App]:
        return iter(self._by_id.values())
