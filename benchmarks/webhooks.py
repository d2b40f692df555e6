"""Facts through a receiver that fails one request in three: each is told, in order within its channel, repeats by id.

    .venv/bin/python benchmarks/webhooks.py [--facts 100000]

The back end and the server's webhooks run in one process, over HTTP on the loopback and SQLite on the disk. Every third
request fails: by turns before it was looked at, and after it was taken, as when an answer is lost. The exit status is 1
if an event is missing, or out of order.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from time import monotonic, time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.web.resource import Resource
from twisted.web.server import Site

from broadcaster.facts import ClientEventSent
from broadcaster.settings import App, Settings, Webhook, Webhooks
from broadcaster.webhooks.office import Webhooks as Office
from broadcaster.webhooks.sqlite import SqliteStore

CHANNELS = 100
PER_TURN = 500


class Backend(Resource):
    """Takes events, and fails every third time."""

    isLeaf = True

    def __init__(self, expected: int) -> None:
        super().__init__()
        self.done: Deferred[None] = Deferred()
        self.requests = 0
        self.repeats = 0
        self.out_of_order = 0
        self.seen: set[str] = set()
        self._expected = expected
        self._last: dict[str, int] = defaultdict(lambda: -1)

    def render_POST(self, request: Any) -> bytes:
        self.requests += 1
        fails = self.requests % 3 == 0
        if not fails or self.requests % 2:
            self._take(json.loads(request.content.read())["events"])
        if fails:
            request.setResponseCode(500)
        elif len(self.seen) == self._expected and not self.done.called:
            self.done.callback(None)
        return b""

    def _take(self, events: list[dict[str, str]]) -> None:
        for event in events:
            if event["id"] in self.seen:
                self.repeats += 1
                continue
            self.seen.add(event["id"])
            number = int(event["data"])
            self.out_of_order += number <= self._last[event["channel"]]
            self._last[event["channel"]] = number


async def run(reactor: Any, facts: int, directory: str) -> int:
    backend = Backend(facts)
    site = Site(backend)
    site.noisy = False
    port = reactor.listenTCP(0, site, interface="127.0.0.1")
    hook = Webhook(url=f"http://127.0.0.1:{port.getHost().port}/", events=("client_event",))
    app = App(id="1", key="k", secrets=("s",), webhooks=(hook,))
    settings = Settings(apps=(app,), webhooks=Webhooks(waiting=2 * facts, batch=1_000))
    store = SqliteStore(reactor, str(Path(directory) / "webhooks.sqlite"), time)
    membership: Any = None
    office = Office(reactor, settings, store, membership, time)
    office.start()
    began, slowest = monotonic(), 0.0
    for start in range(0, facts, PER_TURN):
        turn = monotonic()
        for number in range(start, min(start + PER_TURN, facts)):
            office.told("1", ClientEventSent(f"private-{number % CHANNELS}", "client-e", str(number), "1.1"))
        slowest = max(slowest, monotonic() - turn)
        await _next_turn(reactor)
    told = monotonic() - began
    await office._telling.flush()
    while office._telling.unkept:
        await office._telling.flush()
    kept = monotonic() - began
    await backend.done
    seconds = monotonic() - began
    missing = facts - len(backend.seen)
    print(f"{facts:,} facts told in {told:.1f} s, on the disk after {kept:.1f} s: {facts / kept:,.0f}/s")
    print(f"the reactor was held up for {slowest * 1000:.1f} ms at most by {PER_TURN} facts of one turn")
    print(f"taken after {seconds:.1f} s in {backend.requests} requests, of which a third failed")
    print(f"missing {missing}, out of order {backend.out_of_order}, repeats known by their id {backend.repeats}")
    await office.stop()
    await port.stopListening()
    return int(bool(missing or backend.out_of_order))


def _next_turn(reactor: Any) -> Deferred[None]:
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)
    return turn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--facts", type=int, default=100_000)
    facts = parser.parse_args().facts
    results: list[int] = []
    with tempfile.TemporaryDirectory(prefix="broadcaster-webhooks-") as directory:

        async def ran(reactor: Any) -> None:
            results.append(await run(reactor, facts, directory))

        try:
            react(lambda reactor: Deferred.fromCoroutine(ran(reactor)))
        except SystemExit as ended:
            if ended.code:
                raise
    sys.exit(results[0])


if __name__ == "__main__":
    main()
