"""NATS's protocol as bytes in, messages out; no sockets, no clock. https://docs.nats.io/reference/reference-protocols"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

LONGEST_LINE = 65_536
"""Bytes of a control line; INFO is the longest."""


class ProtocolFault(Exception):
    """What came is not NATS's protocol."""


@dataclass(frozen=True, slots=True)
class Word:
    """A line that carries no message: ``name`` is INFO, PING, PONG, +OK or -ERR."""

    name: str
    rest: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """Something published; ``status`` is what stands in the first line of its headers, 0 without."""

    sid: int
    subject: str
    body: bytes
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)


class Decoder:
    """Takes bytes however they are cut."""

    def __init__(self) -> None:
        self._received = b""

    def feed(self, data: bytes) -> Iterator[Word | Message]:
        """What is complete by now; raises `ProtocolFault`."""
        self._received += data
        at = 0
        try:
            while (end := self._received.find(b"\r\n", at)) >= 0:
                word, _, rest = self._received[at:end].decode().partition(" ")
                after = end + 2
                if word in ("MSG", "HMSG"):
                    parts = rest.split()
                    size = int(parts[-1])
                    if len(self._received) < after + size + 2:
                        break
                    body, after = self._received[after : after + size], after + size + 2
                    head = int(parts[-2]) if word == "HMSG" else 0
                    yield _message(int(parts[1]), parts[0], body[:head], body[head:])
                else:
                    yield Word(word.upper(), rest)
                at = after
            else:
                if len(self._received) - at > LONGEST_LINE:
                    raise ProtocolFault("a line does not end")
        except (ValueError, IndexError) as error:
            raise ProtocolFault(f"a line makes no sense: {error}") from None
        finally:
            self._received = self._received[at:]


def _message(sid: int, subject: str, head: bytes, body: bytes) -> Message:
    first, *lines = head.decode().split("\r\n")
    status = first.removeprefix("NATS/1.0").split()
    headers = dict(line.split(":", 1) for line in lines if line)
    return Message(sid, subject, body, int(status[0]) if status else 0, {k: v.strip() for k, v in headers.items()})


def pub(subject: str, body: bytes, reply: str = "", **headers: object) -> bytes:
    """Publish; ``Nats_X=…`` is the header ``Nats-X``."""
    to = f"{subject} {reply}" if reply else subject
    if not headers:
        return b"PUB %s %d\r\n%s\r\n" % (to.encode(), len(body), body)
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"NATS/1.0\r\n{lines}\r\n".encode()
    return b"HPUB %s %d %d\r\n%s%s\r\n" % (to.encode(), len(head), len(head) + len(body), head, body)


def token(name: str) -> str:
    """``name`` as one token of a subject: no dot, blank or wildcard is left, and `name_of` gives it back."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")


def name_of(token: str) -> str:
    """What `token` was made of."""
    return unquote(token)
