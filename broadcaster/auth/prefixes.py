"""Notices that a key prefix of Laravel's is not configured: clients name channels that it stands before."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe, User
from broadcaster.names import is_prefixed
from broadcaster.settings import App


class Prefixes:
    """Tells it once for each app."""

    _log = Logger()

    def __init__(self) -> None:
        self._told: set[str] = set()

    def look_at(self, app_id: str, channel: str) -> None:
        """A client asked for ``channel``."""
        if app_id not in self._told and is_prefixed(channel):
            self._told.add(app_id)
            self._log.warn(
                "app {app_id}: a client asks for {channel!r}, where something stands before private- or presence-; if "
                "that is Laravel's Redis prefix, set driver.redis.prefix, the app's redis_prefix, or databaseConfig."
                "redis.keyPrefix in laravel-echo-server.json to it, so that clients need not know it",
                app_id=app_id,
                channel=channel,
            )


@implementer(IAuthorizer)
class Watched:
    """Another authorizer, whose subscriptions are looked at."""

    def __init__(self, authorizer: IAuthorizer, prefixes: Prefixes) -> None:
        self._authorizer = authorizer
        self._prefixes = prefixes

    def authorize(self, app: App, socket_id: str, subscribe: Subscribe, user: User | None) -> Deferred[Member | None]:
        """See `IAuthorizer`."""
        self._prefixes.look_at(app.id, subscribe.channel)
        return self._authorizer.authorize(app, socket_id, subscribe, user)
