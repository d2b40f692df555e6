"""Who is let in without asking, who is refused without asking, and what the log says about the settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from broadcaster.auth.echo_names import has_members, is_guarded
from broadcaster.auth.endpoint import AuthEndpoint
from broadcaster.errors import SubscriptionRejected
from broadcaster.interfaces import IAuthorizer
from broadcaster.messages import Member, Subscribe, User
from broadcaster.settings import App, Auth, Limits

APP = App(id="1", key="k", secrets=("s",))


@pytest.fixture
def reactor() -> Iterator[MemoryReactorClock]:
    reactor = MemoryReactorClock()
    yield reactor
    assert not reactor.tcpClients


@pytest.fixture
def lines() -> Iterator[list[str]]:
    lines: list[str] = []

    def observe(event: dict) -> None:
        lines.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield lines
    globalLogPublisher.removeObserver(observe)


def authorize(reactor: MemoryReactorClock, channel: str, limits: Limits | None = None) -> Deferred[Member | None]:
    authorizer = AuthEndpoint(reactor, Auth(), limits or Limits()).authorizer(None, None)
    return authorizer.authorize(APP, "sid", Subscribe(channel), User("1"))


def refusal(asked: Deferred[Member | None]) -> tuple[str, int]:
    results: list[object] = []
    asked.addBoth(results.append)
    (failure,) = results
    assert isinstance(failure, Failure) and isinstance(failure.value, SubscriptionRejected)
    return failure.value.kind, failure.value.status


def test_it_is_an_authorizer_with_little_of_its_own(reactor: MemoryReactorClock) -> None:
    authorizer = AuthEndpoint(reactor, Auth(), Limits()).authorizer(None, None)
    assert verifyObject(IAuthorizer, authorizer)
    assert not hasattr(authorizer, "__dict__")


@pytest.mark.parametrize(
    "channel", ["orders", "orders 1/ü:😀", "__proto__", "Private-x", "privateer", "x#y", "presence", "x" * 200]
)
def test_e121_public_channels_of_nearly_any_name_need_nothing(reactor: MemoryReactorClock, channel: str) -> None:
    assert authorize(reactor, channel).result is None


@pytest.mark.parametrize("channel", ["", "\n", "private-a\x00", "a\x7fb", "a\x85b", "private-\ud800", "\t"])
def test_names_that_no_channel_can_have(reactor: MemoryReactorClock, channel: str) -> None:
    assert refusal(authorize(reactor, channel)) == ("InvalidChannel", 400)


def test_names_longer_than_the_limit(reactor: MemoryReactorClock) -> None:
    assert refusal(authorize(reactor, "x" * 201)) == ("LimitReached", 400)
    assert refusal(authorize(reactor, "private-" + "x" * 193)) == ("LimitReached", 400)
    assert authorize(reactor, "x" * 201, Limits(channel_name_length=0)).result is None


@pytest.mark.parametrize("channel", ["#server-to-user-1", "#private-x", "#"])
def test_channels_of_signed_in_users_are_not_for_those_who_cannot_sign_in(
    reactor: MemoryReactorClock, channel: str
) -> None:
    assert refusal(authorize(reactor, channel)) == ("AuthError", 403)


@pytest.mark.parametrize(
    ("channel", "guarded", "members"),
    [
        ("private-x", True, False),
        ("presence-x", True, True),
        ("private-encrypted-x", True, False),
        ("my-private-x", True, False),
        ("laravel_database_private-x", True, False),
        ("x-presence-y", True, False),
        ("orders", False, False),
        ("private_x", False, False),
        ("Presence-x", False, False),
    ],
)
def test_e141_which_names_the_application_is_asked_about(channel: str, guarded: bool, members: bool) -> None:
    assert (is_guarded(channel), has_members(channel)) == (guarded, members)


@pytest.mark.parametrize(
    ("auth", "warned"),
    [
        (Auth(), False),
        (Auth(verify=False), False),
        (Auth(verify=False, host=("https://a.test",)), True),
        (Auth(verify=False, host=("http://a.test", ".b.test")), True),
        (Auth(host=("https://a.test",)), False),
    ],
)
def test_believing_any_certificate_is_said_at_the_start(
    reactor: MemoryReactorClock, lines: list[str], auth: Auth, warned: bool
) -> None:
    AuthEndpoint(reactor, auth, Limits())
    assert len(lines) == warned


def test_e126_it_is_said_once_that_no_host_matched(reactor: MemoryReactorClock, lines: list[str]) -> None:
    endpoint = AuthEndpoint(reactor, Auth(host=("https://a.test", "https://b.test")), Limits())
    endpoint.authorizer("https://a.test/", None)
    endpoint.authorizer(None, None)
    assert lines == []
    endpoint.authorizer("https://secret.test/?token=1", None)
    endpoint.authorizer("https://other.test/", None)
    assert lines == [
        "apps.auth.host: a client's Referer names none of https://a.test, https://b.test, "
        "so https://b.test is asked, being the last"
    ]
