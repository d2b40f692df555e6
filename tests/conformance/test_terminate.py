"""The application ends a user's connections (P180, P181, P204)."""

from __future__ import annotations

import json
import time
from typing import Any

import pusher
import pytest
from twisted.internet.defer import Deferred

from broadcaster.errors import DriverError
from broadcaster.messages import Terminated
from broadcaster.settings import App
from tests.conformance.conftest import Serve
from tests.conformance.expected import error, removed, watched
from tests.drivers import ScriptedDriver
from tests.inprocess import APP, NOW, QUERY, Answer, Client, InProcess, app_with, signed

TERMINATED = (4009, "Terminated by the application")


def user(server: InProcess, user_id: str = "12345", **options: Any) -> Client:
    client = server.joined(**options)
    client.sign_in({"id": user_id})
    client.events()
    return client


def terminate(server: InProcess, user_id: str = "12345", body: Any = None) -> Answer:
    return server.call("POST", f"/users/{user_id}/terminate_connections", {} if body is None else body)


def done(answer: Answer) -> None:
    assert (answer.status, answer.text) == (200, "{}")
    assert answer.headers["content-type"] == "application/json"


def ended(*clients: Client) -> list[tuple[int | None, str]]:
    return [(client.events() and None) or (client.close_code, client.close_reason) for client in clients]


def test_p180_all_sockets_of_the_user_are_closed_and_others_stay(server: InProcess) -> None:
    first, second, other, nobody = user(server), user(server), user(server, "123456"), server.joined("x")
    done(terminate(server))
    assert ended(first, second) == [TERMINATED] * 2
    assert ended(other, nobody) == [(None, "")] * 2
    server.publish("#server-to-user-123456")
    server.publish("x")
    assert [len(client.events()) for client in (other, nobody)] == [1, 1]


@pytest.mark.parametrize("user_id", ["nobody", "x" * 1_000, "a%20b", "%C3%A9", "%2F"])
def test_p180_an_unknown_user_is_the_same(server: InProcess, user_id: str) -> None:
    client = user(server)
    target = f"/apps/3/users/{user_id}/terminate_connections"
    done(server.http("POST", signed(APP, "POST", target, b"{}", "", NOW), b"{}"))
    assert ended(client) == [(None, "")]


@pytest.mark.parametrize("body", [b"", b"{}"])
def test_p180_the_body_may_be_empty(server: InProcess, body: bytes) -> None:
    client = user(server)
    done(terminate(server, body=body))
    assert ended(client) == [TERMINATED]


def test_p180_the_user_may_come_back(server: InProcess) -> None:
    first = user(server)
    done(terminate(server))
    second = user(server)
    done(server.publish("#server-to-user-12345"))
    assert ended(first) == [TERMINATED]
    assert len(second.events()) == 1
    done(terminate(server))
    assert ended(second) == [TERMINATED]


@pytest.mark.parametrize("path", ["user 1", "user%201"])
def test_p180_the_id_is_decoded_whichever_form_was_signed(server: InProcess, path: str) -> None:
    client = user(server, "user 1")
    target = signed(APP, "POST", f"/apps/3/users/{path}/terminate_connections", b"{}", "", NOW)
    done(server.http("POST", target.replace("user 1", "user%201"), b"{}"))
    assert ended(client) == [TERMINATED]


def test_p180_a_user_of_another_app_is_somebody_else(serve: Serve) -> None:
    other = app_with(id="4", key="other-key", secrets=("other-secret",))
    server = serve(APP, other)
    client = user(server)
    done(server.call("POST", "/users/12345/terminate_connections", {}, app=other))
    assert ended(client) == [(None, "")]


def test_p180_nothing_of_the_user_is_left(serve: Serve) -> None:
    server = serve(app_with(watchlists=True))
    client = user(server)
    client.subscribe("presence-x")
    client.subscribe("y")
    watcher = server.joined("presence-y")
    watcher.sign_in({"id": "u1", "watchlist": ["12345"]})
    watcher.subscribe("presence-x", {"user_id": "7"})
    watcher.events()
    terminate(server)
    told = sorted(watcher.events(), key=lambda frame: str(frame["event"]))
    assert told == [removed("presence-x", "12345"), watched(offline=["12345"])]
    assert server.call("GET", "/channels").json == {"channels": {"presence-x": {}}}


def test_p180_what_was_sent_before_arrives_and_what_comes_after_does_not(server: InProcess) -> None:
    client = user(server)
    client.subscribe("x")
    client.events()
    server.publish("x", "e1")
    terminate(server)
    server.publish("x", "e2")
    assert [frame["event"] for frame in client.events()] == ["e1"]
    assert client.close_code == 4009


def test_p180_its_link_is_cut_when_it_does_not_answer(server: InProcess) -> None:
    client = user(server)
    terminate(server)
    assert not client.closed
    server.advance(6)
    assert client.closed


def test_p180_protocol_5_is_told_by_an_error_too(server: InProcess) -> None:
    client = user(server, query=QUERY.replace("protocol=7", "protocol=5"))
    terminate(server)
    assert client.events() == [error(TERMINATED[1], 4009)]
    assert client.close_code == 4009


