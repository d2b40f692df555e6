"""Members coming and going, each user once however many tabs it has open (P111–P115, P128, P129)."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from broadcaster.channel import STRIDE
from tests.conformance.conftest import Serve
from tests.conformance.expected import Frame, added, compact, error, members, removed, succeeded
from tests.inprocess import Client, InProcess

CHANNEL = "presence-foobar"


def member(server: InProcess, user_id: str, channel: str = CHANNEL) -> Client:
    client = server.joined()
    client.subscribe(channel, compact({"user_id": user_id, "user_info": {"name": user_id}}))
    return client


def named(*ids: str) -> dict[str, Any]:
    return {user_id: {"name": user_id} for user_id in ids}


def leave(client: Client, how: str) -> None:
    if how == "unsubscribe":
        client.say("pusher:unsubscribe", {"channel": CHANNEL})
    elif how == "close":
        client.leave()
    elif how == "vanish":
        client.drop()
    else:
        for _ in range(101):
            client.text("x")


WAYS = pytest.mark.parametrize("how", ["close", "unsubscribe", "vanish", "kick"])


def test_p111_who_comes_is_told_to_the_others_and_finds_them(server: InProcess) -> None:
    a = member(server, "10")
    assert a.events() == [succeeded(CHANNEL, named("10"))]
    b = member(server, "11")
    assert b.events() == [succeeded(CHANNEL, named("10", "11"))]
    assert a.events() == [added(CHANNEL, "11", {"name": "11"})]
    server.advance(1)
    assert a.events() == b.events() == []


def test_p112_a_second_tab_is_not_told(server: InProcess) -> None:
    a, b = member(server, "10"), member(server, "11")
    a.events(), b.events()
    b2 = member(server, "11")
    assert b2.events() == [succeeded(CHANNEL, named("10", "11"))]
    assert a.events() == b.events() == []


@WAYS
def test_p113_p114_a_member_is_gone_with_its_last_tab_and_told_once(server: InProcess, how: str) -> None:
    a, b, b2 = member(server, "10"), member(server, "11"), member(server, "11")
    for client in (a, b, b2):
        client.events()
    leave(b, how)
    assert a.events() == b2.events() == []
    leave(b2, how)
    assert a.events() == [removed(CHANNEL, "11")]
    assert removed(CHANNEL, "11") not in b.events() + b2.events()
    server.advance(10)
    assert a.events() == []


def test_p114_a_tab_that_unsubscribed_may_still_be_open(server: InProcess) -> None:
    a, b = member(server, "10"), member(server, "11")
    a.events(), b.events()
    leave(b, "unsubscribe")
    b.drop()
    assert a.events() == [removed(CHANNEL, "11")]


def test_p115_other_channels_make_no_difference(server: InProcess) -> None:
    a, b, b2 = member(server, "10"), member(server, "11"), member(server, "11")
    b.subscribe("presence-other", {"user_id": "11"})
    b.subscribe("private-x")
    for client in (a, b, b2):
        client.events()
    b2.drop()
    b.say("pusher:unsubscribe", {"channel": "presence-other"})
    b.say("pusher:unsubscribe", {"channel": "private-x"})
    assert a.events() == b.events() == []
    assert server.call("GET", f"/channels/{CHANNEL}/users").json == {"users": [{"id": "10"}, {"id": "11"}]}


def test_one_connection_may_be_somebody_else_elsewhere(server: InProcess) -> None:
    a = member(server, "10")
    a.subscribe("presence-other", {"user_id": "99"})
    assert a.events() == [succeeded(CHANNEL, named("10")), succeeded("presence-other", {"99": {}})]
    b = member(server, "10", "presence-other")
    assert members(b.events()[0]) == {"99": {}, "10": {"name": "10"}}
    assert a.events() == [added("presence-other", "10", {"name": "10"})]


@WAYS
def test_who_comes_back_is_told_again(server: InProcess, how: str) -> None:
    a, b = member(server, "10"), member(server, "11")
    a.events(), b.events()
    leave(b, how)
    back = member(server, "11")
    assert a.events() == [removed(CHANNEL, "11"), added(CHANNEL, "11", {"name": "11"})]
    assert back.events() == [succeeded(CHANNEL, named("10", "11"))]


def test_tabs_that_change_places_are_not_told(server: InProcess) -> None:
    """A page that reloads opens its new connection before the old one is gone."""
    a, tab = member(server, "10"), member(server, "11")
    a.events()
    for _ in range(10):
        following = member(server, "11")
        tab.drop()
        tab = following
    assert a.events() == []


def test_a_refused_member_leaves_nothing_behind(server: InProcess) -> None:
    a, b = member(server, "10"), server.joined()
    a.events()
    b.say("pusher:subscribe", {"channel": CHANNEL, "auth": "x:y", "channel_data": '{"user_id":"11"}'})
    b.drop()
    assert a.events() == []


def test_a_member_that_subscribes_twice_leaves_once(server: InProcess) -> None:
    a, b = member(server, "10"), member(server, "11")
    b.subscribe(CHANNEL, {"user_id": "11"})
    assert b.events()[-1] == error(f"Existing subscription to channel {CHANNEL}")
    a.events()
    leave(b, "unsubscribe")
    assert a.events() == [removed(CHANNEL, "11")]


def test_p128_a_client_that_fell_silent_is_gone_when_it_is_given_up(server: InProcess) -> None:
    """Its TCP connection never says so; the limit is that of 4201: 40 seconds of silence, 30 more after a ping."""
    a, b = member(server, "10"), member(server, "11")
    b.events()
    told: list[Frame] = []
    for second in range(1, 73):
        server.advance(1)
        b.say("pusher:ping", {})
        told += [frame for frame in b.events() if frame["event"] != "pusher:pong"]
        assert not told or second >= 70
    assert told == [removed(CHANNEL, "10")]
    assert a.link in server.links
    a.events()
    assert a.close_code == 4201


# ---- P129 -----------------------------------------------------------------------------------------------------


class Page:
    """A browser's tab with pusher-js: keeps the members as its ``Members`` class does, and is stricter about it."""

    def __init__(self, server: InProcess, user_id: str) -> None:
        self.client = server.joined()
        self.user_id = user_id
        self.state = "out"
        self.members: dict[str, Any] = {}

    def join(self) -> None:
        self.state = "joining"
        self.client.subscribe(CHANNEL, {"user_id": self.user_id, "user_info": {"tab": self.client.name()}})

    def leave(self) -> None:
        """Nothing answers an unsubscribe, but what comes after the pong came after it."""
        self.state = "leaving"
        self.client.say("pusher:unsubscribe", {"channel": CHANNEL})
        self.client.say("pusher:ping", {})

    def read(self) -> None:
        for frame in self.client.events():
            data = json.loads(frame["data"])
            user_id = data.get("user_id")
            if frame["event"] == "pusher:pong":
                self.state = "out"
            elif frame["event"] == "pusher_internal:subscription_succeeded":
                assert self.state == "joining"
                self.state, self.members = "in", members(frame)
                assert self.user_id in self.members
            elif frame["event"] == "pusher_internal:member_added":
                assert self.state in ("in", "leaving")
                assert user_id not in self.members, "none is told twice"
                assert user_id != self.user_id, "nobody is told of itself"
                self.members[user_id] = data["user_info"]
            else:
                assert frame["event"] == "pusher_internal:member_removed"
                assert self.state in ("in", "leaving")
                del self.members[user_id]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("slice_seconds", [0, 1], ids=["interrupted", "whole"])
