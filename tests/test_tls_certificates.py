"""Which certificate a client sees, and that a renewed one is seen by the next, whatever happens to the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.x509 import load_pem_x509_certificate
from msgspec.structs import replace
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from broadcaster.errors import ConfigError
from broadcaster.settings import TLS, Host
from broadcaster.tls.certificates import DAY, Certificates, found
from tests.certificates import PASSPHRASE, Issued, encrypted, expired, issued, written

START = 1_800_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What was logged meanwhile, as text."""
    told: list[str] = []

    def observe(event: Any) -> None:
        told.append(event["log_format"].format(**event))

    globalLogPublisher.addObserver(observe)
    yield told
    globalLogPublisher.removeObserver(observe)


def client(context: SSL.Context, name: str | None) -> SSL.Connection:
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    if name is not None:
        connection.set_tlsext_host_name(name.encode())
    return connection


def shake(certificates: Certificates, peer: SSL.Connection) -> SSL.Connection:
    """The server's end after a handshake that is nothing but memory."""
    server = certificates.serverConnectionForTLS(None)
    server.set_accept_state()
    for _ in range(4):
        for here, there in ((peer, server), (server, peer)):
            with suppress(SSL.WantReadError):
                here.do_handshake()
            with suppress(SSL.WantReadError):
                there.bio_write(here.bio_read(65_536))
    with suppress(SSL.WantReadError):
        peer.recv(1)
    return server


def seen(certificates: Certificates, name: str | None = None) -> str:
    """The serial number of the certificate that a client sees, whatever it does with it."""
    peer = client(SSL.Context(SSL.TLS_CLIENT_METHOD), name)
    shake(certificates, peer)
    certificate = peer.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return f"{certificate.serial_number:x}"


def serial(pair: Issued) -> str:
    return f"{load_pem_x509_certificate(pair.certificate).serial_number:x}"


def tls(folder: Path, pair: Issued, **more: Any) -> TLS:
    certificate, key = written(folder, pair)
    return TLS(certificate=str(certificate), key=str(key), **more)


@pytest.fixture
def renewing(tmp_path: Path, clock: Clock) -> Renewing:
    return Renewing(tmp_path, clock)


