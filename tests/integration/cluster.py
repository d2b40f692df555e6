"""Three processes on one Redis, a crowd of clients, and everything that goes wrong: does all agree with the truth?

``python -m tests.integration.cluster`` is the whole course, with 3,000 clients, and writes its log to
``benchmarks/results/cluster.txt``. Kill -9 of one process, a restart of Redis and the loss of all subscriptions come
one after the other while events are published by every process; after each, what every living process says and what
every living client believes is compared with what is so. In the end every event that was taken while subscriptions were
proven must have reached each of its channel's subscribers, and none may have come twice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from broadcaster.testing import signed
from tests.integration.wire import APP, CLOSE, HANDSHAKE, PONG, auth, command, frame, request
from tests.processes import APP_ID, CONFIG, Server, get, until
from tests.redis import Redis

CHANNELS, PRESENCE = 60, 10
"""So many channels; the first of them are presence channels."""

PROCESSES = 3

Log = Callable[[str], None]


def channel_name(number: int) -> str:
    place = number % CHANNELS
    return f"presence-{place}" if place < PRESENCE else f"room-{place}"


class Client(asyncio.Protocol):
    """One client on one channel. Its neighbour is the same user, on the next process."""

    def __init__(self, number: int) -> None:
        self.channel = channel_name(number)
        self.user = f"user{number // CHANNELS // 2}"
        self.seen: Counter[int] = Counter()
        self.members: set[str] = set()
        self.faults: list[str] = []
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.alive = True
        self._received = b""
        self._shaken = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(HANDSHAKE)

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"closed while subscribing: {error}"))

    def close(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        data = self._received + data
        at = 0
        if not self._shaken:
            at = data.find(b"\r\n\r\n") + 4
            self._shaken = at > 3
        while self._shaken and len(data) >= at + 2:
            opcode, size, start = data[at] & 0x0F, data[at + 1], at + 2
            if size >= 126:
                wide = 2 if size == 126 else 8
                size, start = int.from_bytes(data[start : start + wide], "big"), start + wide
            if len(data) < start + size:
                break
            at = start + size
            if opcode == 1:
                self._event(json.loads(data[start:at]))
            elif opcode == 9:
                self._transport.write(frame(data[start:at], PONG))
            elif opcode == CLOSE:
                self.faults.append(f"closed: {data[start + 2 : at]!r}")
        self._received = data[at:]

    def _event(self, event: dict[str, Any]) -> None:
        name = event["event"]
        if name == "e":
            self.seen[int(event["data"])] += 1
        elif name == "pusher:connection_established":
            self._subscribe(json.loads(event["data"])["socket_id"])
        elif name == "pusher_internal:subscription_succeeded":
            if self.channel.startswith("presence-"):
                self.members = set(json.loads(event["data"])["presence"]["ids"])
            self.ready.set_result(None)
        elif name == "pusher_internal:member_added":
            self._change(json.loads(event["data"])["user_id"], added=True)
        elif name == "pusher_internal:member_removed":
            self._change(json.loads(event["data"])["user_id"], added=False)
        elif name == "pusher:ping":
            self._transport.write(command("pusher:pong"))
        else:
            self.faults.append(f"told {event}")

    def _subscribe(self, socket_id: str) -> None:
        if not self.channel.startswith("presence-"):
            self._transport.write(command("pusher:subscribe", channel=self.channel))
            return
        member = json.dumps({"user_id": self.user})
        shown = auth(socket_id, self.channel, member)
        self._transport.write(command("pusher:subscribe", channel=self.channel, auth=shown, channel_data=member))

    def _change(self, user: str, added: bool) -> None:
        if (user in self.members) is added:
            self.faults.append(f"{user} was {'added' if added else 'removed'} twice")
        (self.members.add if added else self.members.discard)(user)


@dataclass
class Published:
    """One event: when it was under way, and whether the server took it."""

    channel: str
    began: float
    ended: float = 0.0
    taken: bool = False


@dataclass
class Course:
    """What is under way, and what was seen. ``clients`` are by process."""

    redis: Redis
    servers: list[Server]
    log: Log
    clients: list[list[Client]] = field(default_factory=list)
    events: list[Published] = field(default_factory=list)
    windows: list[tuple[float, float]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    living: list[int] = field(default_factory=lambda: list(range(PROCESSES)))

    # ---- the crowd ------------------------------------------------------------------------------------------------

    async def gather(self, number: int) -> None:
        loop, began = asyncio.get_running_loop(), time.monotonic()
        self.clients = [[] for _ in self.servers]
        for start in range(0, number, 100):
            arriving = []
            for each in range(start, min(start + 100, number)):
                # Those who share a user are CHANNELS apart, and so on different processes.
                place = (each + each // CHANNELS) % PROCESSES
                port = self.servers[place].port
                _, client = await loop.create_connection(lambda each=each: Client(each), "127.0.0.1", port)  # type: ignore[misc]
                self.clients[place].append(client)
                arriving.append(client.ready)
            await asyncio.wait_for(asyncio.gather(*arriving), 60)
        self.log(f"{number} clients are subscribed after {time.monotonic() - began:.1f} s")

    def present(self) -> list[Client]:
        return [client for place in self.living for client in self.clients[place]]

    def scatter(self) -> None:
        for clients in self.clients:
            for client in clients:
                client.close()

    # ---- publishing -----------------------------------------------------------------------------------------------

    async def publish(self, place: int, rate: float) -> None:
        """Publish to one channel after the other by one process, until it is dead or this is cancelled."""
        chosen = random.Random(place)
        while place in self.living:
            with suppress(OSError, EOFError, asyncio.TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.servers[place].port)
                try:
                    while place in self.living:
                        await self._publish(chosen.randrange(CHANNELS), reader, writer)
                        await asyncio.sleep(1 / rate)
                finally:
                    writer.close()
            await asyncio.sleep(0.05)

    async def _publish(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        event = Published(channel_name(number), time.monotonic())
        self.events.append(event)
        body = {"name": "e", "channel": event.channel, "data": str(len(self.events) - 1)}
        try:
            writer.write(request("POST", "/events", json.dumps(body).encode()))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            event.taken = head.startswith(b"HTTP/1.1 200")
        finally:
            event.ended = time.monotonic()

    # ---- the truth ------------------------------------------------------------------------------------------------

    async def agree(self, what: str, within: float) -> None:
        """Wait until all say and believe what is so; what is still wrong after that is a finding."""
        began = time.monotonic()
        while wrong := await self._wrong():
            if time.monotonic() > began + within:
                self.findings.append(f"{what}: {wrong}")
                break
            await asyncio.sleep(0.1)
        verdict = f"WRONG: {wrong}" if wrong else "members and counts agree everywhere"
        self.log(f"{what}: {verdict}, after {time.monotonic() - began:.1f} s")

    async def _wrong(self) -> str | None:
        present = self.present()
        counts = Counter(client.channel for client in present)
        users: dict[str, set[str]] = {}
        for client in present:
            if client.channel.startswith("presence-"):
                users.setdefault(client.channel, set()).add(client.user)
        for client in present:
            if not client.alive:
                return f"a client on {client.channel} was closed"
            if client.members != users.get(client.channel, set()):
                return f"a client on {client.channel} believes in {len(client.members)} members"
        for place in self.living:
            told = await self._asked(place, "/channels", "info=subscription_count")
            if told is None:
                return f"process {place} does not answer"
            found = {name: each["subscription_count"] for name, each in told["channels"].items()}
            if found != dict(counts):
                return f"process {place} counts {sum(found.values())}, it is {sum(counts.values())}"
            for channel, expected in users.items():
                told = await self._asked(place, f"/channels/{channel}/users", "")
                if told is None or {user["id"] for user in told["users"]} != expected:
                    return f"process {place} names other members of {channel}"
        return None

    async def _asked(self, place: int, path: str, query: str) -> Any:
        target = signed(APP, "GET", f"/apps/{APP_ID}{path}", b"", query, int(time.time()))
        status, body = await asyncio.to_thread(get, self.servers[place].url + target)
        return json.loads(body) if status == 200 else None

    # ---- faults ---------------------------------------------------------------------------------------------------

    async def kill(self, place: int, within: float) -> None:
        """Kill -9 one process."""
        self.log(f"kill -9 of process {place}")
        self.living.remove(place)
        self.servers[place].kill()
        await self.agree("after kill -9", within)

    async def pause(self, place: int, within: float) -> None:
        """Stop one process until the others take it for dead, and let it go on."""
        self.log(f"process {place} is stopped")
        self.living.remove(place)
        self.servers[place].send(signal.SIGSTOP)
        await self.agree("while it is stopped", within)
        self.log(f"process {place} goes on")
        self.servers[place].send(signal.SIGCONT)
        self.living.append(place)
        await self.agree("after it went on", within)

    async def deafen(self, what: str, fault: Callable[[], Any]) -> None:
        """Do something to Redis after which all processes are deaf for a moment."""
        self.log(what)
        before = [self._deafened(place) for place in self.living]
        began = time.monotonic()
        await asyncio.to_thread(fault)
        for times, place in zip(before, self.living, strict=True):
            while not await asyncio.to_thread(self._proven, place, times):
                await asyncio.sleep(0.02)
        self.windows.append((began, time.monotonic()))
        self.log(f"all subscriptions are proven again {self.windows[-1][1] - began:.1f} s later")
        await self.agree(f"after {what}", 60)

    def restart(self, away: float) -> None:
        """Kill Redis, and start it again some time after everybody has noticed."""
        self.redis.kill()
        for place in self.living:
            until(lambda place=place: get(f"{self.servers[place].url}/ready")[0] == 503, "noticing")  # type: ignore[misc]
        time.sleep(away)
        self.redis.start()

    def _deafened(self, place: int) -> float:
        return _metric(get(f"{self.servers[place].url}/metrics")[1], "broadcaster_redis_deafened_total")

    def _proven(self, place: int, times: float) -> bool:
        metrics = get(f"{self.servers[place].url}/metrics")[1]
        deafened = _metric(metrics, "broadcaster_redis_deafened_total")
        return deafened > times and _metric(metrics, "broadcaster_redis_deaf") == 0

    # ---- the end --------------------------------------------------------------------------------------------------

    async def account(self) -> None:
        """Compare what was delivered with what was published."""
        owed = [number for number, event in enumerate(self.events) if event.taken and not self._uncertain(event)]
        by_channel: dict[str, list[int]] = {}
        for number in owed:
            by_channel.setdefault(self.events[number].channel, []).append(number)
        present = self.present()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._missing(present, by_channel):
            await asyncio.sleep(0.1)
        missing = self._missing(present, by_channel)
        twice = sum(times > 1 for client in present for times in client.seen.values())
        due = sum(len(by_channel.get(client.channel, ())) for client in present)
        self.log(
            f"{len(self.events)} events, {sum(event.taken for event in self.events)} taken, {len(owed)} of them while "
            f"subscriptions were proven: {due - missing} of {due} deliveries came, {twice} came twice"
        )
        if missing:
            self.findings.append(f"{missing} deliveries are missing")
        if twice:
            self.findings.append(f"{twice} deliveries came twice")
        for client in present:
            self.findings += [f"{client.channel}: {fault}" for fault in client.faults[:1]]

    def _uncertain(self, event: Published) -> bool:
        return any(event.began < end and event.ended > began for began, end in self.windows)

    def _missing(self, present: list[Client], by_channel: dict[str, list[int]]) -> int:
        return sum(number not in client.seen for client in present for number in by_channel.get(client.channel, ()))


async def run(course: Course, clients: int, rate: float, lease: float, calm: float, away: float = 0) -> None:
    """The whole course: ``rate`` events a second by each process, ``calm`` seconds between faults, Redis ``away``."""
    await course.gather(clients)
    await course.agree("at the start", 10)
    publishing = [asyncio.create_task(course.publish(place, rate)) for place in course.living]
    await asyncio.sleep(calm)
    await course.kill(2, lease + 1)
    await asyncio.sleep(calm)
    await course.deafen("restart of Redis", lambda: course.restart(away))
    await asyncio.sleep(calm)
    await course.deafen("CLIENT KILL TYPE pubsub", lambda: course.redis.command("CLIENT", "KILL", "TYPE", "pubsub"))
    await asyncio.sleep(calm)
    for task in publishing:
        task.cancel()
    await asyncio.gather(*publishing, return_exceptions=True)
    await course.account()
    # Long enough for what would still be swept by mistake.
    await asyncio.sleep(lease)
    await course.agree("a lease later", 1)
    course.scatter()


@contextmanager
def cluster(lease: float, log: Log) -> Iterator[Course]:
    """Three processes on one Redis."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(65_536, hard), hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        redis = stack.enter_context(Redis())
        driver = f'\n[driver]\nname = "redis"\n\n[driver.redis]\nurl = "{redis.url}"\nlease_seconds = {lease}\n'
        config = CONFIG.replace("members = 100", "members = 1000") + driver
        servers = [stack.enter_context(Server(config)) for _ in range(PROCESSES)]
        yield Course(redis, servers, log)


def _metric(metrics: str, name: str) -> float:
    return next(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(f"{name} "))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=3_000)
    parser.add_argument("--rate", type=float, default=30.0, help="events a second by each process")
    parser.add_argument("--lease", type=float, default=15.0)
    parser.add_argument("--calm", type=float, default=10.0, help="seconds between the faults")
    parser.add_argument("--away", type=float, default=5.0, help="seconds for which Redis is away")
    parser.add_argument("--log", type=Path, default=Path("benchmarks/results/cluster.txt"))
    asked = parser.parse_args()
    began = time.monotonic()
    with asked.log.open("w") as file:

        def log(line: str) -> None:
            for output in (file, None):
                print(f"{time.monotonic() - began:7.2f} s  {line}", file=output, flush=True)

        log(f"{PROCESSES} processes, {CHANNELS} channels, presence on {PRESENCE}, lease_seconds = {asked.lease:g}")
        with cluster(asked.lease, log) as course:
            asyncio.run(run(course, asked.clients, asked.rate, asked.lease, asked.calm, asked.away))
        for finding in course.findings:
            log(f"FOUND {finding}")
        log("everything agrees with the truth" if not course.findings else f"{len(course.findings)} findings")
    return 1 if course.findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
