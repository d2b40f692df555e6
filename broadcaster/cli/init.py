"""``init`` and ``configure``: ask what is needed, and write ``broadcaster.toml``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from broadcaster.cli.answers import Answers, toml_of
from broadcaster.cli.certificate import certify, files_beside
from broadcaster.cli.credentials import random_id, random_key, random_secret
from broadcaster.cli.printing import print_json
from broadcaster.cli.questions import QUESTIONS, ask
from broadcaster.cli.replacing import overwrite
from broadcaster.config import toml
from broadcaster.config.loading import TOML
from broadcaster.config.place import Place
from broadcaster.config.schema import read_table
from broadcaster.settings import Settings

NO_TERMINAL = "there is no terminal to ask in: add --no-input, and options for what is not to be as by default"
NO_CERTIFICATE = "https needs --certificate and --certificate-key, or --self-signed"


def _questions(command: Callable[..., None]) -> Callable[..., None]:
    for question in reversed(QUESTIONS):
        command = question.option(command)
    return command


@click.command
@click.option("-c", "--config", metavar="FILE", help=f"The file to write; {TOML} unless you say so.")
@click.option("-d", "--dir", "directory", metavar="DIR", default=".", help="Where to write it.")
@_questions
@click.option("--self-signed", is_flag=True, help="Serve https, and make a certificate for a first try.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A further name for that certificate to have.")
@click.option("--host", metavar="ADDRESS", help="Listen on this address only.")
@click.option("--redis-url", metavar="URL", help="Where Redis is, redis://…")
@click.option("--app-id", help="The app's id; else a random one.")
@click.option("--app-key", help="Its key; else a random one.")
@click.option("--app-secret", help="Its secret; else a random one.")
@click.option("--no-input", is_flag=True, help="Ask nothing: what no option answers is as by default.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as one JSON object.")
def init(
    config: str | None,
    directory: str,
    names: tuple[str, ...],
    no_input: bool,
    force: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Ask what is needed and write broadcaster.toml.

    These are laravel-echo-server's questions. Options answer them too, and --no-input takes the defaults.
    """
    asking = not no_input
    if asking and not sys.stdin.isatty():
        raise click.UsageError(NO_TERMINAL)
    answers = _answers(given, asking)
    if config is None:
        config = click.prompt("What should the file be called?", default=TOML) if asking else TOML
    if config.endswith(".json"):
        raise click.UsageError(f"{config}: it is TOML that is written; name a file that ends in .toml")
    file = str(Path(directory, config))
    self_signed = answers.pop("self_signed")
    if self_signed:
        answers["certificate"], answers["certificate_key"] = files_beside(file)
    wanted = Answers(**answers)
    text = toml_of(wanted)
    read_table(Settings, toml.parse(text, file), Place(file))
    may_overwrite = _consent(asking, force)
    if self_signed:
        certify(wanted.certificate, wanted.certificate_key, names, may_overwrite)
    overwrite(file, text.encode(), may_overwrite)
    _tell(file, wanted, as_json)


def _answers(given: dict[str, Any], asking: bool) -> dict[str, Any]:
    if given["self_signed"] and given["protocol"] is None:
        given["protocol"] = "https"
    answers = ask(given, asking)
    if answers["database"] == "sqlite":
        answers["database"] = "memory"
    if answers["protocol"] == "https" and not answers["self_signed"]:
        if not answers["certificate"] and asking:
            answers["self_signed"] = True
        elif not answers["certificate"] or not answers["certificate_key"]:
            raise click.UsageError(NO_CERTIFICATE)
    for name in ("certificate", "certificate_key"):
        answers[name] = os.path.abspath(answers[name]) if answers[name] else ""
    for name, made in (("app_id", random_id), ("app_key", random_key), ("app_secret", random_secret)):
        answers[name] = answers[name] or made()
    return answers


def _consent(asking: bool, force: bool) -> Callable[[str], bool]:
    def may_overwrite(file: str) -> bool:
        return force or (asking and click.confirm(f"{file} is there already. Overwrite it?", default=False))

    return may_overwrite


def _tell(file: str, answers: Answers, as_json: bool) -> None:
    app = {"id": answers.app_id, "key": answers.app_key, "secret": answers.app_secret}
    if as_json:
        certificate = {"certificate": answers.certificate} if answers.certificate else {}
        print_json({"file": file, **app, **certificate})
        return
    click.echo(f"Configuration file saved: {file}")
    for name, value in (("appId", app["id"]), ("key", app["key"]), ("secret", app["secret"])):
        click.echo(f"{name}: {value}")
    if answers.certificate:
        click.echo(f"certificate: {answers.certificate}")
