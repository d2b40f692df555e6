"""The certificates in use: which of them a client gets by the name it asks for, and their renewal.

Files are looked at once a second. What has changed is read when it has stayed as it is for another second, since a
certificate and its key are two files and are not replaced at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from zope.interface import implementer

from broadcaster.counters import Measure
from broadcaster.errors import ConfigError
from broadcaster.interfaces import IMeasured
from broadcaster.settings import TLS, Certificate
from broadcaster.tls.contexts import front, serving
from broadcaster.tls.pairs import Pair, Unusable, named, read

DAY = 86_400
LOOK_SECONDS = 0.9
"""Between two looks at the files, so that they come with every tick of a second."""
WARNING_DAYS = 14
"""A renewal that works has come by then: certbot's comes 30 days before the end."""

Signature: TypeAlias = tuple[tuple[int, ...] | None, ...]
"""What tells a file's content from what it was, for each file; None for one that is not there."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate in use: ``key`` is its table in the configuration, ``signature`` that of its files when read."""

    name: str
    key: str
    files: Certificate
    pair: Pair
    context: SSL.Context
    signature: Signature


Found: TypeAlias = dict[str, Shown]
"""By the name that clients ask for. The first is also for all other clients, and without a name only for those."""


def found(tls: TLS, source: str) -> Found:
    """The certificates that ``tls`` names. Raises `ConfigError`."""
    shown: Found = {}
    for name, key, files in _tables(tls):
        if name in shown:
            raise ConfigError(source, f"{key}.name", f"{name} is there twice", "keep one of the two")
        try:
            shown[name] = _shown(name, key, files)
        except Unusable as error:
            raise ConfigError(source, f"{key}.{error.key}", error.problem, error.remedy) from None
    return shown


def _tables(tls: TLS) -> Iterator[tuple[str, str, Certificate]]:
    """The name, the key and the table of each certificate."""
    if named(tls) or not tls.hosts:
        yield "", "tls", tls
    for index, host in enumerate(tls.hosts):
        yield _in_ascii(host.name), f"tls.hosts[{index}]", host


def _in_ascii(name: str) -> str:
    """As clients ask for it: small letters, and other alphabets in punycode."""
    name = name.strip().lower().removesuffix(".")
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name


def _shown(name: str, key: str, files: Certificate) -> Shown:
    # The signature first: what changes while it is read is read again.
    signature = _signature(files)
    pair = read(files)
    return Shown(name or pair.name, key, files, pair, serving(pair), signature)


def _signature(files: Certificate) -> Signature:
    return tuple(_stamp(file) for file in named(files))


def _stamp(file: str) -> tuple[int, ...] | None:
    """Follows links, so that one which points elsewhere counts as changed."""
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@implementer(IMeasured, IOpenSSLServerConnectionCreator)
class Certificates:
    """What ``tls:`` listeners show. ``now`` is the wall's time in seconds since 1970.

    Raises `ConfigError` when it is made, for whatever it could not serve with.
    """

    _log = Logger()

    def __init__(self, tls: TLS, source: str, now: Callable[[], float]) -> None:
        self._now = now
        self._front = front(self._choose)
        self._front_until = now() + DAY
        self._next_look = 0.0
        self.reload(tls, source)

    def reload(self, tls: TLS, source: str) -> None:
        """Show from the next handshake on what ``tls`` names; open connections do not notice.

        Raises `ConfigError`, and changes nothing then.
        """
        self.adopt(found(tls, source), source)

    def adopt(self, shown: Found, source: str) -> None:
        """Show what `found` has found, which cannot fail any more."""
        self._found = shown
        self._source = source
        self._changed: dict[str, Signature] = {}
        self._refused: dict[str, Signature] = {}
        self._warn_at = 0.0

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """See `IOpenSSLServerConnectionCreator`."""
        return SSL.Connection(self._front, None)

    def measures(self) -> list[Measure]:
        """See `IMeasured`."""
        meaning = "Days that a certificate still has; below 0 once it has expired"
        return [
            Measure("certificate_expiry_days", meaning, days, labels=(("name", name),)) for name, days in self.days()
        ]

    def days(self) -> Iterable[tuple[str, float]]:
        """The days that each certificate still has, by the name it is for; below 0 for one that has expired."""
        now = self._now()
        days: dict[str, float] = {}
        for shown in self._found.values():
            days[shown.name] = min((shown.pair.expires - now) / DAY, days.get(shown.name, float("inf")))
        return days.items()

    def tick(self, elapsed: float) -> None:
        """Look at the files once a second, and at the calendar once a day; ``elapsed`` is monotonic. Raises nothing."""
        if elapsed < self._next_look:
            return
        self._next_look = elapsed + LOOK_SECONDS
        for name, shown in list(self._found.items()):
            self._look_at(name, shown)
        now = self._now()
        if now >= self._warn_at:
            self._warn_at = now + DAY
            self._warn(now)
        if now >= self._front_until:
            self._front_until = now + DAY
            # Other keys for session tickets, so that one that leaks opens no more than a day of TLS 1.2.
            self._front = front(self._choose)

    def _choose(self, connection: SSL.Connection) -> None:
        asked = (connection.get_servername() or b"").decode("latin-1").lower().removesuffix(".")
        found = self._found
        shown = found.get(asked) or found.get(f"*.{asked.partition('.')[2]}") or next(iter(found.values()))
        connection.set_context(shown.context)

    def _look_at(self, name: str, shown: Shown) -> None:
        signature = _signature(shown.files)
        if signature in (shown.signature, self._refused.get(name)):
            self._changed.pop(name, None)
        elif self._changed.get(name) != signature:
            self._changed[name] = signature
        else:
            del self._changed[name]
            self._replace(name, shown, signature)

    def _replace(self, name: str, shown: Shown, signature: Signature) -> None:
        now = self._now()
        try:
            fresh = _shown(name, shown.key, shown.files)
            if fresh.pair.expires < now <= shown.pair.expires:
                problem = f"{shown.files.certificate} has expired"
                raise Unusable("certificate", problem, "renew it")
        except Unusable as error:
            self._refused[name] = signature
            line = ConfigError(self._source, f"{shown.key}.{error.key}", error.problem, error.remedy)
            self._log.error("{line}; the certificate of before stays in use", line=line)
            return
        self._refused.pop(name, None)
        self._found[name] = fresh
        days = (fresh.pair.expires - now) / DAY
        self._log.info("{name}: a new certificate is in use, for {days:.0f} days", name=fresh.name, days=days)
        self._warn_at = 0.0

    def _warn(self, now: float) -> None:
        for shown in self._found.values():
            days = (shown.pair.expires - now) / DAY
            told = {"name": shown.name, "file": shown.files.certificate, "days": days}
            if days < 0:
                self._log.warn("{name}: the certificate in {file} has expired; renew it", **told)
            elif shown.pair.begins > now:
                self._log.warn("{name}: the certificate in {file} is not valid yet; check the clock", **told)
            elif days < WARNING_DAYS:
                self._log.warn("{name}: the certificate in {file} expires in {days:.1f} days; renew it", **told)