class Renewing:
    """Certificates in use, and the files that they were read from."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.first = issued()
        self.folder = folder
        self.clock = clock
        self.clock.now = datetime.now().timestamp()
        self.certificates = Certificates(tls(folder, self.first), "broadcaster.toml", clock)

    @property
    def certificate(self) -> Path:
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        return self.folder / "server.key"

    def tick(self, times: int = 2) -> None:
        for _ in range(times):
            self.clock.now += 1
            self.certificates.tick(self.clock.now)

    @property
    def seen(self) -> str:
        return seen(self.certificates)


def test_it_is_what_twisted_asks_for_connections(renewing: Renewing) -> None:
    assert verifyObject(IOpenSSLServerConnectionCreator, renewing.certificates)


# ---- names ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three() -> dict[str, Issued]:
    return {name: issued(name) for name in ("default.test", "a.test", "wild.test")}


def hosts(folder: Path, three: dict[str, Issued]) -> tuple[Host, ...]:
    made = []
    for index, (name, pair) in enumerate((("A.test.", three["a.test"]), ("*.wild.test", three["wild.test"]))):
        certificate, key = written(folder, pair, str(index))
        made.append(Host(name=name, certificate=str(certificate), key=str(key)))
    return tuple(made)


NAMES = [
    ("a.test", "a.test"),
    ("A.TEST", "a.test"),
    ("any.wild.test", "wild.test"),
    ("wild.test", "default.test"),
    ("two.labels.wild.test", "default.test"),
    ("sub.a.test", "default.test"),
    ("localhost", "default.test"),
    (None, "default.test"),
]


@pytest.mark.parametrize(("asked", "shown"), NAMES)
def test_a_client_sees_the_certificate_of_the_name_it_asks_for(
    tmp_path: Path, three: dict[str, Issued], clock: Clock, asked: str | None, shown: str
) -> None:
    certificates = Certificates(tls(tmp_path, three["default.test"], hosts=hosts(tmp_path, three)), "x", clock)
    assert seen(certificates, asked) == serial(three[shown])


def test_without_a_certificate_of_its_own_the_first_host_is_for_everybody(
    tmp_path: Path, three: dict[str, Issued], clock: Clock
) -> None:
    certificates = Certificates(TLS(hosts=hosts(tmp_path, three)), "x", clock)
    assert seen(certificates, "unknown.test") == serial(three["a.test"])
    assert dict(certificates.days()).keys() == {"a.test", "*.wild.test"}


def test_a_name_in_another_alphabet_is_known_as_clients_write_it(
    tmp_path: Path, three: dict[str, Issued], clock: Clock
) -> None:
    certificate, key = written(tmp_path, three["a.test"], "other")
    host = Host(name="Bücher.test", certificate=str(certificate), key=str(key))
    certificates = Certificates(tls(tmp_path, three["default.test"], hosts=(host,)), "x", clock)
    assert seen(certificates, "xn--bcher-kva.test") == serial(three["a.test"])


def test_what_is_wrong_is_told_with_its_table(tmp_path: Path, three: dict[str, Issued]) -> None:
    good = hosts(tmp_path, three)
    with pytest.raises(ConfigError, match=r"^x: tls\.certificate: is missing; add certificate = "):
        found(TLS(), "x")
    with pytest.raises(ConfigError, match=r"^x: tls\.certificate: is missing; "):
        found(TLS(key="k.pem", hosts=good), "x")
    with pytest.raises(ConfigError, match=r"^x: tls\.hosts\[1\]\.key: /gone cannot be read \(No such file"):
        found(TLS(hosts=(good[0], replace(good[1], key="/gone"))), "x")
    with pytest.raises(ConfigError, match=r"^x: tls\.hosts\[2\]\.name: a\.test is there twice; "):
        found(TLS(hosts=(*good, replace(good[0], name="a.test"))), "x")


# ---- what is spoken -------------------------------------------------------------------------------------------


def test_sessions_are_resumed_also_after_a_renewal_but_not_for_ever(renewing: Renewing) -> None:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    first = client(context, "localhost")
    server = shake(renewing.certificates, first)
    keys = server.master_key()
    session = first.get_session()
    assert session is not None

    open_links = [first]  # a link that goes without a goodbye takes its session along

    def resumed() -> bool:
        again = client(context, "localhost")
        open_links.append(again)
        again.set_session(session)
        return shake(renewing.certificates, again).master_key() == keys

    assert resumed()
    written(renewing.folder, issued())
    renewing.tick()
    assert renewing.seen != serial(renewing.first)
    assert resumed()
    renewing.clock.now += DAY
    renewing.tick(1)
    assert not resumed()


# ---- renewal --------------------------------------------------------------------------------------------------


def in_place(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def moved(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(path)


def linked(path: Path, content: bytes) -> None:
    """As certbot does: a link that points to another file each time."""
    target = path.with_name(f"{path.name}.{os.urandom(4).hex()}")
    target.write_bytes(content)
    path.unlink()
    path.symlink_to(target)


WAYS = [in_place, moved, linked]


@pytest.mark.parametrize("way", WAYS)
def test_changed_files_are_used_for_the_next_handshake(
    renewing: Renewing, way: Callable[[Path, bytes], None], lines: list[str]
) -> None:
    for _ in range(2):
        fresh = issued()
        way(renewing.certificate, fresh.fullchain)
        way(renewing.key, fresh.key)
        renewing.tick()
        assert renewing.seen == serial(fresh)
    assert lines.count("localhost: a new certificate is in use, for 20 days") == 2


def test_files_that_still_change_are_left_alone(renewing: Renewing, lines: list[str]) -> None:
    fresh = issued()
    for end in range(100, 1_000, 100):
        renewing.certificate.write_bytes(fresh.fullchain[:end])
        renewing.tick(1)
    renewing.certificate.write_bytes(fresh.fullchain)
    renewing.tick(1)
    renewing.key.write_bytes(fresh.key)
    renewing.tick(1)
    assert renewing.seen == serial(renewing.first)
    renewing.tick(1)
    assert renewing.seen == serial(fresh)
    assert lines == ["localhost: a new certificate is in use, for 20 days"]


def no_key(renewing: Renewing) -> None:
    renewing.key.unlink()


def half_written(renewing: Renewing) -> None:
    renewing.certificate.write_bytes(renewing.first.fullchain[:-100])


def of_another_key(renewing: Renewing) -> None:
    renewing.certificate.write_bytes(issued().fullchain)


def of_last_year(renewing: Renewing) -> None:
    written(renewing.folder, expired())


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (no_key, "tls.key: {}/server.key cannot be read (No such file or directory); check the path, "),
        (half_written, "tls.certificate: {}/server.pem holds a certificate that cannot be read; "),
        (of_another_key, "tls.key: {}/server.key is not the key of the certificate in {}/server.pem; "),
        (of_last_year, "tls.certificate: {}/server.pem has expired; renew it"),
    ],
)
def test_what_cannot_be_used_is_told_once_and_the_old_stays(
    renewing: Renewing, lines: list[str], fault: Callable[[Renewing], None], line: str
) -> None:
    renewing.tick(1)
    fault(renewing)
    renewing.tick(10)
    assert renewing.seen == serial(renewing.first)
    (told,) = lines
    assert told.startswith(f"broadcaster.toml: {line.format(renewing.folder, renewing.folder)}")
    assert told.endswith("; the certificate of before stays in use")
    fresh = issued()
    written(renewing.folder, fresh)
    renewing.tick()
    assert renewing.seen == serial(fresh)
    assert len(lines) == 2


def test_one_host_is_renewed_and_the_others_stay(tmp_path: Path, three: dict[str, Issued], clock: Clock) -> None:
    certificates = Certificates(tls(tmp_path, three["default.test"], hosts=hosts(tmp_path, three)), "x", clock)
    fresh = issued("a.test")
    written(tmp_path, fresh, "0")
    certificates.tick(1)
    certificates.tick(2)
    assert seen(certificates, "a.test") == serial(fresh)
    assert seen(certificates, "b.wild.test") == serial(three["wild.test"])
    assert seen(certificates) == serial(three["default.test"])


def test_a_renewed_key_may_have_another_passphrase(tmp_path: Path, clock: Clock) -> None:
    first, second = issued(), issued()
    file = tmp_path / "passphrase"
    file.write_text("one")
    pair = tls(tmp_path, first._replace(key=encrypted(first.key, "one")), passphrase_file=str(file))
    certificates = Certificates(pair, "x", clock)
    written(tmp_path, second._replace(key=encrypted(second.key, "two")))
    file.write_text("two")
    certificates.tick(1)
    certificates.tick(2)
    assert seen(certificates) == serial(second)


def test_a_reload_is_at_once_and_takes_other_files(renewing: Renewing, tmp_path: Path) -> None:
    fresh, other = issued(), issued("other.test")
    written(renewing.folder, fresh)
    table = TLS(certificate=str(renewing.certificate), key=str(renewing.key))
    renewing.certificates.reload(table, "x")
    assert renewing.seen == serial(fresh)
    certificate, key = written(tmp_path, other, "other")
    host = Host(name="other.test", certificate=str(certificate), key=str(key))
    renewing.certificates.reload(TLS(certificate=table.certificate, key=table.key, hosts=(host,)), "x")
    assert seen(renewing.certificates, "other.test") == serial(other)
    assert renewing.seen == serial(fresh)


def test_a_reload_that_fails_changes_nothing(renewing: Renewing) -> None:
    renewing.key.write_bytes(issued().key)
    with pytest.raises(ConfigError):
        renewing.certificates.reload(TLS(certificate=str(renewing.certificate), key=str(renewing.key)), "x")
    assert renewing.seen == serial(renewing.first)


# ---- expiry ---------------------------------------------------------------------------------------------------


def test_the_end_is_warned_of_from_two_weeks_before_and_every_day(renewing: Renewing, lines: list[str]) -> None:
    for _ in range(22):
        renewing.tick()
        renewing.clock.now += DAY
    told = [line.removeprefix(f"localhost: the certificate in {renewing.certificate} ") for line in lines]
    assert told[0] == "expires in 14.0 days; renew it"
    assert told[-2:] == ["expires in 0.0 days; renew it", "has expired; renew it"] or len(told) == 16
    assert [line.startswith("expires in ") for line in told] == [True] * 14 + [False] * (len(told) - 14)


def test_an_expired_certificate_is_served_and_warned_of(tmp_path: Path, clock: Clock, lines: list[str]) -> None:
    certificates = Certificates(tls(tmp_path, expired()), "x", clock)
    clock.now = datetime.now().timestamp()
    certificates.tick(1)
    assert lines == [f"localhost: the certificate in {tmp_path}/server.pem has expired; renew it"]
    assert seen(certificates)
    assert -1.1 < dict(certificates.days())["localhost"] < -0.9


def test_one_that_is_not_valid_yet_is_warned_of(tmp_path: Path, clock: Clock, lines: list[str]) -> None:
    clock.now = START - 20 * 365 * DAY
    Certificates(tls(tmp_path, issued()), "x", clock).tick(1)
    assert lines == [f"localhost: the certificate in {tmp_path}/server.pem is not valid yet; check the clock"]


def test_a_passphrase_is_never_told(tmp_path: Path, clock: Clock, lines: list[str]) -> None:
    pair = issued()
    table = tls(tmp_path, pair._replace(key=encrypted(pair.key)), passphrase=PASSPHRASE)
    certificates = Certificates(table, "x", clock)
    written(tmp_path, pair._replace(key=encrypted(pair.key, "another")))
    certificates.tick(1)
    certificates.tick(2)
    (line, _) = lines
    assert "tls.passphrase: does not open the key" in line + lines[1]
    assert PASSPHRASE not in "".join(lines)
