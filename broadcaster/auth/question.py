"""The question to the application as bytes: what laravel-echo-server sends, without the ways to forge it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote

from broadcaster.auth.hosts import Url

MOST_HEADERS = 64
MOST_BYTES = 16_384

# Framing and the hop belong to this server; a compressed answer could not be read. What proxies say of the client is
# believed by applications behind one, and nobody stands between this server and the application to take it out.
_OURS = frozenset(
    [
        "accept-encoding",
        "connection",
        "client-ip",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "proxy",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-original-url",
        "x-real-ip",
        "x-requested-with",
        "x-rewrite-url",
    ]
)
_OUR_KINDS = ("cf-", "content-", "proxy-", "x-forwarded-")
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def question(url: Url, channel: str, headers: Iterable[tuple[str, str]], cookie: str | None) -> bytes:
    """One whole request about ``channel``; ``cookie`` is that of the client's handshake.

    Whatever ``headers`` say, it is one well-formed request to ``url`` with this body.
    """
    body = b"channel_name=" + quote(channel, safe="").encode("ascii")
    lines = [f"{name}: {value}" for name, value in forwarded(headers, cookie)]
    lines += [
        "X-Requested-With: XMLHttpRequest",
        f"host: {url.authority}",
        "content-type: application/x-www-form-urlencoded",
        f"content-length: {len(body)}",
    ]
    head = "".join([f"{line}\r\n" for line in (f"POST {url.target} HTTP/1.1", *lines, "")])
    return head.encode("latin-1") + body


def forwarded(headers: Iterable[tuple[str, str]], cookie: str | None) -> list[tuple[str, str]]:
    """The client's headers that go along, in its order and spelling, then its cookie: ``headers``' own comes first.

    Of names that differ only in case the last counts. Once `MOST_HEADERS` or `MOST_BYTES` are reached the rest is left
    out.
    """
    passing: dict[str, tuple[str, str]] = {}
    size = 0
    for name, value in headers:
        # Servers that hand headers on as CGI variables do not tell `_` from `-`.
        known = name.lower().replace("_", "-")
        if known in _OURS or known.startswith(_OUR_KINDS):
            continue
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            continue
        size += len(name) + len(value) + 4
        if size > MOST_BYTES or (known not in passing and len(passing) == MOST_HEADERS):
            break
        passing[known] = name, value
    _, own = passing.pop("cookie", ("", ""))
    sent = own or cookie
    if sent and _VALUE.fullmatch(sent):
        passing["cookie"] = "Cookie", sent
    return list(passing.values())
