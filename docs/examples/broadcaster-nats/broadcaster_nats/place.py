"""One channel in this process: the last document that is known of it, and what is to be changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.errors import DriverError, MembersFull
from broadcaster.facts import Fact
from broadcaster.messages import Delivery
from broadcaster_nats.document import Connection, Document, changes, claimed, decode, facts
from broadcaster_nats.store import Key, Store
from broadcaster_nats.wire import Message

Edit = Callable[[Document], Document]


@dataclass(frozen=True, slots=True)
class Pending:
    """An edit that is not in the document yet; ``swept`` if it is for a process that died."""

    edit: Edit
    done: Deferred[None]
    swept: bool = False


@dataclass(eq=False)
class Place:
    """``here`` is how many in this process hear it, ``mine`` who has joined. Nothing is written unless ``open()``."""

    process: str
    key: Key
    store: Store
    deliver: Callable[[Key, Delivery], None]
    tell: Callable[[Key, Fact], None]
    open: Callable[[], bool]
    here: int = 0
    mine: dict[str, Connection] = field(default_factory=dict)
    document: Document = field(default_factory=Document)
    number: int | None = None
    _pending: list[Pending] = field(default_factory=list)
    _busy: bool = False

    _log = Logger()

    @property
    def idle(self) -> bool:
        """Whether it can be forgotten."""
        return not (self.here or self._pending or self._busy)

    def edit(self, edit: Edit, swept: bool = False) -> Deferred[None]:
        """Fires once it is in the document, and what it changes has been delivered. Fails with what ``edit`` raises."""
        done: Deferred[None] = Deferred()
        self._pending.append(Pending(edit, done, swept))
        self.go_on()
        return done

    def claim(self) -> None:
        """Have this process's part in the document as it is here."""
        self.edit(self._claimed).addErrback(lambda _: None)

    def go_on(self) -> None:
        """Write what is pending, unless that is under way or cannot be now."""
        if self._pending and not self._busy and self.open():
            self._busy = True
            Deferred.fromCoroutine(self._write()).addErrback(self._stuck)

    async def look(self) -> None:
        """Know the present document."""
        number, document = await self.store.read(self.key)
        self._become(number, document)

    def heard(self, message: Message) -> None:
        """The document was replaced."""
        self._become(int(message.headers["Nats-Sequence"]), decode(message.body))
        if not self._busy and not self._pending and self._claimed(self.document) != self.document:
            # Others took this process for dead.
            self.claim()

    def _claimed(self, document: Document) -> Document:
        return claimed(document, self.process, self.here, self.mine.values())

    async def _write(self) -> None:
        try:
            if self.number is None:
                await self.look()
            while self._pending:
                await self._write_once(list(self._pending))
        finally:
            self._busy = False

    async def _write_once(self, pending: list[Pending]) -> None:
        before, number = self.document, self.number or 0
        after, refused = before, {}
        for each in pending:
            try:
                after = each.edit(after)
            except MembersFull as full:
                refused[each] = full
        if after == before:
            # It may be so only because this process has not heard of what has changed.
            await self.look()
            if self.number != number:
                return
        else:
            written = await self.store.write(self.key, after, number)
            if written is None:
                self.number = None
                await self.look()
                return
            self._become(written, after)
            for fact in facts(self.key[1], before, after, any(each.swept for each in pending)):
                self.tell(self.key, fact)
            if not after.counts and not after.connections:
                await self.store.forget(self.key, written)
        del self._pending[: len(pending)]
        for each in pending:
            if each in refused:
                each.done.errback(refused[each])
            else:
                each.done.callback(None)

    def _become(self, number: int, document: Document) -> None:
        if self.number is not None and number <= self.number:
            return
        before, self.document, self.number = self.document, document, number
        if self.here:
            for change in changes(self.key[1], before, document):
                self.deliver(self.key, change)

    def _stuck(self, failure: Failure) -> None:
        # It goes on when NATS is back, or at the next tick.
        self.number = None
        if not failure.check(DriverError):
            self._log.failure("a channel's document could not be written", failure)