def test_p180_strangers_end_nothing(server: InProcess) -> None:
    client = user(server)
    stranger = app_with(secrets=("guessed",))
    assert server.call("POST", "/users/12345/terminate_connections", {}, app=stranger).status == 401
    assert server.http("POST", "/apps/3/users/12345/terminate_connections", b"{}").status == 401
    assert ended(client) == [(None, "")]


def test_p181_a_presence_member_of_that_id_stays(server: InProcess) -> None:
    member, client = server.joined(), user(server)
    member.subscribe("presence-x", {"user_id": "12345"})
    member.events()
    terminate(server)
    assert ended(member, client) == [(None, ""), TERMINATED]
    server.publish("presence-x")
    assert len(member.events()) == 1


def test_p181_who_was_refused_as_that_user_stays(server: InProcess) -> None:
    client = server.joined()
    client.sign_in({"id": "12345"}, auth=f"{APP.key}:abc")
    terminate(server)
    assert len(client.events()) == 1
    assert client.close_code is None


def test_all_processes_are_told(serve: Serve) -> None:
    driver = ScriptedDriver()
    server = serve(through=driver)
    client = user(server)
    done(terminate(server))
    assert driver.taken == [("3", Terminated("12345"))]
    assert ended(client) == [(None, "")]
    driver.deliver_all()
    assert ended(client) == [TERMINATED]


def test_the_answer_comes_when_the_driver_has_taken_it(serve: Serve) -> None:
    taken: Deferred[None] = Deferred()
    server = serve(through=ScriptedDriver(publish=lambda: taken))
    link = server.link()
    target = signed(APP, "POST", "/apps/3/users/1/terminate_connections", b"", "", NOW)
    server.feed(link, f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
    assert link.take() == b""
    taken.callback(None)
    server.turn()
    done(Answer(link.take()))


def test_a_driver_that_fails_is_503(serve: Serve) -> None:
    def fail() -> Any:
        raise DriverError("deaf")

    answer = terminate(serve(through=ScriptedDriver(publish=fail)))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")


# ---- the Python SDK's path ------------------------------------------------------------------------------------


class Wire:
    """The transport of the Python SDK, in memory."""

    def __init__(self, client: Any, **options: Any) -> None:
        self.server: InProcess
        self.paths: list[str] = []

    def send_request(self, request: Any) -> Any:
        self.paths.append(request.path)
        query = "&".join(f"{name}={value}" for name, value in sorted(request.query_params.items()))
        answer = self.server.http("POST", f"{request.path}?{query}", request.body)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)


def sdk(server: InProcess, app: App = APP) -> Any:
    """A back end that uses the SDK; that signs at the true time, so the server's clock must show it."""
    server.wall = time.time()
    made = pusher.Pusher(app.id, app.key, app.secrets[0], backend=Wire)
    made._pusher_client.http.server = server
    return made


def test_p204_pythons_sdk_forgets_the_app_and_is_understood(server: InProcess) -> None:
    client, other = user(server), user(server, "u2")
    application = sdk(server)
    assert application.terminate_user_connections("12345") == {}
    assert application._pusher_client.http.paths == ["/users/12345/terminate_connections"]
    assert ended(client, other) == [TERMINATED, (None, "")]


def test_p204_the_app_is_found_by_its_key(serve: Serve) -> None:
    other = app_with(id="4", key="other-key", secrets=("other-secret",))
    server = serve(APP, other)
    client = user(server)
    assert sdk(server, other).terminate_user_connections("12345") == {}
    assert ended(client) == [(None, "")]
    assert sdk(server).terminate_user_connections("12345") == {}
    assert ended(client) == [TERMINATED]


@pytest.mark.parametrize("secret", ["new", "old"])
def test_p204_either_secret_signs_it(serve: Serve, secret: str) -> None:
    server = serve(app_with(secrets=("new", "old")))
    client = user(server)
    target = signed(app_with(secrets=(secret,)), "POST", "/users/12345/terminate_connections", b"{}", "", NOW)
    done(server.http("POST", target, b"{}"))
    assert ended(client) == [TERMINATED]


def test_p204_strangers_end_nothing(server: InProcess) -> None:
    client = user(server)
    path = "/users/12345/terminate_connections"
    forged = signed(app_with(secrets=("guessed",)), "POST", path, b"{}", "", NOW)
    unknown = signed(app_with(key="unknown"), "POST", path, b"{}", "", NOW)
    answers = [server.http("POST", target, b"{}") for target in (path, forged, unknown)]
    assert [answer.status for answer in answers] == [401] * 3
    assert answers[0].text == "Missing parameter: auth_key\n"
    assert answers[2].text == "Unknown auth_key\n"
    assert ended(client) == [(None, "")]
    only_post = server.http("GET", signed(APP, "GET", path, b"", "", NOW))
    assert (only_post.status, only_post.headers["allow"]) == (405, "POST")
