"""Bytes that are wrong, or nearly right: requests for every URL, and frames, made by one random generator."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any, TypeVar

from tests.inprocess import client_frame
from tests.integration.wire import TEXT, auth, frame, request
from tests.processes import APP_ID, KEY

T = TypeVar("T")

RAW = "\ue000"
"""Stands for a piece of JSON that Python's encoder would not write."""

MARK = f'"{RAW}"'.encode()
"""How it is written."""

NASTY: tuple[bytes, ...] = (
    b'"\\ud800"',
    b'"\\udc00\\ud800"',
    b'"\\u0000"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"' + b"x" * 20_000 + b'"',
    b'"\\',
    b"1e999",
    b"-1e-999",
    b"-0",
    b"9" * 5_000,
    b"1" + b"0" * 400 + b".5",
    b"NaN",
    b"[" * 5_000 + b"]" * 5_000,
    b"[" * 5_000,
    b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
    b"[{}]",
    b"{}",
    b'{"":null}',
    b"null",
    b"true",
    b'""',
    b'"presence-x"',
    b'"#server-to-user-x"',
    b'"{\\"user_id\\":1e400}"',
    b'"' + b"\\u00e9" * 300 + b'"',
)

MEMBER = '{"user_id":"1","user_info":{"name":"x"}}'
USER = '{"id":"1","watchlist":["2"]}'

CALLS = (
    ("POST", "/events", {"name": "fuzz", "channels": ["fuzz", "private-fuzz"], "data": "{}", "socket_id": "1.1"}),
    ("POST", "/events", {"name": "fuzz", "channel": "presence-fuzz", "data": "{}", "info": "user_count"}),
    ("POST", "/batch_events", {"batch": [{"name": "fuzz", "channel": "fuzz", "data": "{}", "info": "user_count"}]}),
    ("GET", "/channels", None),
    ("GET", "/channels/presence-fuzz", None),
    ("GET", "/channels/presence-fuzz/users", None),
    ("POST", "/users/1/terminate_connections", {}),
)

PATHS = (
    "/",
    "/up",
    "/ready",
    "/metrics",
    "/demo/",
    "/dashboard/",
    f"/app/{KEY}",
    f"/app/{KEY}/sse?channels=fuzz",
    f"/apps/{APP_ID}/events",
    f"/apps/{APP_ID}/channels?filter_by_prefix=presence-&info=user_count",
    "/socket.io/?EIO=4&transport=polling",
    "/socket.io/?EIO=3&transport=polling&b64=1&sid=x",
    "/socket.io/socket.io.js",
    "/pusher/info",
    f"/pusher/app/{KEY}/1/abcdefgh/xhr_streaming?protocol=7",
    "/timeline/v2/jsonp/1",
    "/pusher/auth",
    "http://127.0.0.1/up",
    "*",
    "/%00",
    "/%ff%fe/..%2f",
    "//",
    "/apps/%ud800/events?auth_key=%&auth_signature=%zz",
    "/" + "a" * 10_000,
    "/?" + "a=b&" * 3_000,
    "/apps/" + "/" * 1_000,
)

HEADERS = (
    b"Host: 127.0.0.1",
    b"Host: other",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -1",
    b"Content-Length: 0x5",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding : chunked",
    b"Expect: 100-continue",
    b"Expect: miracles",
    b"Connection: close",
    b"Connection: keep-alive, upgrade",
    b"Upgrade: websocket",
    b"Upgrade: h2c",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Key: x",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Version: 99",
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
    b"Sec-WebSocket-Protocol: \xff,,",
    b"Origin: null",
    b"Origin: https://[",
    b"X-Forwarded-For: \xff, 1.2.3.4, unknown",
    b"X-Forwarded-Proto: https",
    b'Forwarded: for="[::1]:99999";proto=',
    b"Authorization: Bearer \x80",
    b"Accept: text/html",
    b"Cookie: " + b"a" * 5_000,
    b"Empty:",
    b": nameless",
    b" folded",
    b"NUL: \0",
    b"No colon",
)

ENGINE_PACKETS = (
    "40",
    '40{"token":1}',
    "41",
    "2",
    "3",
    "2probe",
    "5",
    "6",
    "1",
    "4",
    "bAQID",
    "b4AQID",
    "451-",
    "40/admin,",
    "4217",
    '451-["client event",{"_placeholder":true,"num":0}]',
)
"""Whole packets of Engine.IO, with Socket.IO's in some of them."""

