"""The application is asked over real sockets: what it hears, what its answers do, how it may fail to give one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import LogLevel

from broadcaster.errors import SubscriptionRejected
from tests.integration.application import NAME, Asked, End, Here, said, serving
from tests.integration.asking import TRUE, ask, ask_by, asking, asking_of, logged, names_found_here, outcome, refused
from tests.sockets import reactor, run_until


@pytest.fixture(autouse=True)
def here() -> Iterator[Here]:
    with names_found_here() as here:
        yield here


# ---- the question ---------------------------------------------------------------------------------------------


def test_e122_e124_the_application_is_asked_once_in_laravel_echo_servers_words() -> None:
    headers = (("X-User", "1"), ("X-CSRF-TOKEN", "csrf1"), ("Authorization", "Bearer tok"), ("X-Requested-With", "no"))
    with serving(TRUE) as application, asking_of(application) as endpoint:
        authorizer = endpoint.authorizer("http://page.test/orders", "laravel_session=abc")
        assert outcome(ask_by(authorizer, "private-orders 1/ü", headers)) is None
        (asked,) = application.asked
        assert asked == Asked(
            "POST /broadcasting/auth HTTP/1.1",
            [
                ("X-User", "1"),
                ("X-CSRF-TOKEN", "csrf1"),
                ("Authorization", "Bearer tok"),
                ("Cookie", "laravel_session=abc"),
                ("X-Requested-With", "XMLHttpRequest"),
                ("host", f"{NAME}:{application.port}"),
                ("content-type", "application/x-www-form-urlencoded"),
                ("content-length", "40"),
            ],
            b"channel_name=private-orders%201%2F%C3%BC",
        )


def test_public_channels_are_nobodys_business() -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint:
        assert outcome(ask(endpoint, "orders")) is None
        assert not application.ends


@pytest.mark.parametrize("channel", ["my-private-x", "laravel_database_private-x", "x-presence-y"])
def test_e141_a_name_that_contains_the_word_is_asked_about_and_has_no_members(channel: str) -> None:
    member = '{"channel_data":{"user_id":1}}'
    with serving(said(member)) as application, asking_of(application) as endpoint:
        assert outcome(ask(endpoint, channel)) is None
        application.says(said("", "403 Forbidden"))
        assert refused(ask(endpoint, channel)) == 403
        assert {asked.body for asked in application.asked} == {b"channel_name=" + channel.encode()}


def test_e126_the_referer_chooses_among_several_hosts() -> None:
    with (
        serving(TRUE) as first,
        serving(TRUE) as second,
        asking(f"http://a.test:{first.port}", f"http://b.test:{second.port}") as endpoint,
    ):
        referer = f"http://b.test:{second.port}/page"
        assert outcome(ask_by(endpoint.authorizer(referer, None), "private-x")) is None
        assert (len(first.asked), len(second.asked)) == (0, 1)
        assert outcome(ask_by(endpoint.authorizer(None, None), "private-x")) is None
        assert (len(first.asked), len(second.asked)) == (1, 1)


anything = st.text(st.characters(codec=None), max_size=40)
header_names = st.one_of(
    anything,
    st.sampled_from(["Host", "host", "Content-Length", "content-type", "Transfer-Encoding", "Connection", "X-A"]),
    st.sampled_from(["Cookie", "Upgrade", "Expect", "TE", "Proxy-Connection", "Content_Length", "X-Requested-With"]),
)
header_values = st.one_of(
    anything, st.sampled_from(["3", "chunked", "a\r\nHost: evil", "\n", "100-continue", "x\r\n\r\nGET /"])
)
wire_headers = st.lists(st.tuples(header_names, header_values), max_size=80).map(tuple)


def test_e125_whatever_headers_a_client_sends_one_well_formed_request_arrives() -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint:

        @settings(max_examples=150, deadline=None)
        @given(wire_headers, st.none() | anything, st.text(min_size=1, max_size=20))
        def one_request(headers: tuple[tuple[str, str], ...], cookie: str | None, name: str) -> None:
            channel = "private-" + name
            before = len(application.asked)
            error = outcome(ask_by(endpoint.authorizer(None, cookie), channel, headers))
            if isinstance(error, SubscriptionRejected):
                assert error.status == 400 and len(application.asked) == before
                return
            asked = application.asked[before:]
            assert len(asked) == 1
            assert asked[0].line == "POST /broadcasting/auth HTTP/1.1"
            assert asked[0].value("host") == f"{NAME}:{application.port}"
            assert asked[0].value("content-length") == str(len(asked[0].body))
            assert asked[0].value("content-type") == "application/x-www-form-urlencoded"
            assert asked[0].value("x-requested-with") == "XMLHttpRequest"
            assert parse_qsl(asked[0].body.decode(), errors="strict") == [("channel_name", channel)]
            ours = {"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
            assert ours.isdisjoint(name.lower() for name, _ in asked[0].headers)
            assert all(not end.received for end in application.ends)

        one_request()
        assert len(application.ends) == 1


# ---- the answer -----------------------------------------------------------------------------------------------


def test_e136_a_presence_channels_member_is_what_the_application_says() -> None:
    body = '{"channel_data":{"user_id":1,"user_info":{"id":1,"name":"Ü"},"more":[1]}}'
    with serving(said(body)) as application, asking_of(application) as endpoint:
        member = outcome(ask(endpoint, "presence-room"))
        assert (member.user_id, member.info) == ("1", '{"id":1,"name":"Ü"}'.encode())
        assert member.data == body[len('{"channel_data":') : -1].encode()


@pytest.mark.parametrize("status", [201, 204, 302, 401, 403, 404, 419, 500, 503])
def test_e123_any_other_status_than_200_is_told_as_it_is(status: int) -> None:
    answer = said("" if status == 204 else "true", f"{status} Whatever", "Location: /login")
    with serving(answer) as application, asking_of(application) as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == status
        assert len(application.asked) == 1
    ((level, line),) = lines
    assert line.startswith(f"http://{NAME}:{application.port}/broadcasting/auth answered {status}: ")
    assert line.endswith("(channel private-x)")
    assert level is (LogLevel.info if status == 403 else LogLevel.warn)
    assert ("redirects are not followed: is the endpoint behind a login page?" in line) == (status == 302)


def test_e135_a_presence_channel_without_a_member_is_refused() -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint, logged() as lines:
        assert refused(ask(endpoint, "presence-room")) == 403
    assert lines[0][0] is LogLevel.warn and "answered without a member" in lines[0][1]


def chunked(end: End) -> None:
    end.transport.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfal\r\n")
    reactor.callLater(0, end.transport.write, b"2\r\nse\r\n0\r\n\r\n")


def until_the_end(end: End) -> None:
    end.transport.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nfalse")
    end.transport.loseConnection()


@pytest.mark.parametrize("answer", [chunked, until_the_end, said("false", "200 OK", "Connection: close")])
def test_the_body_is_read_to_its_end_however_that_is_told(answer: Any) -> None:
    with serving(answer) as application, asking_of(application) as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == 403
    assert "answered false" in lines[0][1]


@pytest.mark.parametrize(("status", "told"), [("200 OK", 403), ("500 Oops", 500), ("403 No", 403)])
def test_an_answer_that_does_not_end_is_not_read(status: str, told: int) -> None:
    def flood(end: End) -> None:
        end.transport.write(f"HTTP/1.1 {status}\r\n\r\n".encode() + b"x" * 70_000)

    with serving(flood) as application, asking_of(application) as endpoint:
        assert refused(ask(endpoint)) == told
        run_until(lambda: application.ends[0].lost, "the end of the link")


def test_a_short_answer_is_enough_for_a_private_channel() -> None:
    with serving(said("x" * 65_536)) as application, asking_of(application) as endpoint:
        assert outcome(ask(endpoint)) is None


# ---- no answer ------------------------------------------------------------------------------------------------


def reset(end: End) -> None:
    end.transport.abortConnection()


def broken(end: End) -> None:
    end.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\ntrue")
    end.transport.loseConnection()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reset, "hung up without an answer"),
        (broken, "broke off in the middle of its answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "gave no answer in HTTP"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "gave no answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000, "gave no answer in HTTP"),
    ],
)
def test_e123_what_is_no_answer_has_the_status_0(answer: Any, words: str) -> None:
    with serving(answer) as application, asking_of(application) as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == 0
        assert len(application.asked) == 1
        run_until(lambda: application.ends[0].lost, "the end of the link")
    ((level, line),) = lines
    assert words in line and level is LogLevel.warn


def unused_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.mark.parametrize("name", ["127.0.0.1", "nowhere.test"])
def test_e123_an_application_that_is_down_has_the_status_0(name: str) -> None:
    with asking(f"http://{name}:{unused_port()}") as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == 0
    assert len(lines) == 1 and "cannot be reached: " in lines[0][1]


@pytest.mark.parametrize("host", [".example.com", "localhost", "ftp://localhost", "http://", "http://u:p@localhost"])
def test_e126_a_host_that_is_no_url_has_the_status_0(host: str) -> None:
    with asking(host) as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == 0
    assert len(lines) == 1 and "is no URL of http or https (apps.auth.host" in lines[0][1]


def test_an_application_that_takes_too_long_has_the_status_0() -> None:
    def half(end: End) -> None:
        end.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntr")

    for answer in (lambda end: None, half):
        with serving(answer) as application, asking_of(application, seconds=0.05) as endpoint, logged() as lines:
            assert refused(ask(endpoint)) == 0
            run_until(lambda: application.ends[0].lost, "the end of the link")
        assert "did not answer in time (apps.auth.seconds = 0.05)" in lines[0][1]


def test_a_storm_is_one_line_in_the_log_and_names_no_secret() -> None:
    with serving(said("secret-body", "401 No")) as application, asking_of(application) as endpoint, logged() as lines:
        authorizer = endpoint.authorizer(None, "secret-cookie")
        asked = [ask_by(authorizer, f"private-{n}", (("X-Token", "secret-value"),)) for n in range(50)]
        assert [refused(each) for each in asked] == [401] * 50
    assert len(lines) == 1
    assert "secret" not in lines[0][1]
