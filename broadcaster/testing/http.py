"""HTTP as a back end speaks it: signed requests, and their answers."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from broadcaster.settings import App


class Answer:
    """An HTTP answer."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if raw else 0
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = int(self.headers.get("content-length", 0))
        self.body, self.rest = rest[:length], rest[length:]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def signed(app: App, method: str, path: str, body: bytes, query: str, now: int, **more: str) -> str:
    """The target of a signed call, in the plain form that most SDKs use."""
    parameters = dict(pair.partition("=")[::2] for pair in query.split("&") if pair)
    parameters |= {"auth_key": app.key, "auth_timestamp": str(now), "auth_version": "1.0", **more}
    if body:
        parameters["body_md5"] = hashlib.md5(body).hexdigest()
    plain = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    signature = hmac.new(app.secrets[0].encode(), f"{method}\n{path}\n{plain}".encode(), "sha256").hexdigest()
    return f"{path}?{plain}&auth_signature={signature}"