def test_p129_after_any_coming_and_going_all_lists_agree(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, seed: int, slice_seconds: float
) -> None:
    """A hundred tabs of forty users. ``interrupted``: they come and go while others are being told, step by step."""
    monkeypatch.setattr("broadcaster.web.outbox.SLICE", slice_seconds)
    server, chance = serve(), random.Random(seed)
    turn = server.turn
    pages = [Page(server, str(chance.randrange(40))) for _ in range(100)]
    for _ in range(1_500):
        # Most of the time the reactor has done a little of what is due; sometimes nothing, sometimes everything.
        monkeypatch.setattr(server, "turn", chance.choice([lambda: None, server.step] * 4 + [turn]))
        page = chance.choice(pages)
        if page.state == "out":
            page.join()
        elif page.state == "in" and chance.random() < 0.15:
            page.leave()
        elif chance.random() < 0.06:
            page.client.drop() if chance.random() < 0.5 else page.client.leave()
            monkeypatch.setattr(server, "turn", turn)
            pages[pages.index(page)] = Page(server, page.user_id)
        page.read()
    monkeypatch.setattr(server, "turn", turn)
    server.advance(1)
    for page in pages:
        page.read()
    there = [page for page in pages if page.state == "in"]
    assert len(there) > STRIDE, "or one step serves them all"
    listed = {user["id"] for user in server.call("GET", f"/channels/{CHANNEL}/users").json["users"]}
    assert listed == {page.user_id for page in there}
    for page in there:
        assert page.members == there[0].members
        assert set(page.members) == listed
