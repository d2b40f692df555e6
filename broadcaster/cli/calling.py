"""Calls of the HTTP API, signed as Pusher's or with a bearer key as laravel-echo-server's, whatever the app has."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from hashlib import md5
from typing import Any
from urllib.parse import quote, urlencode

from broadcaster.auth.signature import sign
from broadcaster.cli.reaching import PATIENCE, Unreachable
from broadcaster.cli.target import Target
from broadcaster.errors import BroadcasterError


class Refused(BroadcasterError):
    """The server does not do what it was asked; one line with its reason."""


def call(target: Target, method: str, path: str, query: Mapping[str, str], body: object = None) -> dict[str, Any]:
    """The answer to a call of ``/apps/<id><path>``. Raises `Unreachable` or `Refused`."""
    app = target.app
    path = f"/apps/{quote(app.id, safe='')}{path}"
    content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json"}
    if app.secrets:
        query = _signed(app.secrets[0], method, path, {**query, "auth_key": app.key}, content)
    else:
        headers["Authorization"] = f"Bearer {app.key}"
    if app.tls_only and target.door.tls is None:
        headers["X-Forwarded-Proto"] = "https"  # nobody listens between here and there
    connection = http.client.HTTPConnection(target.door.host, timeout=PATIENCE)
    connection.sock = target.door.open()
    try:
        connection.request(method, f"{path}?{urlencode(query)}", content, headers)
        answer = connection.getresponse()
        return _read(answer.status, answer.read())
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise Unreachable(f"{target.door}: {reason}; look into the server's log") from None
    finally:
        connection.close()


def _signed(secret: str, method: str, path: str, query: Mapping[str, str], body: bytes | None) -> dict[str, str]:
    parameters = {**query, "auth_timestamp": str(int(time.time())), "auth_version": "1.0"}
    if body is not None:
        parameters["body_md5"] = md5(body, usedforsecurity=False).hexdigest()
    text = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    return {**parameters, "auth_signature": sign(secret, f"{method}\n{path}\n{text}")}


def _read(status: int, body: bytes) -> dict[str, Any]:
    text = body.decode(errors="replace")
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    reason = answer["error"] if isinstance(answer, dict) and "error" in answer else text.strip() or "no reason is given"
    raise Refused(f"the server answers {status}: {reason}")
