"""The way out to Pusher's HTTP API: what waits is sent, tried again while Pusher is away, and given up by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import uniform
from time import monotonic, time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from broadcaster.drivers.pusher.calls import Call, call_for, termination
from broadcaster.drivers.pusher.options import Options
from broadcaster.drivers.pusher.waiting import Entry, Waiting
from broadcaster.errors import DriverError
from broadcaster.messages import Event, Terminated
from broadcaster.posting import Poster, words_for

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a call is tried again: doubled each time, and spread by half."""

STOP_SECONDS = 3.0
"""How long the last events may take when the server stops; less than the service waits for its driver."""

ABOUT_CONTENT = (400, 413)
"""Answers that find fault with what was sent, and not with who sends it."""

LOCAL_REASONS = ("oversized", "overflow", "stopped")
"""Why an event is dropped here; Pusher's own reasons are its status codes."""


class Refused(Exception):
    """Pusher will not take a call, now or later."""

    def __init__(self, status: int, words: str) -> None:
        self.status = status
        super().__init__(f"{status} {words}".strip())


class Unavailable(Exception):
    """A call may succeed when it is tried again."""


class Forwarding:
    """Takes what is published and sees to it that Pusher gets it, or that it is counted and named.

    ``dropped`` is told of each event that Pusher will never have. Counts only ever grow: ``forwarded`` events,
    ``retries`` of calls, and ``drops`` of events by their reason.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        options: Options,
        dropped: Callable[[Event], None],
        clock: Callable[[], float] = monotonic,
        now: Callable[[], float] = time,
    ) -> None:
        self.forwarded = 0
        self.retries = 0
        self.drops: Counter[str] = Counter()
        self._reactor = reactor
        self._options = options
        self._dropped = dropped
        self._clock = clock
        self._now = now
        self._waiting = Waiting(options.queue_events)
        self._poster = Poster(reactor, options.request_seconds, options.requests)
        self._calls: set[Deferred[None]] = set()
        self._pauses: set[Any] = set()
        self._away_since: float | None = None
        self._told: set[str] = set()
        self._stopped = False
        self._idle: Deferred[None] = Deferred()
        self._patience: Any = None

    def check(self, item: Event | Terminated) -> None:
        """Raises `DriverError` if the publisher of ``item`` is to be refused."""
        if self._options.overflow == "refuse" and self._waiting.full():
            raise DriverError(f"{len(self._waiting):,} events wait for Pusher, which is all that may")
        if self._options.oversized == "refuse" and (excess := self._excess(item)):
            raise DriverError(f"the event is too large for Pusher: {excess}")

    def put(self, item: Event | Terminated) -> None:
        """Forward it, as soon as what is before it on its channels is."""
        for part in self._fitting(item):
            if self._waiting.full() and self._options.overflow != "refuse":
                oldest = self._waiting.drop_oldest() if self._options.overflow == "drop_oldest" else None
                words = f"{len(self._waiting):,} wait for Pusher"
                self._drop(part if oldest is None else oldest.item, "overflow", words)
                if oldest is None:
                    continue
            self._waiting.put(Entry(part, self._clock()))
        self._send()

    def length(self) -> int:
        """How many wait or are under way."""
        return len(self._waiting)

    def lag(self) -> float:
        """Seconds that the oldest of them has waited; 0 if nothing does."""
        oldest = self._waiting.oldest()
        return 0.0 if oldest is None else self._clock() - oldest

    def away(self) -> float | None:
        """Seconds since Pusher last answered, while it does not; None while it does."""
        return None if self._away_since is None else self._clock() - self._away_since

    def stop(self) -> Deferred[None]:
        """Send what waits, for a moment, unless Pusher is away; what is left then is counted as dropped."""
        self._idle = Deferred()
        if len(self._waiting) and self._away_since is None:
            self._patience = self._reactor.callLater(STOP_SECONDS, self._give_up)
        else:
            self._give_up()
        return self._idle.addCallback(lambda _: self._poster.close())

    def _give_up(self) -> None:
        self._stopped = True
        for pause in self._pauses:
            pause.cancel()
        for call in list(self._calls):
            call.cancel()
        for entry in self._waiting.clear():
            self._drop(entry.item, "stopped", "the server stops")
        self._idle.callback(None)

    # ---- what fits ----------------------------------------------------------------------------------------------

    def _fitting(self, item: Event | Terminated) -> list[Event | Terminated]:
        """``item`` in parts that Pusher's limits allow."""
        if excess := self._excess(item):
            self._drop(item, "oversized", excess)
            return []
        if isinstance(item, Terminated):
            return [item]
        channels, most = item.channels, self._options.channels_per_event
        return [_on(item, channels[start : start + most]) for start in range(0, len(channels), most)]

    def _excess(self, item: Event | Terminated) -> str:
        """What is too much about it, in words."""
        if isinstance(item, Terminated):
            return ""
        size, allowed = len(item.data.encode(errors="surrogatepass")), self._options.event_bytes
        if size > allowed:
            return f"its data has {size:,} bytes, {allowed:,} are allowed"
        most = self._options.channels_per_event
        if len(item.channels) > most and self._options.oversized != "split":
            return f"it is for {len(item.channels)} channels, {most} are allowed"
        return ""

    def _drop(self, item: Event | Terminated, reason: str, words: str) -> None:
        """Count it, name the first of each reason until Pusher takes something again, and tell who waits for it."""
        self.drops[reason] += 1
        if reason not in self._told:
            self._told.add(reason)
            what = f"event {item.name!r} on {item.channels[0]}" if isinstance(item, Event) else "a user's end"
            self._log.error(
                "driver pusher does not forward {what}: {words}; more of these are only counted", what=what, words=words
            )
        if isinstance(item, Event):
            self._dropped(item)

    # ---- sending ------------------------------------------------------------------------------------------------

    def _send(self) -> None:
        while not self._stopped and len(self._calls) + len(self._pauses) < self._options.requests:
            entries = self._waiting.take()
            if not entries:
                return
            self._try(entries, FIRST_PAUSE)

    def _try(self, entries: list[Entry], pause: float) -> None:
        first = entries[0].item
        app_id = self._options.app_id
        if isinstance(first, Terminated):
            call = termination(app_id, first.user_id)
        else:
            call = call_for(app_id, [entry.item for entry in entries if isinstance(entry.item, Event)])
        calling = self._post(call)
        self._calls.add(calling)

        def ended(result: object) -> None:
            self._calls.discard(calling)
            self._ended(entries, result, pause)

        calling.addBoth(ended)

    def _post(self, call: Call) -> Deferred[None]:
        options = self._options
        target = call.target(options.key, options.secret, self._now())
        headers = {"Content-Type": "application/json", "User-Agent": "broadcaster"}
        return self._poster.post(options.api() + target, headers, call.body).addCallback(_judge)

    def _ended(self, entries: list[Entry], result: object, pause: float) -> None:
        error = result.value if isinstance(result, Failure) else None
        if self._stopped:
            return
        if error is not None and not isinstance(error, Refused):
            self._again(entries, error, pause)
            return
        self._answered()
        if error is not None and len(entries) > 1 and error.status in ABOUT_CONTENT:
            # One of them is at fault; the others shall not go with it.
            for entry in entries:
                self._try([entry], FIRST_PAUSE)
            return
        self._waiting.done(entries)
        if error is None:
            self.forwarded += len(entries)
            self._told.clear()
        else:
            for entry in entries:
                self._drop(entry.item, str(error.status), f"Pusher answered {error}")
        self._send()
        if not len(self._waiting) and self._patience is not None and self._patience.active():
            self._patience.cancel()
            self._give_up()

    def _again(self, entries: list[Entry], error: BaseException, pause: float) -> None:
        self.retries += 1
        if self._away_since is None:
            self._away_since = self._clock()
            self._log.error(
                "driver pusher: {api} fails ({words}); events wait and are tried again",
                api=self._options.api(),
                words=words_for(error),
            )

        def now() -> None:
            self._pauses.discard(waiting)
            self._try(entries, min(2 * pause, LONGEST_PAUSE))

        waiting = self._reactor.callLater(uniform(0.5, 1.5) * pause, now)
        self._pauses.add(waiting)

    def _answered(self) -> None:
        if self._away_since is not None:
            self._log.info(
                "driver pusher: {api} answers again after {seconds:.1f} seconds; {waiting} events wait",
                api=self._options.api(),
                seconds=self._clock() - self._away_since,
                waiting=len(self._waiting),
            )
            self._away_since = None


def _on(event: Event, channels: tuple[str, ...]) -> Event:
    return event if channels == event.channels else Event(event.name, channels, event.data, event.exclude)


def _judge(answer: tuple[int, bytes]) -> None:
    status, body = answer
    if status in (200, 202) and body.lstrip().startswith(b"{"):
        return
    words = " ".join(body.decode(errors="replace").split())[:200]
    if 400 <= status < 500:
        raise Refused(status, words)
    raise Unavailable(f"{status} {words}".strip())
