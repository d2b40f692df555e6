"""Asks an application of the test's over real sockets, as connections of Socket.IO clients do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from broadcaster.auth.endpoint import AuthEndpoint
from broadcaster.errors import SubscriptionRejected
from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe
from broadcaster.settings import App, Auth, Limits
from tests.failures import no_failures
from tests.integration.application import NAME, Application, Here, said
from tests.sockets import reactor, run_until, turn

APP = App(id="1", key="k", secrets=("s",))
TRUE = said("true")


@contextmanager
def names_found_here() -> Iterator[Here]:
    here = Here()
    before = reactor.installNameResolver(here)
    with no_failures():
        yield here
    reactor.installNameResolver(before)


@contextmanager
def asking(*hosts: str, **auth: Any) -> Iterator[AuthEndpoint]:
    endpoint = AuthEndpoint(reactor, Auth(host=hosts, **auth), Limits())
    try:
        yield endpoint
    finally:
        endpoint.close()
        turn()


@contextmanager
def asking_of(application: Application, **auth: Any) -> Iterator[AuthEndpoint]:
    with asking(f"http://{NAME}:{application.port}", **auth) as endpoint:
        yield endpoint


def ask(endpoint: AuthEndpoint, channel: str = "private-x", **headers: str) -> Deferred[Member | None]:
    return ask_by(endpoint.authorizer(None, None), channel, tuple(headers.items()))


def ask_by(authorizer: IAuthorizer, channel: str, headers: tuple[tuple[str, str], ...] = ()) -> Deferred[Member | None]:
    return authorizer.authorize(APP, "eICD6enF01k0FCbiAAAJ", Subscribe(channel, headers=headers), None)


def outcome(asked: Deferred[Member | None]) -> Any:
    """What became of it: a member, None, or the error."""
    results: list[Any] = []
    asked.addBoth(results.append)
    run_until(lambda: results, "an answer")
    (result,) = results
    return result.value if isinstance(result, Failure) else result


def refused(asked: Deferred[Member | None]) -> int:
    error = outcome(asked)
    assert isinstance(error, SubscriptionRejected), error
    return error.status


@contextmanager
def logged() -> Iterator[list[tuple[LogLevel, str]]]:
    """The lines of the log meanwhile."""
    lines: list[tuple[LogLevel, str]] = []

    def observe(event: dict[str, Any]) -> None:
        if event["log_namespace"].startswith("broadcaster."):
            lines.append((event["log_level"], event["log_format"].format(**event)))

    globalLogPublisher.addObserver(observe)
    try:
        yield lines
    finally:
        globalLogPublisher.removeObserver(observe)
