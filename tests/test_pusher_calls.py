"""Calls of Pusher's HTTP API: the bodies, and that the signature is Pusher's."""

from __future__ import annotations

import json

from broadcaster.drivers.pusher.calls import Call, call_for, termination
from broadcaster.messages import Event


def test_a_call_is_signed_as_pushers_documentation_shows() -> None:
    body = b'{"name":"foo","channels":["project-3"],"data":"{\\"some\\":\\"data\\"}"}'
    target = Call("/apps/3/events", body).target("278d425bdf160c739803", "7ad3773142a6692b25b8", 1353088179)
    assert target == (
        "/apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0"
        "&body_md5=ec365a775a4cd0599faeb73354201b6f"
        "&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
    )


def test_one_event_goes_with_all_its_channels() -> None:
    call = call_for("3", [Event("e", ("a", "b"), "ü", exclude="1.2", user_id="ann")])
    assert call.path == "/apps/3/events"
    assert json.loads(call.body) == {"name": "e", "channels": ["a", "b"], "data": "ü", "socket_id": "1.2"}


def test_several_go_as_a_batch() -> None:
    call = call_for("3", [Event("e", ("a",), "1"), Event("f", ("b",), "2", exclude="1.2")])
    assert call.path == "/apps/3/batch_events"
    assert json.loads(call.body) == {
        "batch": [
            {"name": "e", "channel": "a", "data": "1"},
            {"name": "f", "channel": "b", "data": "2", "socket_id": "1.2"},
        ]
    }


def test_a_socket_id_that_pusher_would_not_take_is_left_out() -> None:
    call = call_for("3", [Event("e", ("a",), "1", exclude="Ab3dEf-hij_lmnopqrst")])
    assert json.loads(call.body) == {"name": "e", "channels": ["a"], "data": "1"}


def test_the_end_of_a_users_connections_names_the_user_whatever_it_is_called() -> None:
    call = termination("3", "ann/ü ?")
    assert (call.path, call.body) == ("/apps/3/users/ann%2F%C3%BC%20%3F/terminate_connections", b"{}")
