"""The driver against a real nats-server, held to what every driver is held to; and its codec by itself."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from secrets import token_hex
from typing import Any

import pytest
from broadcaster_nats import NatsDriver, make
from broadcaster_nats.wire import Decoder, Message, ProtocolFault, Word, name_of, pub, token
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from broadcaster.errors import ConfigError, DriverError
from broadcaster.messages import Event, Member
from broadcaster.testing import MembershipContract


class Nats:
    """A nats-server of the test's own."""

    def __init__(self, *options: str) -> None:
        binary = shutil.which("nats-server")
        assert binary is not None, "nats-server is not installed"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = tempfile.TemporaryDirectory(prefix="broadcaster-nats-")
        self._command = [binary, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self._folder.name, *options]
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "nats-server does not start"
                time.sleep(0.01)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.kill()
        self._folder.cleanup()


class TestNats(MembershipContract, TestCase):
    """All processes of a test are in one namespace of the one server."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.nats = Nats()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.nats.close()

    def setUp(self) -> None:
        self.options = {"url": self.nats.url, "namespace": token_hex(4), "storage": "memory", "lease_seconds": 1.0}

    def make_driver(self) -> NatsDriver:
        return make(reactor, self.options)

    def die(self, driver: NatsDriver) -> Any:
        driver.presence.die()
        return driver.link.stop()

    async def test_it_goes_on_when_nats_is_back(self) -> None:
        nats = Nats()
        self.addCleanup(nats.close)
        self.options = {"url": nats.url, "lease_seconds": 1.0}
        process = await self._process()
        witness = await process.join("presence-a", "1.1", Member("ann"))
        nats.kill()
        try:
            while True:
                await process.driver.publish("app", Event("e", ("presence-a",), "lost"))
        except DriverError as error:
            assert "NATS is away" in str(error)
        assert process.driver.faults()[0].startswith(f"NATS at 127.0.0.1:{nats.port}: ")
        nats.start()
        await process.join("presence-a", "1.2", Member("ben"))
        assert process.driver.faults() == []
        assert witness.believes() == {"ann", "ben"}
        assert await self._heard(process.driver, process.sink, "presence-a", "app") == []


@pytest.mark.parametrize("size", (1, 2, 7, 1000))
def test_messages_are_read_however_they_are_cut(size: int) -> None:
    head = b"NATS/1.0 503 No Responders\r\nNats-Sequence: 7\r\n\r\n"
    sent = (
        b'INFO {"a":1}\r\nMSG a.b 3 5\r\nx\r\ny \r\nMSG a 4 reply.to 0\r\n\r\n+OK\r\n'
        b"HMSG h 5 %d %d\r\n%sbody\r\nPING\r\n-ERR 'no'\r\n" % (len(head), len(head) + 4, head)
    )
    decoder = Decoder()
    read = [each for at in range(0, len(sent), size) for each in decoder.feed(sent[at : at + size])]
    assert read == [
        Word("INFO", '{"a":1}'),
        Message(3, "a.b", b"x\r\ny "),
        Message(4, "a", b""),
        Word("+OK"),
        Message(5, "h", b"body", 503, {"Nats-Sequence": "7"}),
        Word("PING"),
        Word("-ERR", "'no'"),
    ]


@pytest.mark.parametrize("junk", (b"MSG a b c\r\n", b"MSG\r\n", b"x" * 70_000, b"\xff\r\n"))
def test_what_is_no_protocol_is_refused(junk: bytes) -> None:
    with pytest.raises(ProtocolFault):
        list(Decoder().feed(junk))


@pytest.mark.parametrize("name", ("a", "a.b", "#server-to-user-1", "a b", "*", ">", "ü~", "%2E"))
def test_a_name_is_one_token_and_comes_back(name: str) -> None:
    assert not set(token(name)) & set(". *>")
    assert name_of(token(name)) == name


def test_a_message_may_have_headers() -> None:
    assert pub("a", b"1", "r") == b"PUB a r 1\r\n1\r\n"
    assert pub("a", b"1", Nats_X=7) == b"HPUB a 23 24\r\nNATS/1.0\r\nNats-X: 7\r\n\r\n1\r\n"


@pytest.mark.parametrize(
    ("options", "line"),
    (
        ({"url": "redis://localhost"}, "driver.nats.url: is no address of a NATS server"),
        ({"url": "nats://u:secret@h", "user": "v"}, "driver.nats.user: is given besides the one in driver.nats.url"),
        ({"storage": "tape"}, "driver.nats.storage: expected file or memory, got 'tape'"),
        ({"lease_seconds": 0}, "driver.nats.lease_seconds: expected 1 to 3600"),
        ({"namespace": "a.b"}, "driver.nats.namespace: may hold letters"),
        ({"ulr": "x"}, "driver.nats.ulr: unknown key; the nearest that is known is driver.nats.url"),
    ),
)
def test_wrong_options_are_named(options: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(reactor, options)
    assert line in str(caught.value)
    assert "secret" not in str(caught.value)