ECHO_EVENTS = (
    ["subscribe", {"channel": "fuzz", "auth": {"headers": {"Authorization": "x"}}}],
    ["unsubscribe", {"channel": "fuzz"}],
    ["client event", {"channel": "fuzz", "event": "client-fuzz", "data": {"text": "x"}}],
    ["fuzz", 1],
)
"""What laravel-echo says by Socket.IO."""

METHODS = (b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"CONNECT", b"PRI", b"get", b"\x16\x03\x01")


def events(socket_id: str) -> tuple[dict[str, Any], ...]:
    """All that pusher-js says, by the client of that name and rightly signed."""
    subscribe, private, presence = "pusher:subscribe", "private-fuzz", "presence-fuzz"
    joining = {"channel": presence, "auth": auth(socket_id, presence, MEMBER), "channel_data": MEMBER}
    return (
        {"event": subscribe, "data": {"channel": "fuzz"}},
        {"event": subscribe, "data": {"channel": private, "auth": auth(socket_id, private)}},
        {"event": subscribe, "data": joining},
        {"event": subscribe, "data": {"channel": "cache-fuzz"}},
        {"event": "pusher:unsubscribe", "data": {"channel": "fuzz"}},
        {"event": "pusher:unsubscribe", "data": {"channel": presence}},
        {"event": "pusher:signin", "data": {"auth": auth(socket_id, ":user:", USER), "user_data": USER}},
        {"event": "client-fuzz", "channel": private, "data": {"text": "x"}},
        {"event": "client-fuzz", "channel": presence, "data": {"text": "x"}},
        {"event": "pusher:ping", "data": {}},
        {"event": "pusher:pong", "data": "{}"},
    )


def spoilt_everywhere(value: Any) -> Iterator[bytes]:
    """The JSON of the value with each nasty thing in each place, one at a time."""
    for spoilt in _marked(value):
        for nasty in NASTY:
            yield json.dumps(spoilt, ensure_ascii=False).encode().replace(MARK, nasty)


def _marked(value: Any) -> Iterator[Any]:
    yield RAW
    if isinstance(value, dict):
        for name, each in value.items():
            yield from (value | {name: marked} for marked in _marked(each))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from ([*value[:index], marked, *value[index + 1 :]] for marked in _marked(each))


