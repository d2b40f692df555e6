"""``POST /apps/<id>/events``: what is delivered, what is refused and in which words (P210–P224)."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.errors import DriverError
from tests.conformance.conftest import Serve
from tests.conformance.expected import published
from tests.drivers import ScriptedDriver, raising
from tests.inprocess import APP, NOW, Answer, InProcess, signed


def events(server: InProcess, **body: Any) -> Answer:
    """Publish with exactly these fields."""
    return server.call("POST", "/events", body)


# ---- channels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "heard"),
    (
        ({"channel": "a"}, ["a"]),
        ({"channels": ["a"]}, ["a"]),
        ({"channels": ["a", "b"]}, ["a", "b"]),
        ({"channel": ["a", "b"]}, ["a", "b"]),
        ({"channel": "b", "channels": ["a"]}, ["a"]),
    ),
)
def test_p210_channels_may_be_named_one_way_or_the_other(
    server: InProcess, fields: dict[str, Any], heard: list[str]
) -> None:
    client = server.joined("a", "b")
    assert events(server, name="e", data="1", **fields).status == 200
    assert sorted(event["channel"] for event in client.events()) == heard


def test_p224_a_channel_named_twice_is_told_once(server: InProcess) -> None:
    client = server.joined("a", "b")
    assert server.publish(["a", "b", "a"]).status == 200
    assert client.events() == [published("a", "1"), published("b", "1")]


def test_p211_a_hundred_channels_are_the_most(server: InProcess) -> None:
    names = [f"c{number}" for number in range(101)]
    clients = [server.joined(name) for name in names]
    refused = server.publish(names)
    assert refused.status == 400
    assert refused.text == ("The channels parameter may hold at most 100 channels (limits.channels_per_event = 100)\n")
    assert [client.events() for client in clients] == [[]] * 101
    assert server.publish(names[:100]).status == 200
    assert [len(client.events()) for client in clients] == [1] * 100 + [0]


def test_p211_a_hundred_different_channels_are_the_most(server: InProcess) -> None:
    assert server.publish(["a"] * 101).status == 200


@pytest.mark.parametrize("channels", ([], [1], ["a b"], [""], [None], [["a"]], "a", {"a": 1}, 7, True))
def test_p215_what_is_no_list_of_channel_names_is_refused(server: InProcess, channels: object) -> None:
    answer = events(server, name="e", data="1", channels=channels)
    assert answer.status == 400
    wanted = "Invalid channel name: " if channels in (["a b"], [""]) else "Invalid parameter: channels"
    assert answer.text.startswith(wanted)


@pytest.mark.parametrize("channel", ([], [1], 7, True, {}))
def test_p215_nor_is_it_good_as_channel(server: InProcess, channel: object) -> None:
    answer = events(server, name="e", data="1", channel=channel)
    assert (answer.status, answer.text) == (400, "Invalid parameter: channel\n")


@pytest.mark.parametrize("fields", ({}, {"channel": ""}, {"channels": None}, {"channel": None, "channels": None}))
def test_p215_some_channel_must_be_named(server: InProcess, fields: dict[str, object]) -> None:
    answer = events(server, name="e", data="1", **fields)
    assert (answer.status, answer.text) == (400, "Missing parameter: channels\n")


@pytest.mark.parametrize("bad", ("a b", "a/b", "a:b", "é", "a#b", "", "c" * 201, "#other"))
def test_p215_one_bad_name_among_good_ones_publishes_nothing(server: InProcess, bad: str) -> None:
    client = server.joined("a", "b")
    answer = server.publish(["a", bad, "b"])
    assert answer.status == 400
    assert answer.text.startswith(f"Invalid channel name: {bad}")
    assert client.events() == []


def test_p215_a_name_of_201_characters_is_refused_with_the_limits_name(server: InProcess) -> None:
    assert server.publish("c" * 200).status == 200
    assert server.publish("c" * 201).text.endswith(" (limits.channel_name_length = 200)\n")


# ---- the excluded ---------------------------------------------------------------------------------------------


def test_p212_the_one_who_caused_it_does_not_hear_it_on_any_channel(server: InProcess) -> None:
    cause, other = server.joined("a", "b"), server.joined("a", "b")
    assert server.publish(["a", "b"], socket_id=cause.name()).status == 200
    assert cause.events() == []
    assert other.events() == [published("a", "1"), published("b", "1")]


@pytest.mark.parametrize("nobody", ("1.1", None))
def test_p212_an_unknown_or_no_socket_id_leaves_out_nobody(server: InProcess, nobody: str | None) -> None:
    client = server.joined("a")
    assert server.publish("a", socket_id=nobody).status == 200
    assert client.events() == [published("a", "1")]


@pytest.mark.parametrize("malformed", ("abc", "1.2.3", "1", "", " 1.2", "1.2\n", "١.٢", 1.2, 7, [], True))
def test_p212_a_malformed_socket_id_is_refused(server: InProcess, malformed: object) -> None:
    client = server.joined("a")
    answer = server.publish("a", socket_id=malformed)
    assert answer.status == 400
    assert answer.text.startswith("Invalid socket id: ")
    assert client.events() == []


# ---- the name -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    (
        ({}, "Missing parameter: name"),
        ({"name": None}, "Missing parameter: name"),
        ({"name": ""}, "Missing parameter: name"),
        ({"name": 7}, "Invalid parameter: name"),
        ({"name": ["e"]}, "Invalid parameter: name"),
        ({"name": "e" * 201}, "Event name too long (limits.event_name_length = 200)"),
        ({"name": "pusher:x"}, "Event name may not start with pusher:"),
        ({"name": "pusher_internal:x"}, "Event name may not start with pusher:"),
    ),
)
def test_p213_an_event_needs_a_name_of_its_own(server: InProcess, fields: dict[str, object], text: str) -> None:
    client = server.joined("a")
    answer = events(server, channel="a", data="1", **fields)
    assert (answer.status, answer.text) == (400, text + "\n")
    assert client.events() == []


@pytest.mark.parametrize("name", ("e" * 200, r"App\Events\OrderShipped", ".quiet", "client-e", "pusher", "Ünï 😀"))
def test_p213_any_other_name_is_good(server: InProcess, name: str) -> None:
    client = server.joined("a")
    assert server.publish("a", name).status == 200
    assert client.events() == [published("a", "1", name)]


# ---- the data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "text"),
    (
        ("", ""),
        ("plain", "plain"),
        ("null", "null"),
        ('{"a": 1}', '{"a": 1}'),
        ({"a": [1, None, "b c"]}, '{"a":[1,null,"b c"]}'),
        ([], "[]"),
        ({}, "{}"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (False, "false"),
    ),
)
def test_p214_data_is_told_as_text(server: InProcess, sent: object, text: str) -> None:
    client = server.joined("a")
    assert server.publish("a", data=sent).status == 200
    assert client.events() == [published("a", text)]


def test_p214_json_loses_its_needless_spaces_and_nothing_else(server: InProcess) -> None:
    client = server.joined("a")
    raw = (
        rb'{"name":"e","channel":"a","data": { "n" : 1.10, "big" : 123456789012345678901234567890, "\u00e9" : "\/" } }'
    )
    assert server.call("POST", "/events", raw).status == 200
    assert client.events() == [published("a", r'{"n":1.10,"big":123456789012345678901234567890,"\u00e9":"\/"}')]


@pytest.mark.parametrize("fields", ({}, {"data": None}))
def test_p214_an_event_needs_data(server: InProcess, fields: dict[str, None]) -> None:
    answer = events(server, channel="a", name="e", **fields)
    assert (answer.status, answer.text) == (400, "Missing parameter: data\n")


@pytest.mark.parametrize("largest", ("x" * 10_240, "é" * 5_120, "😀" * 2_560, {"k": "x" * 10_232}))
def test_p214_size_is_that_of_the_text_in_utf_8(server: InProcess, largest: Any) -> None:
    client = server.joined("a")
    assert server.publish("a", data=largest).status == 200
    larger = {"k": largest["k"] + "x"} if isinstance(largest, dict) else largest + "x"
    answer = server.publish("a", data=larger)
    assert answer.status == 413
    assert answer.text == (
        "The data content of this event exceeds the allowed maximum (10240 bytes) (limits.event_bytes = 10240)\n"
    )
    assert len(client.events()) == 1


def test_p214_a_body_over_its_limit_is_not_read_to_its_end(server: InProcess) -> None:
    limit = server.settings.limits.largest_body()
    link = server.link()
    head = f"POST /apps/3/events HTTP/1.1\r\nHost: server.test\r\nContent-Length: {limit + 1}\r\n\r\n"
    server.feed(link, head.encode())
    answer = Answer(link.take())
    assert (answer.status, answer.text) == (413, f"Request body too large (limits.body_bytes = {limit})\n")


# ---- the body -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", (b"[]", b"", b"x", b"7", b'"x"', b"null", b'{"name":', b"[" * 50_000, b"\xff{}"))
def test_p216_a_body_that_is_no_json_object_is_refused(server: InProcess, body: bytes) -> None:
    answer = server.call("POST", "/events", body)
    assert (answer.status, answer.text) == (400, "Invalid JSON\n")


def test_p216_deep_data_is_refused_and_never_an_error_of_ours(server: InProcess) -> None:
    raw = b'{"name":"e","channel":"a","data":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    assert server.call("POST", "/events", raw).status == 400


def test_p216_unknown_fields_are_ignored(server: InProcess) -> None:
    assert server.publish("a", zebra={"any": ["thing"]}).status == 200


def test_p220_the_content_type_does_not_matter(server: InProcess) -> None:
    client = server.joined("a")
    body = b'{"name":"e","channel":"a","data":"1"}'
    for headers in ({}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "nonsense"}):
        target = signed(APP, "POST", "/apps/3/events", body, "", NOW)
        assert server.http("POST", target, body, headers).status == 200
    assert len(client.events()) == 3


# ---- the answer -----------------------------------------------------------------------------------------------


def test_p219_the_answer_is_an_empty_json_object(server: InProcess) -> None:
    answer = server.publish("a")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", b"{}")


def test_p217_info_is_given_for_each_channel_as_far_as_it_applies(server: InProcess) -> None:
    for user_id in ("1", "2", "2"):
        server.joined().subscribe("presence-a", {"user_id": user_id})
    server.joined("b")
    answer = server.publish(["presence-a", "b", "presence-none", "none"], info="user_count,subscription_count")
    assert answer.status == 200
    assert answer.json == {
        "channels": {
            "presence-a": {"user_count": 2, "subscription_count": 3},
            "b": {"subscription_count": 1},
            "presence-none": {"user_count": 0, "subscription_count": 0},
            "none": {"subscription_count": 0},
        }
    }


def test_p217_an_attribute_that_applies_to_no_channel_leaves_empty_objects(server: InProcess) -> None:
    assert server.publish(["a", "b"], info="user_count").json == {"channels": {"a": {}, "b": {}}}


@pytest.mark.parametrize("nothing", ("", None))
def test_p217_no_info_is_an_empty_answer(server: InProcess, nothing: str | None) -> None:
    assert server.publish("a", info=nothing).body == b"{}"


@pytest.mark.parametrize("info", ("foo", "user_count,foo", "cache", "User_Count"))
def test_p218_an_unknown_attribute_publishes_nothing(server: InProcess, info: str) -> None:
    client = server.joined("a")
    answer = server.publish("a", info=info)
    assert (answer.status, answer.text) == (400, f"Unknown info attribute: {info.rpartition(',')[2]}\n")
    assert client.events() == []


def test_p218_info_is_text(server: InProcess) -> None:
    answer = server.publish("a", info=["user_count"])
    assert (answer.status, answer.text) == (400, "Invalid parameter: info\n")


# ---- the driver is down ---------------------------------------------------------------------------------------


def test_p223_a_driver_that_is_down_is_503_and_delivers_nothing(serve: Serve) -> None:
    server = serve(through=ScriptedDriver(publish=raising(DriverError("no route"))))
    client = server.joined("a")
    answer = server.publish("a")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert client.events() == []
