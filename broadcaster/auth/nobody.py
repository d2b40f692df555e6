"""Socket.IO clients of an app that has nobody to ask: public channels are open, all others refused."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from broadcaster.auth.echo_names import check_echo_name, is_guarded
from broadcaster.errors import SubscriptionRejected
from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe, User
from broadcaster.settings import App, Limits


@implementer(IAuthorizer)
class Nobody:
    """See `IAuthorizer`; the status of a refusal is 0, as where the application does not answer."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def authorize(self, app: App, socket_id: str, subscribe: Subscribe, user: User | None) -> Deferred[Member | None]:
        """See `IAuthorizer`."""
        try:
            check_echo_name(subscribe.channel, self._limits)
        except SubscriptionRejected as rejected:
            return fail(rejected)
        if is_guarded(subscribe.channel):
            reason = "apps.auth is not set, so there is no application to ask"
            return fail(SubscriptionRejected(subscribe.channel, "AuthError", 0, reason))
        return succeed(None)
