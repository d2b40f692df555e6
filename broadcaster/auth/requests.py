"""May this HTTP request act on an app? Pusher's signed queries, in every form that its server SDKs sign. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from urllib.parse import unquote, unquote_plus

from broadcaster.auth.signature import matches
from broadcaster.errors import BroadcasterError
from broadcaster.settings import App

WINDOW = 600
"""Seconds that a request's clock may be off, either way; a replay within them is as good as the first."""


class RequestRefused(BroadcasterError):
    """An HTTP request is refused with ``status``; ``text`` is one printable line, whatever was put into it."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text if text.isprintable() else "".join(map(_printable, text))
        super().__init__(self.text)


def authenticate(app: App, method: str, path: str, query: str, body: bytes, now: float) -> dict[str, str]:
    """The parameters of a request that ``app`` has signed, by lower-case name, without those named ``auth_…``.

    ``path`` and ``query`` are as on the wire; an array comes back joined by commas under its bare name.
    Raises `RequestRefused`, and nothing else, for the first fault in the order and the words of Pusher.
    """
    publish = _PUBLISH.fullmatch(query)
    if publish is not None and _is_good(app, method, path, query, publish, body, now):
        return {"body_md5": publish[3]}
    try:
        return _authenticate(app, method, path, query, body, now)
    except RequestRefused as refusal:
        if "+" not in query:
            raise
        # The SDKs for Node, Python and Go do not encode: their `+` may mean itself.
        try:
            return _authenticate(app, method, path, query.replace("+", "%2B"), body, now)
        except RequestRefused:
            raise refusal from None


_PUBLISH = re.compile(
    r"auth_key=([^&=%+]*)&auth_timestamp=(\d{1,15})&auth_version=1\.0&body_md5=([0-9a-f]{32})&auth_signature=([0-9a-f]{64})",
    re.ASCII,
)
"""The query of nearly every publish. `_is_good` says yes to those that are right, at half the cost of the careful way;
every other query, and every no, goes that way, which knows all forms and finds the words."""


def _is_good(app: App, method: str, path: str, query: str, publish: re.Match[str], body: bytes, now: float) -> bool:
    key, timestamp, body_md5, signature = publish.groups()
    return (
        app.enabled
        and key == app.key
        and abs(now - int(timestamp)) < WINDOW
        and matches(app.secrets, f"{method}\n{path}\n{query[: publish.end(3)]}", signature)
        and body_md5 == hashlib.md5(body, usedforsecurity=False).hexdigest()
    )


def _authenticate(app: App, method: str, path: str, query: str, body: bytes, now: float) -> dict[str, str]:
    parameters, forms = _closely(query)
    _check_claims(app, parameters, now)
    signature = parameters.get("auth_signature", "")
    texts = [f"{method.upper()}\n{path}\n{form}" for form in forms]
    if "%" in path:
        # The SDKs for PHP and Node sign the path that they were given, their HTTP libraries encode it.
        texts += [f"{method.upper()}\n{unquote(path)}\n{form}" for form in forms]
    for text in texts:
        if matches(app.secrets, text, signature):
            break
    else:
        wanted = f'HmacSHA256Hex("{texts[0]}", your_secret_key)'
        raise RequestRefused(401, f'Invalid signature: you should have sent {wanted}, but you sent "{signature}"')
    _check_body(parameters.get("body_md5"), body)
    if not app.enabled:
        raise RequestRefused(403, "Application disabled")
    return {name: value for name, value in parameters.items() if name[:5] != "auth_"}


def _check_claims(app: App, parameters: dict[str, str], now: float) -> None:
    key = parameters.get("auth_key")
    if key is None:
        raise RequestRefused(401, "Missing parameter: auth_key")
    if key != app.key:
        raise RequestRefused(401, "Unknown auth_key")
    version = parameters.get("auth_version")
    if version != "1.0":
        raise RequestRefused(401, "Version required" if version is None else "Version not supported")
    timestamp = parameters.get("auth_timestamp", "")
    digits = timestamp.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise RequestRefused(401, "Timestamp required")
    # Python refuses to read integers of thousands of digits; those of sixteen are far away already.
    if len(timestamp) > 15 or abs(now - int(timestamp)) >= WINDOW:
        times = f"Given timestamp ({_utc(timestamp)}) not within {WINDOW}s of server time ({_utc(str(int(now)))})"
        raise RequestRefused(401, f"Timestamp expired: {times}")


def _check_body(body_md5: str | None, body: bytes) -> None:
    if body_md5 is None and not body:
        return
    if body_md5 != hashlib.md5(body, usedforsecurity=False).hexdigest():
        raise RequestRefused(401, "Invalid body_md5")


# ---- what a query says, and how it may have been signed --------------------------------------------------------


def _closely(query: str) -> tuple[dict[str, str], Iterable[str]]:
    """The parameters of any query, and its forms: as on the wire, arrays joined, repeated names as ``name[]``.

    The second is how PHP's SDK signs an array, the third how Ruby's does.
    """
    parameters: dict[str, str] = {}
    wire: list[str] = []
    joined: list[str] = []
    listed: list[str] = []
    fields = sorted(map(_field, filter(None, query.split("&"))), key=itemgetter(0, 1))
    for bare, group in groupby(fields, key=itemgetter(0)):
        given = [(name, value) for _, _, name, value in group]
        if len(given) > 1 and bare.startswith("auth_"):
            raise RequestRefused(400, f"Duplicate parameter: {bare}")
        parameters[bare] = ",".join([value for _, value in given])
        if bare == "auth_signature":
            continue
        element = f"{bare}[]" if len(given) > 1 else bare
        wire += [f"{name}={value}" for name, value in given]
        joined.append(f"{bare}={parameters[bare]}")
        listed += [f"{element}={value}" for _, value in given]
    return parameters, ("&".join(wire), "&".join(joined), "&".join(listed))


def _field(pair: str) -> tuple[str, int, str, str]:
    """Of ``name[2]=value``: the bare name, the index, the whole name and the value, decoded."""
    name, _, value = pair.partition("=")
    if "%" not in pair and "+" not in pair and "[" not in name:
        name = name.lower()
        return name, 0, name, value
    name = unquote_plus(name).lower()
    bare, bracket, rest = name.partition("[")
    index = rest.removesuffix("]")
    if bracket and rest != index and len(index) < 10 and (not index or index.isdecimal()):
        return bare, int(index or 0), name, unquote_plus(value)
    return name, 0, name, unquote_plus(value)


# ---- words -----------------------------------------------------------------------------------------------------


def _utc(timestamp: str) -> str:
    try:
        return datetime.fromtimestamp(int(timestamp), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return timestamp


def _printable(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()
