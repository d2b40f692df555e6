"""The connections to the application: whom they believe, how long they are kept, and what is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import CancelledError
from twisted.logger import LogLevel

from broadcaster.auth import links
from tests.integration.application import NAME, End, Here, certificate, said, serving
from tests.integration.asking import TRUE, ask, asking, asking_of, logged, names_found_here, outcome, refused
from tests.sockets import run_until, turn


@pytest.fixture(autouse=True)
def here() -> Iterator[Here]:
    with names_found_here() as here:
        yield here


# ---- TLS ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "application.pem"
    path.write_bytes(certificate())
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_said(pem: Path) -> None:
    with serving(TRUE, pem) as application, asking(f"https://{NAME}:{application.port}") as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == 0
        assert not application.asked and not any(end.received for end in application.ends)
    assert "cannot be asked over TLS: " in lines[0][1] and "(apps.auth.verify = false believes any)" in lines[0][1]


def test_a_certificate_for_another_name_is_refused_before_anything_is_said(
    pem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with serving(TRUE, pem) as application, asking(f"https://b.test:{application.port}") as endpoint, logged() as lines:
        assert refused(ask(endpoint)) == 0
        assert not application.asked and not any(end.received for end in application.ends)
    assert "its certificate is for another name" in lines[0][1]


def test_a_certificate_that_the_system_vouches_for_is_believed(pem: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    with serving(TRUE, pem) as application, asking(f"https://{NAME}:{application.port}") as endpoint:
        assert outcome(ask(endpoint)) is None
        assert outcome(ask(endpoint)) is None
        assert len(application.ends) == 1


def test_any_certificate_is_believed_with_verify_off_and_the_log_says_so(pem: Path) -> None:
    with serving(TRUE, pem) as application, logged() as lines:
        with asking(f"https://b.test:{application.port}", verify=False) as endpoint:
            assert outcome(ask(endpoint)) is None
            assert outcome(ask(endpoint)) is None
        with asking(f"https://127.0.0.1:{application.port}", verify=False) as endpoint:
            assert outcome(ask(endpoint)) is None
        assert application.names == [b"b.test", None]
    assert [level for level, _ in lines] == [LogLevel.warn] * 2
    assert all(line.startswith("apps.auth.verify = false: certificates of https://") for _, line in lines)


def test_plain_http_is_told_apart_from_a_bad_certificate() -> None:
    with serving(TRUE) as application:
        application.answer = lambda end: None
        with asking(f"https://{NAME}:{application.port}", seconds=2) as endpoint, logged() as lines:
            asked = ask(endpoint)
            run_until(lambda: application.ends and application.ends[0].received, "the handshake")
            application.ends[0].transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert refused(asked) == 0
    assert "cannot be asked over TLS: " in lines[0][1] and "verify" not in lines[0][1]


# ---- connections ----------------------------------------------------------------------------------------------


def test_one_connection_serves_one_question_after_the_other() -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint:
        assert [outcome(ask(endpoint)) for _ in range(5)] == [None] * 5
        assert (len(application.asked), len(application.ends)) == (5, 1)


def test_an_idle_connection_is_dropped_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "KEPT_SECONDS", 0.05)
    with serving(TRUE) as application, asking_of(application) as endpoint:
        assert outcome(ask(endpoint)) is None
        run_until(lambda: application.ends[0].lost, "the end of the link")
        assert outcome(ask(endpoint)) is None
        assert len(application.ends) == 2


def test_a_kept_connection_that_is_closed_while_it_is_asked_costs_nobody_a_channel() -> None:
    def only_the_first_answers(end: End) -> None:
        (end.transport.write(TRUE) if len(application.asked) != 2 else end.transport.abortConnection())

    with serving(only_the_first_answers) as application, asking_of(application) as endpoint:
        assert [outcome(ask(endpoint)) for _ in range(2)] == [None] * 2
        assert (len(application.asked), len(application.ends)) == (3, 2)


def test_a_kept_connection_that_the_application_closed_is_not_used() -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint:
        assert outcome(ask(endpoint)) is None
        application.ends[0].transport.loseConnection()
        run_until(lambda: application.ends[0].lost, "the end of the link")
        assert outcome(ask(endpoint)) is None
        assert len(application.asked) == 2


@pytest.mark.parametrize("close", [said("true", "200 OK", "Connection: Close"), b"HTTP/1.0" + TRUE[8:]])
def test_a_connection_that_the_application_wants_closed_is_not_kept(close: bytes) -> None:
    with serving(close) as application, asking_of(application) as endpoint:
        assert [outcome(ask(endpoint)) for _ in range(2)] == [None] * 2
        assert len(application.ends) == 2


@pytest.mark.parametrize("later", [False, True])
def test_bytes_that_nobody_asked_for_never_answer_the_next_question(
    later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "KEPT_SECONDS", 3600)

    def too_much(end: End) -> None:
        if len(application.asked) == 1:
            end.transport.write(said("", "403 No") + (b"" if later else TRUE))

    with serving(too_much) as application, asking_of(application, seconds=1) as endpoint:
        assert refused(ask(endpoint)) == 403
        if later:
            application.ends[0].transport.write(TRUE)
        run_until(lambda: application.ends[0].lost, "the end of the link")
        application.says(said("", "401 No"))
        assert refused(ask(endpoint)) == 401


def test_no_more_questions_are_open_at_once_than_allowed_and_the_rest_wait_in_order() -> None:
    waiting: list[End] = []
    with serving(waiting.append) as application, asking_of(application, requests=2) as endpoint:
        asked = [ask(endpoint, f"private-{n}") for n in range(6)]
        for done in range(0, 6, 2):
            run_until(lambda: len(waiting) == 2, "two questions")
            turn()
            bodies = [each.body for each in application.asked[done:]]
            assert sorted(bodies) == [b"channel_name=private-%d" % n for n in (done, done + 1)]
            ends, waiting[:] = list(waiting), []
            for end in ends:
                end.transport.write(TRUE)
            assert [outcome(each) for each in asked[done : done + 2]] == [None, None]
        assert len(application.ends) == 2


def test_without_a_bound_all_are_open_at_once() -> None:
    waiting: list[End] = []
    with serving(waiting.append) as application, asking_of(application, requests=0, seconds=0) as endpoint:
        asked = [ask(endpoint) for _ in range(8)]
        run_until(lambda: len(waiting) == 8, "all questions")
        for end in waiting:
            end.transport.write(TRUE)
        assert [outcome(each) for each in asked] == [None] * 8


def test_a_question_taken_back_while_it_waits_is_never_asked() -> None:
    waiting: list[End] = []
    with serving(waiting.append) as application, asking_of(application, requests=1) as endpoint, logged() as lines:
        first, second, third = (ask(endpoint, f"private-{n}") for n in range(3))
        run_until(lambda: waiting, "the first question")
        second.cancel()
        assert isinstance(outcome(second), CancelledError)
        waiting.pop().transport.write(TRUE)
        assert outcome(first) is None
        run_until(lambda: waiting, "the third question")
        waiting.pop().transport.write(TRUE)
        assert outcome(third) is None
        assert [asked.body for asked in application.asked] == [b"channel_name=private-0", b"channel_name=private-2"]
    assert not lines


def test_a_crowd_that_goes_at_once_while_it_waits_opens_no_connections(here: Here) -> None:
    with serving(b"") as application, asking_of(application, requests=1) as endpoint:
        asked = [ask(endpoint) for _ in range(50)]
        run_until(lambda: application.asked, "the first question")
        for each in asked:
            each.cancel()
        assert all(isinstance(outcome(each), CancelledError) for each in asked)
        run_until(lambda: application.ends[0].lost, "the end of the link")
        application.says(TRUE)
        assert outcome(ask(endpoint)) is None
        assert len(application.asked) == len(application.ends) == len(here.sought) == 2


@pytest.mark.parametrize("written", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nt"])
def test_a_question_taken_back_drops_its_connection_and_makes_room(written: bytes) -> None:
    with (
        serving(written) as application,
        asking_of(application, requests=1) as endpoint,
        logged() as lines,
    ):
        asked = ask(endpoint)
        run_until(lambda: application.asked, "the question")
        turn()
        asked.cancel()
        assert isinstance(outcome(asked), CancelledError)
        run_until(lambda: application.ends[0].lost, "the end of the link")
        application.says(TRUE)
        assert outcome(ask(endpoint)) is None
    assert not lines


def test_a_question_taken_back_while_the_host_is_looked_up_is_no_fault_of_anybodys(here: Here) -> None:
    with asking("http://slow.test") as endpoint, logged() as lines:
        asked = ask(endpoint)
        run_until(lambda: here.sought, "the search for the name")
        asked.cancel()
        assert isinstance(outcome(asked), CancelledError)
    assert not lines


def test_a_question_taken_back_while_it_connects_leaves_no_connection(here: Here) -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint, logged() as lines:
        asked = ask(endpoint)
        run_until(lambda: here.sought, "the search for the name")
        asked.cancel()
        assert isinstance(outcome(asked), CancelledError)
        assert outcome(ask(endpoint)) is None
        assert len(application.asked) == 1
        assert [end.lost for end in application.ends].count(False) == 1
    assert not lines


def test_a_connection_that_is_being_dropped_is_not_used() -> None:
    with serving(TRUE) as application, asking_of(application) as endpoint:
        assert outcome(ask(endpoint)) is None
        ((link,),) = endpoint._links._kept.values()
        asked = ask(endpoint)
        link.abort()
        assert outcome(asked) is None
        assert len(application.ends) == 2


def test_what_is_answered_after_closing_is_still_heard() -> None:
    waiting: list[End] = []
    with serving(waiting.append) as application, asking_of(application) as endpoint:
        asked = ask(endpoint)
        run_until(lambda: waiting, "the question")
        endpoint.close()
        waiting.pop().transport.write(TRUE)
        assert outcome(asked) is None
