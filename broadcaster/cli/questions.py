"""laravel-echo-server's questions in their order: what each asks, the option that answers it, and its default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click

Given = Mapping[str, Any]
"""Answers so far, by the name of their question."""

Command = Callable[..., None]


def origin(value: str) -> str:
    """``scheme://host[:port]``; raises `click.BadParameter` for anything else."""
    scheme, separator, host = value.rstrip("/").partition("://")
    if scheme not in ("http", "https") or not separator or not host or "/" in host:
        raise click.BadParameter(f"{value!r} is no origin: write it as https://app.example.com")
    return value.rstrip("/")


@dataclass(frozen=True, slots=True)
class Question:
    """``asks`` is put to a person unless the option answered it or ``when`` says that it does not matter."""

    name: str
    asks: str
    help: str
    default: Any
    type: Any = str
    when: Callable[[Given], bool] = lambda _: True

    def option(self, command: Command) -> Command:
        """Give ``command`` the option that answers it."""
        dashed = self.name.replace("_", "-")
        if self.type is bool:
            return click.option(f"--{dashed}/--no-{dashed}", self.name, default=None, help=self.help)(command)
        return click.option(f"--{dashed}", self.name, default=None, type=self.type, help=self.help)(command)

    def ask(self) -> Any:
        """Ask it in the terminal until the answer will do."""
        if self.type is bool:
            return click.confirm(self.asks, default=self.default)
        return click.prompt(self.asks, default=self.default, type=self.type)


def _https(given: Given) -> bool:
    return given["protocol"] == "https" and not given["self_signed"]


def _cors(given: Given) -> bool:
    return bool(given["cors"])


QUESTIONS = (
    Question("dev", "Do you want to run this server in development mode?", "Log verbosely.", False, bool),
    Question("port", "Which port would you like to serve from?", "Port.", 6001, click.IntRange(1, 65_535)),
    Question(
        "database",
        "Where do events and members live? (memory: in this process; redis: what Laravel publishes there)",
        "The driver; sqlite means memory.",
        "memory",
        click.Choice(["memory", "redis", "sqlite"]),
    ),
    Question(
        "auth_host",
        "Enter the host of your Laravel authentication server.",
        "The application that is asked about private channels.",
        "http://localhost",
        origin,
    ),
    Question(
        "protocol",
        "Will you be serving on http or https?",
        "How clients connect.",
        "http",
        click.Choice(["http", "https"]),
    ),
    Question(
        "certificate",
        "Enter the path to your SSL cert file (nothing: make one for a first try).",
        "The certificate's file, PEM.",
        "",
        when=_https,
    ),
    Question(
        "certificate_key",
        "Enter the path to your SSL key file.",
        "Its key's file, PEM.",
        "",
        when=lambda given: _https(given) and bool(given["certificate"]),
    ),
    Question(
        "bearer",
        "Do you want to generate a client ID/Key for laravel-echo-server's HTTP API? (its key must be in no page)",
        "Let publishers in by the key alone.",
        False,
        bool,
    ),
    Question("cors", "Do you want to setup cross domain access to the API?", "Open that API to pages.", False, bool),
    Question(
        "cors_origin",
        "Specify the URI that may access the API:",
        "Whose pages.",
        "http://localhost:80",
        when=_cors,
    ),
    Question(
        "cors_methods",
        "Enter the HTTP methods that are allowed for CORS:",
        "The methods that they may use.",
        "GET, POST",
        when=_cors,
    ),
    Question(
        "cors_headers",
        "Enter the HTTP headers that are allowed for CORS:",
        "The headers that they may send.",
        "Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, Authorization, X-CSRF-TOKEN, X-Socket-Id",
        when=_cors,
    ),
)


def ask(given: Given, asking: bool) -> dict[str, Any]:
    """An answer to every question: the one that was given, a person's if there is one to ask, or the default."""
    answers = dict(given)
    for question in QUESTIONS:
        if answers[question.name] is None:
            asked = asking and question.when(answers)
            answers[question.name] = question.ask() if asked else question.default
    return answers
