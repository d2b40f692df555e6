"""Engine.IO clients for a server in memory: one that polls, and one on a WebSocket that sees the text of its frames."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.inprocess import Answer, Client, InProcess, Link, client_frame


class Poll:
    """A request whose answer may be long in coming."""

    def __init__(self, server: InProcess, link: Link) -> None:
        self._server = server
        self._link = link

    @property
    def answer(self) -> Answer | None:
        """What was answered, None while it is held."""
        self._server.turn()
        raw = self._link.value()
        return Answer(raw) if raw else None

    @property
    def text(self) -> str | None:
        """The body, once it was answered."""
        answer = self.answer
        return answer.text if answer is not None else None

    def cut(self) -> None:
        """Let go of it."""
        self._server.drop(self._link)
        self._server.turn()


class Poller:
    """A session over polling; ``query`` is added to every request's."""

    def __init__(
        self, server: InProcess, revision: int, query: str = "", headers: dict[str, str] | None = None
    ) -> None:
        self.server = server
        self.revision = revision
        self.target = f"/socket.io/?EIO={revision}&transport=polling{query}"
        opening = server.http("GET", self.target, headers=headers)
        assert opening.status == 200, opening.raw
        self.opening = opening
        text = opening.text
        self.open_packet: dict[str, Any] = json.loads(text[text.index("{") : text.index("}") + 1])
        self.sid: str = self.open_packet["sid"]
        self.target += f"&sid={self.sid}"

    def get(self) -> Poll:
        """Poll, and wait with it."""
        link = self.server.link()
        self.server.feed(link, f"GET {self.target} HTTP/1.1\r\nHost: server.test\r\n\r\n".encode())
        return Poll(self.server, link)

    def poll(self) -> str:
        """Poll for what is there already."""
        poll = self.get()
        text = poll.text
        assert text is not None, "nothing was there"
        assert poll.answer is not None and poll.answer.status == 200, poll.answer.raw
        poll.cut()
        return text

    def post(self, body: str | bytes, content_type: str = "text/plain;charset=UTF-8") -> Answer:
        """Post these packets."""
        body = body.encode() if isinstance(body, str) else body
        return self.server.http("POST", self.target, body, {"Content-Type": content_type})

    def say(self, packet: str) -> None:
        """Post one packet of ASCII, and be understood."""
        answer = self.post(f"{len(packet)}:{packet}" if self.revision == 3 else packet)
        assert (answer.status, answer.text) == (200, "ok")

    @property
    def gone(self) -> bool:
        """Whether nobody knows the session any more."""
        answer = self.post("1:3" if self.revision == 3 else "3")
        return answer.status == 400 and answer.json == {"code": 1, "message": "Session ID unknown"}

    def upgrading(self) -> Socket:
        """A WebSocket that names this session; it has not said anything yet."""
        return Socket(self.server, self.revision, f"&sid={self.sid}")


class Socket(Client):
    """A WebSocket under ``/socket.io/``."""

    def __init__(self, server: InProcess, revision: int, query: str = "", **options: Any) -> None:
        super().__init__(server, f"/socket.io/?EIO={revision}&transport=websocket{query}", **options)
        self.revision = revision

    def texts(self) -> list[str]:
        """The text frames since the last call."""
        return [frame for frame in self.frames() if isinstance(frame, str)]

    def frames(self) -> list[str | bytes]:
        """The messages since the last call."""
        self.server.turn()
        self.received += self.link.take()
        if not self.head and b"\r\n\r\n" in self.received:
            head, _, self.received = self.received.partition(b"\r\n\r\n")
            self.head = head.decode("latin-1")
        found: list[str | bytes] = []
        for opcode, payload in self._frames():
            assert self.close_code is None, "nothing follows a close frame"
            if opcode == 0x8:
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
            else:
                assert opcode in (0x1, 0x2)
                found.append(payload.decode() if opcode == 0x1 else payload)
        return found

    def events(self) -> list[dict[str, Any]]:
        """Read what is left; nothing of it is Pusher's."""
        if self.head_text().startswith("HTTP/1.1 101"):
            self.frames()
        return []

    def binary(self, data: bytes) -> None:
        self.raw(client_frame(0x2, data))

    @property
    def ended(self) -> bool:
        """Whether the server has said goodbye, without a code."""
        self.frames()
        return self.close_code == 1005

    @property
    def status(self) -> int:
        """Of the handshake's answer."""
        return int(self.head_text().split()[1])

    def head_text(self) -> str:
        """The handshake's answer, whole if it was refused."""
        return self.head or self.link.value().decode("latin-1")


def joined(server: InProcess, revision: int, pid: str | None = None) -> Socket:
    """A WebSocket client that is connected to the namespace, its answers read; ``socket_id`` is the id others see."""
    socket = Socket(server, revision)
    opening = socket.texts()
    if revision == 3:
        assert opening[1:] == ["40"]
        socket.socket_id = json.loads(opening[0][1:])["sid"]
        return socket
    socket.text("40" + (json.dumps({"pid": pid}) if pid is not None else ""))
    answer = socket.texts()[0]
    assert re.match(r"40\{", answer), answer
    socket.socket_id = json.loads(answer[2:])["sid"]
    return socket


def event(text: str) -> Any:
    """The arguments of an event in a text frame."""
    assert text.startswith("42["), text
    return json.loads(text[2:])
