"""The connections to the application: opened when needed, kept a while for the next question."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory

from broadcaster.auth.answer import Answer
from broadcaster.auth.hosts import Url
from broadcaster.auth.link import HungUp, Link, NoAnswer
from broadcaster.auth.trust import Trust

KEPT_SECONDS = 4.0
"""How long an idle connection is kept: less than Apache and Node do by default (5), so that we hang up first."""

_Way: TypeAlias = tuple[bool, str, int]


class Links:
    """Asks over a kept connection where there is one; never asks anybody but whom the `Url` names."""

    def __init__(self, reactor: Any, trust: Trust) -> None:
        self._reactor = reactor
        self._trust = trust
        self._kept: dict[_Way, dict[Link, Any]] = {}

    async def ask(self, url: Url, question: bytes) -> Answer:
        """The answer to ``question``; raises `NoAnswer`. Cancelling drops the connection that it waits for."""
        way = (url.secure, url.host, url.port)
        link = self._take(way)
        if link is not None:
            try:
                return await self._over(link, way, question)
            except HungUp:
                # Most likely it was being closed for idleness as we wrote; asking twice does no harm.
                pass
        return await self._over(await self._connect(way), way, question)

    def close(self) -> None:
        """Drop the connections that are kept."""
        kept, self._kept = self._kept, {}
        for links in kept.values():
            for link, end in links.items():
                end.cancel()
                link.abort()

    async def _over(self, link: Link, way: _Way, question: bytes) -> Answer:
        answer = await link.ask(question)
        if link.open:
            self._kept.setdefault(way, {})[link] = self._reactor.callLater(KEPT_SECONDS, self._drop, way, link)
        return answer

    def _take(self, way: _Way) -> Link | None:
        kept = self._kept.get(way)
        while kept:
            # The last one used, so that those too many grow old.
            link, end = kept.popitem()
            end.cancel()
            if link.open:
                return link
        return None

    def _drop(self, way: _Way, link: Link) -> None:
        self._gone(way, link)
        link.abort()

    def _gone(self, way: _Way, link: Link) -> None:
        kept = self._kept.get(way)
        if kept is None:
            return
        end = kept.pop(link, None)
        if end is not None and end.active():
            end.cancel()
        if not kept:
            del self._kept[way]

    async def _connect(self, way: _Way) -> Link:
        secure, host, port = way
        try:
            endpoint: Any = HostnameEndpoint(self._reactor, host, port)
            if secure:
                endpoint = wrapClientTLS(self._trust.creator(host), endpoint)
            factory = Factory.forProtocol(partial(Link, partial(self._gone, way)))
            factory.noisy = False
            connecting: Deferred[Link] = endpoint.connect(factory)
            # What is cancelled is a Deferred of our own: an endpoint's fails then as if there were no such host.
            waiting: Deferred[Link] = Deferred()
            connecting.chainDeferred(waiting)
            return await waiting
        except CancelledError:
            connecting.cancel()
            raise
        except Exception as error:
            raise NoAnswer(" ".join(f"cannot be reached: {error}".split()).rstrip(".")) from None
