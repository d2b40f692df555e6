"""Redis over TLS: whom the driver believes, and whom it shows itself to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from broadcaster.drivers.redis.options import read_options
from broadcaster.drivers.redis.tls import Trust
from broadcaster.errors import ConfigError
from tests.certificates import authority, issued, openssl, private_key
from tests.driving import Driving
from tests.processes import free_port
from tests.redis import Redis, Sentinel
from tests.sockets import run_until

pytestmark = pytest.mark.real


class Files(NamedTuple):
    """What an operator has: the authority's certificate, Redis's, and one for clients, with their keys."""

    ca: Path
    certificate: Path
    key: Path
    client: Path
    client_key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("certificates")
    root, _, _ = authority()
    own = issued()
    key = private_key()
    files = Files(*(folder / name for name in ("ca.pem", "redis.pem", "redis.key", "client.pem", "client.key")))
    files.client_key.write_bytes(key)
    for file, content in ((files.ca, root), (files.certificate, own.fullchain), (files.key, own.key)):
        file.write_bytes(content)
    files.client.write_bytes(
        openssl("req", "-x509", "-key", str(files.client_key), "-subj", "/CN=broadcaster", "-days", "9")
    )
    return files


def lines(files: Files, port: int, clients: str = "no") -> tuple[str, ...]:
    return (
        f"tls-port {port}",
        f"tls-cert-file {files.certificate}",
        f"tls-key-file {files.key}",
        f"tls-ca-cert-file {files.client}",
        f"tls-auth-clients {clients}",
    )


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def redis(files: Files, port: int) -> Iterator[Redis]:
    with Redis(*lines(files, port)) as redis:
        yield redis


def works(redis: Redis, here: Driving) -> None:
    here.want("a")
    here.publish("a", "x" * 300_000)
    assert len(here.wait_for()) == 1


def test_who_is_signed_by_the_named_authority_is_believed(redis: Redis, port: int, files: Files) -> None:
    with Driving(f"rediss://127.0.0.1:{port}", ca=str(files.ca)) as here:
        works(redis, here)
        redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        here.wait_until_it_is_deaf()
        here.wait_until_it_hears()
        works(redis, here)


def test_anybody_is_believed_if_the_configuration_says_so(redis: Redis, port: int) -> None:
    with Driving(f"rediss://127.0.0.1:{port}", verify=False) as here:
        works(redis, here)


def test_a_stranger_is_not_believed_until_the_certificate_is_right(redis: Redis, port: int, files: Files) -> None:
    with Driving(f"rediss://127.0.0.1:{port}", wait=False) as here:
        run_until(lambda: here.lines, "a line")
        assert here.lines == [f"deaf to Redis: 127.0.0.1:{port}: TLS failed: certificate verify failed"]


def test_redis_may_ask_who_comes(files: Files, port: int) -> None:
    with Redis(*lines(files, port, "yes")) as redis:
        shown = {"ca": str(files.ca), "certificate": str(files.client), "key": str(files.client_key)}
        with Driving(f"rediss://127.0.0.1:{port}", **shown) as here:
            works(redis, here)
        with Driving(f"rediss://127.0.0.1:{port}", **{**shown, "ca": "", "verify": False}) as here:
            works(redis, here)
        with Driving(f"rediss://127.0.0.1:{port}", ca=str(files.ca), wait=False) as here:
            run_until(lambda: here.lines, "a line")
            assert "TLS failed" in here.lines[0]


def test_a_plain_redis_is_no_redis_over_tls(redis: Redis, files: Files) -> None:
    with Driving(f"rediss://127.0.0.1:{redis.port}", ca=str(files.ca), wait=False) as here:
        run_until(lambda: here.lines, "a line")
        assert here.lines[0].startswith(f"deaf to Redis: 127.0.0.1:{redis.port}: ")


def test_a_redis_over_tls_is_no_plain_redis(redis: Redis, port: int) -> None:
    with Driving(f"redis://127.0.0.1:{port}", wait=False) as here:
        run_until(lambda: here.lines, "a line")
        assert here.lines[0].startswith(f"deaf to Redis: 127.0.0.1:{port}: ")


def test_sentinels_and_redis_may_both_speak_tls(redis: Redis, port: int, files: Files) -> None:
    watched = free_port()
    with Sentinel(redis, 1, *lines(files, watched)) as sentinel:
        # It watches the plain port and tells the other: Redis has both here.
        sentinel.command("SENTINEL", "REMOVE", "mymaster")
        sentinel.command("SENTINEL", "MONITOR", "mymaster", "127.0.0.1", port, 1)
        with Driving(f"rediss+sentinel://127.0.0.1:{watched}/mymaster", ca=str(files.ca)) as here:
            works(redis, here)


@pytest.mark.parametrize(
    ("key", "content", "line"),
    (
        ("ca", b"nothing", "holds no certificate in PEM"),
        ("ca", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no certificate in PEM"),
        ("ca", b"\xff", "cannot be read: it is not text"),
        ("certificate", b"nothing", "are no certificate and key in PEM"),
        ("key", b"nothing", "are no certificate and key in PEM"),
        ("key", private_key(), "do not belong together"),
    ),
)
def test_files_that_hold_something_else_are_one_line(
    files: Files, tmp_path: Path, key: str, content: bytes, line: str
) -> None:
    (tmp_path / "file").write_bytes(content)
    shown = {"certificate": str(files.client), "key": str(files.client_key)}
    options = read_options({"url": "rediss://host", **shown, key: str(tmp_path / "file")})
    with pytest.raises(ConfigError) as caught:
        Trust(options)
    assert caught.value.key == f"driver.redis.{'ca' if key == 'ca' else 'certificate'}"
    assert line in caught.value.problem
