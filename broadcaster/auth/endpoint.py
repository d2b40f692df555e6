"""Decides by the application's word who may hear a channel: laravel-echo-server's way, with one request for each."""

from __future__ import annotations

from sys import maxsize
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, DeferredSemaphore, fail, succeed
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from broadcaster.auth.answer import Answer
from broadcaster.auth.complaints import Complaints
from broadcaster.auth.echo_names import check_echo_name, is_guarded
from broadcaster.auth.hosts import choose_host, read_url
from broadcaster.auth.link import NoAnswer
from broadcaster.auth.links import Links
from broadcaster.auth.question import question
from broadcaster.auth.trust import Trust
from broadcaster.auth.verdict import verdict
from broadcaster.errors import SubscriptionRejected
from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe, User
from broadcaster.settings import App, Auth, Limits

NO_ANSWER = 0
"""The status of a refusal where the application gave none."""


class AuthEndpoint:
    """The endpoint of one app, shared by its connections: at most ``auth.requests`` questions are open on it."""

    _log = Logger()

    def __init__(self, reactor: Any, auth: Auth, limits: Limits) -> None:
        self.limits = limits
        self._reactor = reactor
        self._auth = auth
        self._slots = DeferredSemaphore(auth.requests or maxsize)
        self._links = Links(reactor, Trust(auth.verify))
        self._complaints = Complaints(reactor.seconds)
        self._told_of_last = False
        if not auth.verify and not all(host.startswith("http://") for host in auth.host):
            self._log.warn(
                "apps.auth.verify = false: certificates of {hosts} are not checked, so others can answer in their name",
                hosts=", ".join(auth.host),
            )

    def authorizer(self, referer: str | None, cookie: str | None) -> IAuthorizer:
        """For one connection, whose handshake had these headers."""
        host, meant = choose_host(self._auth.host, referer)
        if not meant and not self._told_of_last:
            self._told_of_last = True
            self._log.warn(
                "apps.auth.host: a client's Referer names none of {hosts}, so {host} is asked, being the last",
                hosts=", ".join(self._auth.host),
                host=host,
            )
        return EndpointAuthorizer(self, host, cookie)

    def close(self) -> None:
        """Drop the connections that are kept for further questions."""
        self._links.close()

    async def member(self, host: str, cookie: str | None, subscribe: Subscribe) -> Member | None:
        """The member whom the application at ``host`` puts on the channel; raises `SubscriptionRejected`."""
        channel, address = subscribe.channel, host + self._auth.endpoint
        try:
            answer = await self._answer(address, cookie, subscribe)
        except NoAnswer as error:
            self._complaints.tell(address, str(error), channel)
            raise SubscriptionRejected(channel, "AuthError", NO_ANSWER, str(error)) from None
        try:
            return verdict(channel, answer.status, answer.body, self.limits)
        except SubscriptionRejected as rejected:
            self._complaints.tell(address, rejected.reason, channel, ordinary=answer.status == 403)
            raise

    async def _answer(self, address: str, cookie: str | None, subscribe: Subscribe) -> Answer:
        url = read_url(address)
        if url is None:
            raise NoAnswer("is no URL of http or https (apps.auth.host, apps.auth.endpoint)")
        async with self._slots:
            # In a turn of its own: when thousands that wait go at once, each hands its slot to one that goes next.
            await deferLater(self._reactor, 0)
            asked = question(url, subscribe.channel, subscribe.headers, cookie)
            asking = Deferred.fromCoroutine(self._links.ask(url, asked))
            if self._auth.seconds:
                asking.addTimeout(self._auth.seconds, self._reactor, _overdue)
            return await asking


@implementer(IAuthorizer)
class EndpointAuthorizer:
    """`authorize` for one connection; knows which host is asked for it, and the cookie it came with."""

    __slots__ = ("_cookie", "_endpoint", "_host")

    def __init__(self, endpoint: AuthEndpoint, host: str, cookie: str | None) -> None:
        self._endpoint = endpoint
        self._host = host
        self._cookie = cookie

    def authorize(self, app: App, socket_id: str, subscribe: Subscribe, user: User | None) -> Deferred[Member | None]:
        """See `IAuthorizer`; cancelling takes the question back. Who is signed in does not count."""
        try:
            check_echo_name(subscribe.channel, self._endpoint.limits)
        except SubscriptionRejected as rejected:
            return fail(rejected)
        if not is_guarded(subscribe.channel):
            return succeed(None)
        asking = self._endpoint.member(self._host, self._cookie, subscribe)
        return Deferred.fromCoroutine(asking)


def _overdue(result: object, seconds: float) -> NoReturn:
    raise NoAnswer(f"did not answer in time (apps.auth.seconds = {seconds:g})")
