"""What ``init`` was answered, and the ``broadcaster.toml`` that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import tomlkit

from broadcaster.config.listen import quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One field for each question, and the app that was made."""

    dev: bool
    port: int
    database: str
    auth_host: str
    protocol: str
    certificate: str
    certificate_key: str
    bearer: bool
    cors: bool
    cors_origin: str
    cors_methods: str
    cors_headers: str
    app_id: str
    app_key: str
    app_secret: str
    host: str | None
    redis_url: str | None


def toml_of(answers: Answers) -> str:
    """The text of the file, with what a reader needs to change it."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: Answers) -> Iterator[str]:
    yield "# Made by broadcaster init. What is in force: broadcaster check. Every key: docs/configuration.md"
    yield "# It holds secrets: let nobody read it but the user that runs the server."
    yield ""
    yield "[server]"
    yield "# Twisted endpoint strings. For a proxy on this machine alone: tcp:6001:interface=127.0.0.1"
    yield f"listen = [{_text(_endpoint(answers))}]"
    if answers.protocol == "https":
        yield ""
        yield "[tls]"
        yield "# For the tls: addresses above. A changed file is used within seconds, without a restart."
        yield f"certificate = {_text(answers.certificate)}"
        yield f"key = {_text(answers.certificate_key)}"
    yield ""
    yield "[driver]"
    yield "# memory: this process alone. redis: what Laravel publishes to Redis, and several processes."
    yield f"name = {_text(answers.database)}"
    if answers.redis_url is not None and answers.database == "redis":
        yield ""
        yield "[driver.redis]"
        yield f"url = {_text(answers.redis_url)}"
    yield ""
    yield "[[apps]]"
    yield "# Pages connect with the key. Your application publishes with all three, and signs with the secret."
    yield f"id = {_text(answers.app_id)}"
    yield f"key = {_text(answers.app_key)}"
    yield f"secret = {_text(answers.app_secret)}"
    if answers.bearer:
        yield "# The key alone lets publishers in, as in laravel-echo-server: no page may have it."
        yield "bearer = true"
    yield ""
    yield "[apps.auth]"
    yield "# Your application: it is asked who may join private channels of Socket.IO clients."
    yield f"host = [{_text(answers.auth_host)}]"
    if answers.cors:
        yield ""
        yield "[echo_api.cors]"
        yield "# What pages of other origins may do with the HTTP API in laravel-echo-server's shape."
        yield f"origin = {_text(answers.cors_origin)}"
        yield f"methods = {_text(answers.cors_methods)}"
        yield f"headers = {_text(answers.cors_headers)}"
    if answers.dev:
        yield ""
        yield "[log]"
        yield 'level = "debug"'


def _endpoint(answers: Answers) -> str:
    scheme = "tls" if answers.protocol == "https" else "tcp"
    interface = "" if answers.host is None else f":interface={quote(answers.host)}"
    return f"{scheme}:{answers.port}{interface}"


def _text(value: str) -> str:
    return tomlkit.item(value).as_string()
