"""The one connection to NATS: made again whenever it is lost, with all subscriptions."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from itertools import count
from secrets import token_hex
from typing import Any

from twisted.application.internet import ClientService, backoffPolicy
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.errors import DriverError
from broadcaster_nats.options import Options
from broadcaster_nats.wire import Decoder, Message, ProtocolFault, Word, pub

Hearer = Callable[[Message], None]

BEAT = 2.0
"""Seconds between two signs of life; a server that leaves two of them without an answer is let go of."""


class Link:
    """``up`` is called whenever it is connected and subscribed, ``fault`` is why it is not."""

    _log = Logger()

    def __init__(self, reactor: Any, options: Options, up: Callable[[], None]) -> None:
        self.fault: str | None = "not connected yet"
        self.largest = 1_048_576
        self._options = options
        self._up = up
        self._numbers = count(1)
        self._subscriptions: dict[int, tuple[str, Hearer]] = {}
        self._asked: dict[str, Deferred[Message]] = {}
        self._connection: _Connection | None = None
        self._inbox = f"_INBOX.{token_hex(8)}"
        self._stopped = True
        factory = Factory.forProtocol(lambda: _Connection(self))
        factory.noisy = False
        endpoint = HostnameEndpoint(reactor, options.host, options.port, timeout=5)
        self._service = ClientService(endpoint, factory, backoffPolicy(0.1, 5.0), reactor, self._prepared)
        self._beating = LoopingCall(self._beat)
        self._beating.clock = reactor
        self.subscribe(f"{self._inbox}.*", self._answered)

    def start(self) -> None:
        """Connect, until `stop`."""
        self._stopped = False
        self._service.startService()
        self._beating.start(BEAT, now=False)

    def stop(self) -> Deferred[None]:
        """Let go. Whoever waits is told."""
        if self._stopped:
            return succeed(None)
        self._stopped = True
        self._beating.stop()
        self.lost("the driver is stopped")
        stopping: Deferred[None] = self._service.stopService()
        return stopping.addCallback(lambda _: None)

    # ---- asking -----------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> Deferred[None]:
        """Fires when the server has it; fails with `DriverError`."""
        if self._connection is None:
            return fail(DriverError(f"NATS is away: {self.fault}"))
        return self._connection.send(data)

    def publish(self, subject: str, body: bytes) -> Deferred[None]:
        """Likewise for a message."""
        if len(body) > self.largest:
            return fail(
                DriverError(f"{len(body)} bytes are more than the {self.largest} that NATS takes (max_payload)")
            )
        return self.send(pub(subject, body))

    def request(self, subject: str, body: bytes = b"", **headers: object) -> Deferred[Message]:
        """The answer; fails with `DriverError`. Whoever cancels it is not called back."""
        reply = f"{self._inbox}.{next(self._numbers)}"
        answer: Deferred[Message] = Deferred(lambda _: self._forget(reply))
        if self._connection is None or len(body) > self.largest:
            return self.publish(subject, body).addCallback(lambda _: answer)
        self._asked[reply] = answer
        self._connection.send(pub(subject, body, reply, **headers)).addErrback(lambda _: None)
        return answer

    def subscribe(self, subject: str, hearer: Hearer) -> int:
        """Call ``hearer`` with what is published there, from before whatever is sent next, and again after a loss."""
        sid = next(self._numbers)
        self._subscriptions[sid] = (subject, hearer)
        self.send(b"SUB %s %d\r\n" % (subject.encode(), sid)).addErrback(lambda _: None)
        return sid

    def unsubscribe(self, sid: int) -> None:
        """Call it no more."""
        del self._subscriptions[sid]
        self.send(b"UNSUB %d\r\n" % sid).addErrback(lambda _: None)

    # ---- what the connection tells ----------------------------------------------------------------------------

    def greeting(self, connection: _Connection, info: dict[str, Any]) -> bytes:
        """What answers INFO: who this is, and all subscriptions."""
        self.largest = int(info.get("max_payload", self.largest))
        options = {"verbose": False, "pedantic": False, "lang": "twisted", "version": "1", "protocol": 1, "echo": True}
        options |= {"headers": True, "no_responders": True, "name": "broadcaster"}
        if self._options.user:
            options |= {"user": self._options.user, "pass": self._options.password}
        # Whatever is sent from here on is behind this.
        self._connection = connection
        subscriptions = (b"SUB %s %d\r\n" % (at.encode(), sid) for sid, (at, _) in self._subscriptions.items())
        return b"CONNECT %s\r\n%s" % (json.dumps(options).encode(), b"".join(subscriptions))

    def connected(self) -> None:
        """The greeting was answered: it is subscribed."""
        if not self._stopped:
            self.fault = None
            self._log.info("connected to NATS at {host}:{port}", host=self._options.host, port=self._options.port)
            self._up()

    def lost(self, reason: str) -> None:
        """It is gone, and with it whatever was asked."""
        if self._connection is not None and not self._stopped:
            self._log.warn("NATS is away: {reason}", reason=reason)
        connection, self._connection, self.fault = self._connection, None, reason
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.errback(DriverError(f"NATS is away: {reason}"))
        if connection is not None:
            connection.give_up(reason)

    def heard(self, message: Message) -> None:
        """A message has come."""
        found = self._subscriptions.get(message.sid)
        if found is None:
            return
        try:
            found[1](message)
        except Exception as error:
            # Somebody else's bytes: they are left out, and what follows them is not.
            self._log.error("junk on {subject} is left out: {error!r}", subject=message.subject, error=error)

    def _answered(self, message: Message) -> None:
        answer = self._asked.pop(message.subject, None)
        if answer is not None:
            if message.status == 503:
                answer.errback(DriverError("JetStream is off: start nats-server with -js"))
            else:
                answer.callback(message)

    def _forget(self, reply: str) -> None:
        self._asked.pop(reply, None)

    def _beat(self) -> None:
        if self._connection is not None:
            self._connection.beat()

    def _prepared(self, protocol: Any) -> Any:
        # A connection that is refused in the handshake counts as a failed attempt, so that the policy slows down.
        return protocol.ready


class _Connection(Protocol):
    """From INFO on; ``ready`` fires when it is subscribed."""

    transport: Any

    def __init__(self, link: Link) -> None:
        self.ready: Deferred[None] = Deferred()
        self._link = link
        self._decoder = Decoder()
        self._sent: deque[Deferred[None]] = deque()
        self._error = ""
        self._silent = 0

    def send(self, data: bytes) -> Deferred[None]:
        """Fires when the PONG has come that answers the PING behind it."""
        done: Deferred[None] = Deferred()
        self._sent.append(done)
        self.transport.write(data + b"PING\r\n")
        return done

    def beat(self) -> None:
        """Ask for a sign of life."""
        self._silent += 1
        if self._silent > 2:
            self._end("it does not answer")
        else:
            self.send(b"").addErrback(lambda _: None)

    def give_up(self, reason: str) -> None:
        """Whoever waits for its answer is told."""
        sent, self._sent = self._sent, deque()
        for done in sent:
            done.errback(DriverError(f"NATS is away: {reason}"))

    def dataReceived(self, data: bytes) -> None:
        """See `Protocol`."""
        self._silent = 0
        try:
            for each in self._decoder.feed(data):
                if isinstance(each, Message):
                    self._link.heard(each)
                else:
                    self._word(each)
        except (ProtocolFault, json.JSONDecodeError) as fault:
            self._end(str(fault))

    def _word(self, word: Word) -> None:
        if word.name == "PING":
            self.transport.write(b"PONG\r\n")
        elif word.name == "PONG" and self._sent:
            self._sent.popleft().callback(None)
        elif word.name == "INFO" and not self.ready.called and not self._sent:
            self.send(self._link.greeting(self, json.loads(word.rest))).addCallbacks(self._subscribed, lambda _: None)
        elif word.name == "-ERR":
            self._error = word.rest.strip("' ")

    def _subscribed(self, _: None) -> None:
        ready, self.ready = self.ready, succeed(None)
        ready.callback(None)
        self._link.connected()

    def _end(self, reason: str) -> None:
        self._error = reason
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `Protocol`."""
        told = self._error or reason.getErrorMessage()
        self._link.lost(told)
        self.give_up(told)
        if not self.ready.called:
            self.ready.errback(DriverError(told))
