"""Users of one process: online while a connection is signed in, and told about at the edges only."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from zope.interface import implementer
from zope.interface.verify import verifyObject

from broadcaster.interfaces import ISubscriber
from broadcaster.messages import Envelope, WatchlistEvents
from broadcaster.users import Users


@implementer(ISubscriber)
class Recorder:
    """A connection that remembers what it was sent."""

    def __init__(self, socket_id: str) -> None:
        self.socket_id = socket_id
        self.told: list[WatchlistEvents] = []

    def send(self, envelope: Envelope) -> None:
        for message in envelope.messages:
            assert isinstance(message, WatchlistEvents)
            self.told.append(message)

    def close(self, code: int, reason: str) -> None:
        raise AssertionError("nothing of this closes")


def test_the_recorder_is_a_subscriber() -> None:
    assert verifyObject(ISubscriber, Recorder("1.1"))


def test_the_first_comes_and_the_last_goes() -> None:
    users, watcher = Users(), Recorder("9.9")
    assert users.watch("app", ["u"], watcher) == WatchlistEvents(offline=("u",))
    first, second = Recorder("1.1"), Recorder("1.2")
    for connection in (first, second):
        users.sign_in("app", "u", connection)
    assert users.connections("app", "u") == [first, second]
    for connection in (first, second):
        users.sign_out("app", "u", connection)
    assert watcher.told == [WatchlistEvents(online=("u",)), WatchlistEvents(offline=("u",))]
    assert users.connections("app", "u") == []


def test_how_things_stand_is_told_in_the_order_of_the_watchlist() -> None:
    users = Users()
    for user_id in ("c", "a"):
        users.sign_in("app", user_id, Recorder(f"1.{user_id}"))
    standing = users.watch("app", ["a", "b", "c", "d"], Recorder("9.9"))
    assert standing == WatchlistEvents(online=("a", "c"), offline=("b", "d"))


def test_a_user_of_another_app_is_somebody_else() -> None:
    users, watcher = Users(), Recorder("9.9")
    users.watch("app", ["u"], watcher)
    users.sign_in("other", "u", Recorder("1.1"))
    assert watcher.told == []
    assert users.connections("app", "u") == []


def test_who_is_no_longer_watching_is_told_nothing() -> None:
    users, watcher = Users(), Recorder("9.9")
    users.watch("app", ["u", "v"], watcher)
    users.unwatch("app", ["u"], watcher)
    users.unwatch("app", ["u", "unknown"], watcher)
    users.sign_in("app", "u", Recorder("1.1"))
    users.sign_in("app", "v", Recorder("1.2"))
    assert watcher.told == [WatchlistEvents(online=("v",))]


def test_signing_out_who_is_not_in_tells_nobody() -> None:
    users, watcher, stranger = Users(), Recorder("9.9"), Recorder("1.2")
    users.watch("app", ["u"], watcher)
    users.sign_out("app", "u", stranger)
    users.sign_in("app", "u", Recorder("1.1"))
    users.sign_out("app", "u", stranger)
    assert watcher.told == [WatchlistEvents(online=("u",))]
    assert len(users.connections("app", "u")) == 1


def test_connections_may_go_while_they_are_gone_through() -> None:
    users = Users()
    for number in range(3):
        users.sign_in("app", "u", Recorder(f"1.{number}"))
    for connection in users.connections("app", "u"):
        users.sign_out("app", "u", connection)
    assert users.connections("app", "u") == []


USER_IDS = st.sampled_from(["a", "b", "c"])
SOCKETS = st.integers(0, 5)


class Course(RuleBasedStateMachine):
    """Users come, go and watch; each watcher that believes what it is told knows who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.users = Users()
        self.sockets = [Recorder(f"1.{number}") for number in range(6)]
        self.signed_in: dict[int, str] = {}
        self.watching: dict[int, dict[str, bool]] = {}

    @rule(socket=SOCKETS, user_id=USER_IDS)
    def sign_in(self, socket: int, user_id: str) -> None:
        if socket not in self.signed_in:
            self.signed_in[socket] = user_id
            self.users.sign_in("app", user_id, self.sockets[socket])

    @rule(socket=SOCKETS)
    def sign_out(self, socket: int) -> None:
        user_id = self.signed_in.pop(socket, None)
        if user_id is not None:
            self.users.sign_out("app", user_id, self.sockets[socket])

    @rule(socket=SOCKETS, watchlist=st.lists(USER_IDS, unique=True))
    def watch(self, socket: int, watchlist: list[str]) -> None:
        if socket not in self.watching:
            standing = self.users.watch("app", watchlist, self.sockets[socket])
            assert sorted(standing.online + standing.offline) == sorted(watchlist)
            self.watching[socket] = {user_id: user_id in standing.online for user_id in watchlist}

    @rule(socket=SOCKETS)
    def unwatch(self, socket: int) -> None:
        self.users.unwatch("app", self.watching.pop(socket, {}), self.sockets[socket])

    @invariant()
    def everybody_knows(self) -> None:
        online = Counter(self.signed_in.values())
        for number, socket in enumerate(self.sockets):
            known = self.watching.get(number, {})
            for message in socket.told:
                for user_id in message.online + message.offline:
                    assert known[user_id] != (user_id in message.online), "a change, of somebody watched"
                    known[user_id] = user_id in message.online
            socket.told.clear()
            assert known == {user_id: user_id in online for user_id in known}

    def teardown(self) -> None:
        for number in range(6):
            self.sign_out(number)
            self.unwatch(number)
        assert not self.users._online and not self.users._watchers, "nothing is left behind"


TestCourse = Course.TestCase
TestCourse.settings = settings(max_examples=50, stateful_step_count=30)
