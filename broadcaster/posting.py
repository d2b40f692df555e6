"""POST requests to a server that may be slow, hostile or away: no redirects, no proxies, and answers up to a bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from twisted.internet.defer import Deferred, TimeoutError, succeed
from twisted.internet.protocol import Protocol
from twisted.web.client import Agent, HTTPConnectionPool, _HTTP11ClientFactory
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

LARGEST_ANSWER = 4_096
"""Bytes of an answer that are read; what has more is an error's words."""


class Poster:
    """Keeps up to ``links`` connections to each server; ``seconds`` is how long a whole request may take."""

    def __init__(self, reactor: Any, seconds: float, links: int) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = links
        self._pool._factory = _Quiet
        self._agent = Agent(reactor, connectTimeout=seconds, pool=self._pool)

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Deferred[tuple[int, bytes]]:
        """Fires with the status and the beginning of the body; fails with whatever went wrong on the way there."""
        fields = Headers({name: [value] for name, value in headers.items()})
        asking = cast("Deferred[Any]", self._agent.request(b"POST", url.encode(), fields, _Body(body)))
        return asking.addCallback(_read).addTimeout(self._seconds, self._reactor)

    def close(self) -> Deferred[None]:
        """Let go of the connections."""
        return cast("Deferred[None]", self._pool.closeCachedConnections())


def words_for(error: BaseException) -> str:
    """What went wrong with a request, in words."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    reasons = getattr(error, "reasons", None)  # twisted.web's failures only wrap what happened
    if reasons:
        error = reasons[0].value
    return " ".join(str(error).split()) or type(error).__name__


class _Quiet(_HTTP11ClientFactory):
    """What makes connections; Twisted's own writes a line for each, and has no other place to say not to."""

    noisy = False


@implementer(IBodyProducer)
class _Body:
    def __init__(self, body: bytes) -> None:
        self.length = len(body)
        self._body = body

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """All of it is written at once."""

    resumeProducing = stopProducing = pauseProducing


class _Answer(Protocol):
    """Reads the beginning of a body, and lets go of the connection when there is too much of it."""

    def __init__(self, done: Deferred[bytes]) -> None:
        self._done = done
        self._body = b""

    def dataReceived(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > LARGEST_ANSWER and self.transport is not None:
            self._body = self._body[:LARGEST_ANSWER]
            self.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        if not self._done.called:
            self._done.callback(self._body)


def _read(response: Any) -> Deferred[tuple[int, bytes]]:
    # Whoever waits no longer lets go of the connection too, however slowly the rest of the answer comes.
    def let_go(_: object) -> None:
        transport = answer.transport
        if transport is not None:
            transport.loseConnection()

    body: Deferred[bytes] = Deferred(let_go)
    answer = _Answer(body)
    response.deliverBody(answer)
    return body.addCallback(lambda text: (response.code, text))