class Mutations:
    """An endless source; the same seed gives the same bytes in the same order."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one_of(self, choices: Sequence[T]) -> T:
        return self.random.choice(choices)

    def maybe(self, chance: float) -> bool:
        return self.random.random() < chance

    # ---- bytes ------------------------------------------------------------------------------------------------

    def noise(self, most: int = 200) -> bytes:
        return self.random.randbytes(self.random.randrange(most))

    def bent(self, data: bytes) -> bytes:
        """The same with a few bytes changed, lost, doubled or added."""
        bent = bytearray(data)
        for _ in range(self.random.randrange(4)):
            at = self.random.randrange(len(bent) + 1)
            to = min(len(bent), at + self.random.choice((0, 1, 1, 2, 8, 64)))
            piece = bytes(bent[at:to])
            bent[at:to] = self.one_of(
                (b"", piece * 2, self.noise(8), b"\0", b"\r\n", b"\n", b'"', b"{", b"\xff", b"%", piece[::-1])
            )
        return bytes(bent)

    def pieces(self, data: bytes) -> list[bytes]:
        """The same, as it may be cut on its way."""
        if not data or self.maybe(0.7):
            return [data]
        cuts = sorted(self.random.randrange(len(data)) for _ in range(self.random.randrange(1, 4)))
        return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]

    # ---- JSON -------------------------------------------------------------------------------------------------

    def json(self, value: Any) -> bytes:
        """The value, in most cases with something nasty somewhere in it."""
        if self.maybe(0.05):
            return self.one_of(NASTY)
        nasty: list[bytes] = []
        text = json.dumps(self._spoilt(value, nasty), ensure_ascii=False).encode()
        for piece in nasty:
            text = text.replace(MARK, piece, 1)
        return self.bent(text) if self.maybe(0.1) else text

    def _spoilt(self, value: Any, nasty: list[bytes]) -> Any:
        if self.maybe(0.05):
            nasty.append(self.one_of(NASTY))
            return RAW
        if isinstance(value, dict):
            spoilt = {name: self._spoilt(each, nasty) for name, each in value.items() if not self.maybe(0.02)}
            return spoilt | ({"extra": self.noise(5).hex()} if self.maybe(0.05) else {})
        if isinstance(value, list):
            return [self._spoilt(each, nasty) for each in value] * (self.one_of((0, 2, 150)) if self.maybe(0.05) else 1)
        return value

    # ---- what is sent -----------------------------------------------------------------------------------------

    def http(self) -> bytes:
        """What a link says that speaks HTTP, or something like it."""
        kinds: tuple[Callable[[], bytes], ...] = (self.noise, *[self._request] * 5, *[self._call] * 5)
        said = b"".join(self.one_of(kinds)() for _ in range(self.one_of((1, 1, 1, 2, 5))))
        return self.bent(said) if self.maybe(0.2) else said

    def _request(self) -> bytes:
        line = b"%b %b %b" % (
            self.one_of(METHODS) if self.maybe(0.2) else b"GET",
            self.one_of(PATHS).encode(),
            self.one_of((b"HTTP/1.0", b"HTTP/2.0", b"HTTP/9", b"")) if self.maybe(0.1) else b"HTTP/1.1",
        )
        headers = [b"Host: 127.0.0.1"] if self.maybe(0.95) else []
        headers += [self.one_of(HEADERS) for _ in range(self.one_of((0, 0, 0, 1, 1, 2, 3, 30)))]
        body = self.one_of(
            (b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"0;ext\r\nTrailer: x\r\n\r\n")
        )
        return b"\r\n".join([line, *headers, b"", body])

    def _call(self) -> bytes:
        method, path, body = self.one_of(CALLS)
        if self.maybe(0.3):
            path = path.replace("fuzz", self.one_of(("%ff", "%00", "x" * 300, "%ED%A0%80", "a/b", "")))
        return request(method, path, b"" if body is None else self.json(body))

    def frames(self, socket_id: str) -> bytes:
        """What the client of that name says on its WebSocket."""
        return b"".join(self._frame(socket_id) for _ in range(self.random.randrange(1, 12)))

    def _frame(self, socket_id: str) -> bytes:
        kind = self.random.random()
        if kind < 0.85:
            return frame(self.json(self.one_of(events(socket_id))))
        if kind < 0.88:
            return self.noise(40)
        if kind < 0.93:
            return self.bent(frame(json.dumps(self.one_of(events(socket_id))).encode()))
        payload = self.one_of(
            (b"", b"x", b"\x03", b"\x03\xe8", b"\x03\xed", b"\xff\xff\xff", self.noise(126), b"x" * 126)
        )
        return client_frame(
            self.random.randrange(16),
            payload,
            fin=self.maybe(0.7),
            mask=None if self.maybe(0.05) else b"mask",
            rsv=self.random.randrange(8) if self.maybe(0.1) else 0,
        )

    # ---- Engine.IO --------------------------------------------------------------------------------------------

    def engine_payload(self, revision: int) -> bytes:
        """The body of a POST: some packets, as the revision strings them together."""
        packets = self._engine_packets()
        if revision == 4:
            return self._perhaps_bent(b"\x1e".join(packets))
        return self._perhaps_bent(b"".join(b"%d:%b" % (len(p.decode(errors="replace")), p) for p in packets))

    def engine_frames(self) -> bytes:
        """The same on a WebSocket."""
        frames = [client_frame(2 if self.maybe(0.03) else TEXT, packet) for packet in self._engine_packets()]
        return self._perhaps_bent(b"".join(frames))

    def _engine_packets(self) -> list[bytes]:
        connect = [b"40"] if self.maybe(0.9) else []
        return connect + [self._engine_packet() for _ in range(self.random.randrange(6))]

    def _engine_packet(self) -> bytes:
        if self.maybe(0.9):
            return b"42" + self.json(self.one_of(ECHO_EVENTS))
        return self._perhaps_bent(self.one_of(ENGINE_PACKETS).encode())

    def _perhaps_bent(self, data: bytes) -> bytes:
        return self.bent(data) if self.maybe(0.05) else data
