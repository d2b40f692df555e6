"""Where laravel-echo-server.json says to listen: the port in any of its spellings, and https with its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor

from broadcaster.config.listen import resolve
from tests.echo_files import DEFAULTS, loaded, refusal
from tests.sockets import certificate


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("port", ["6001", 6001, 6001.0, "http://h:6001/", "tcp://10.0.0.1:6001", " 6001 "])
def test_e175_the_port_is_the_last_digits(port: object) -> None:
    assert loaded({"port": port}) == DEFAULTS


@pytest.mark.parametrize("port", [6, "", "http://h", 65_536, True, [], "6001x"])
def test_e175_what_ends_in_no_port_is_refused(port: object) -> None:
    assert refusal({"port": port}).startswith("port: expected a ")


# ---- https ----------------------------------------------------------------------------------------------------

MISSING = '{}: SSL paths are missing in server config; give sslCertPath and sslKeyPath, or set protocol to "http"'
PEM = "-----BEGIN CERTIFICATE-----\n…\n"


@pytest.fixture
def https() -> dict[str, Any]:
    Path("c:1.pem").write_text(PEM)
    Path("chain.pem").write_text(PEM)
    Path("key.pem").write_text("-----BEGIN PRIVATE KEY-----")
    return {"protocol": "https", "sslCertPath": "c:1.pem", "sslKeyPath": "key.pem", "sslPassphrase": ""}


def test_https_is_an_ssl_endpoint(https: dict[str, Any]) -> None:
    files = "privateKey=key.pem:certKey=c\\:1.pem"
    assert loaded(https).server.listen == (f"ssl:6001:{files}",)
    assert loaded(https | {"host": "1.2.3.4", "port": "443"}).server.listen == (f"ssl:443:{files}:interface=1.2.3.4",)
    chained = (f"ssl:6001:{files}:extraCertChain=chain.pem",)
    assert loaded(https | {"sslCertChainPath": "chain.pem"}).server.listen == chained


def test_a_chain_in_the_certificates_own_file_is_sent_as_node_does(https: dict[str, Any]) -> None:
    Path("c:1.pem").write_text(PEM * 2)
    listen = ("ssl:6001:privateKey=key.pem:certKey=c\\:1.pem:extraCertChain=c\\:1.pem",)
    assert loaded(https).server.listen == listen


def test_twisted_listens_there_with_all_certificates_of_the_file(https: dict[str, Any]) -> None:
    Path("c:1.pem").write_bytes(certificate() * 2)
    Path("key.pem").write_bytes(certificate())
    (listen,) = loaded(https | {"host": "::1"}).server.listen
    reactor = MemoryReactor()
    serverFromString(reactor, resolve(listen)).listen(Factory())
    ((port, _, tls, backlog, interface),) = reactor.sslServers
    assert (port, backlog, interface) == (6001, 4096, "::1")
    assert len(tls.extraCertChain) == 2


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"sslCertPath": ""},
            MISSING.format("sslCertPath"),
        ),
        (
            {"sslKeyPath": None},
            MISSING.format("sslKeyPath"),
        ),
        (
            {"sslPassphrase": "hush"},
            "sslPassphrase: keys with a passphrase cannot be read; write the key without one: "
            'openssl pkey -in "key.pem" -out FILE, and take this out',
        ),
        *(
            (
                {key: "no.pem"},
                f'{key}: "no.pem" cannot be read (No such file or directory); '
                "check the path, and that the user that runs the server may read it",
            )
            for key in ("sslCertPath", "sslKeyPath", "sslCertChainPath")
        ),
        (
            {"sslKeyPath": "a\0b"},
            r'sslKeyPath: "a\u0000b" is no path; check the path, and that the user that runs the server may read it',
        ),
    ],
)
def test_https_without_what_it_needs_is_refused(https: dict[str, Any], changed: dict[str, Any], line: str) -> None:
    assert refusal(https | changed) == line


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(https: dict[str, Any]) -> None:
    Path("key.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert refusal(https).startswith("sslKeyPath: the key has a passphrase and cannot be read; write the key without")
