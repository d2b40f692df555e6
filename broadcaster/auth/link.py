"""One connection to the application: a question goes out, its answer comes back, then perhaps the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from broadcaster.auth.answer import Answer, AnswerReader, Unreadable
from broadcaster.errors import BroadcasterError


class NoAnswer(BroadcasterError):
    """The application did not answer; ``str()`` says how, in words that follow its address."""


class HungUp(NoAnswer):
    """It closed the connection before the first byte of its answer: one that was kept may have been closed already."""


class Link(Protocol):
    """Asks one question at a time, and calls ``gone`` with itself when it is down."""

    transport: Any

    def __init__(self, gone: Callable[[Link], None]) -> None:
        self.open = False
        """Whether another question may be asked, once the last was answered."""
        self._gone = gone
        self._reader: AnswerReader | None = None
        self._asking: Deferred[Answer] | None = None

    def connectionMade(self) -> None:
        """The way is open; under TLS it is written to before it is safe, and nothing leaves until it is."""
        self.open = True
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    def ask(self, question: bytes) -> Deferred[Answer]:
        """Fires with the answer, fails with `NoAnswer`; cancelling it drops the connection."""
        assert self.open and self._asking is None
        asking: Deferred[Answer] = Deferred(lambda _: self.abort())
        self._asking, self._reader = asking, AnswerReader()
        self.transport.write(question)
        return asking

    def abort(self) -> None:
        """Drop the connection, never politely: under TLS that would wait for the peer. Nobody is told."""
        if self.open:
            self.open = False
            self._asking = None
            self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """What the application says; without a question, it has nothing to say that could be believed."""
        reader = self._reader
        if reader is None or self._asking is None:
            self.abort()
            return
        try:
            answer = reader.feed(data)
        except Unreadable as error:
            self._fail(NoAnswer(f"gave no answer in HTTP: {error}"))
            return
        if answer is not None:
            asking, self._asking, self._reader = self._asking, None, None
            if not reader.reusable:
                self.abort()
            asking.callback(answer)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is down, by whomever."""
        self.open = False
        self._gone(self)
        asking, reader, self._asking, self._reader = self._asking, self._reader, None, None
        if asking is None or reader is None:
            return
        answer = reader.end(clean=reason.check(ConnectionDone) is not None)
        if answer is not None:
            asking.callback(answer)
        else:
            asking.errback(lost(reason.value, reader.heard))

    def _fail(self, error: NoAnswer) -> None:
        asking = self._asking
        self.abort()
        if asking is not None:
            asking.errback(error)


def lost(error: BaseException | None, heard: bool) -> NoAnswer:
    """What the end of a connection means for the question that was open on it."""
    if isinstance(error, TLSError | VerificationError):
        return NoAnswer(f"cannot be asked over TLS: {_tls_words(error)}")
    if heard:
        return NoAnswer("broke off in the middle of its answer")
    return HungUp("hung up without an answer")


def _tls_words(error: TLSError | VerificationError) -> str:
    if isinstance(error, VerificationError):
        words = "its certificate is for another name"
    else:
        # OpenSSL's queue of errors, each (library, function, reason).
        queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
        words = ", ".join(dict.fromkeys(str(entry[-1]) for entry in queue)) or repr(error)
    return f"{words} (apps.auth.verify = false believes any)" if "certificate" in words else words
