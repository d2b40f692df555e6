"""Where laravel-echo-server.json says to listen: the port in any of its spellings, and https with its files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broadcaster.settings import TLS
from tests.certificates import PASSPHRASE, encrypted, issued
from tests.echo_files import DEFAULTS, loaded, refusal


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


@pytest.fixture
def https(tmp_path: Path) -> dict[str, Any]:
    pair = issued()
    Path("c:1.pem").write_bytes(pair.certificate)
    Path("chain.pem").write_bytes(pair.chain)
    Path("key.pem").write_bytes(pair.key)
    return {"protocol": "https", "sslCertPath": "c:1.pem", "sslKeyPath": "key.pem", "sslPassphrase": ""}


def files(**more: str) -> TLS:
    """What the files become: paths seen from the working directory, as in Node."""
    here = {name: str(Path(path).absolute()) for name, path in more.items() if name != "passphrase"}
    both = {"certificate": str(Path("c:1.pem").absolute()), "key": str(Path("key.pem").absolute())}
    return TLS(**both | more | here)  # type: ignore[arg-type]


def test_https_is_tls_with_these_files(https: dict[str, Any]) -> None:
    settings = loaded(https)
    assert (settings.server.listen, settings.tls) == (("tls:6001",), files())
    assert loaded(https | {"host": "::1", "port": "443"}).server.listen == ("tls:443:interface=\\:\\:1",)
    assert loaded(https | {"sslCertChainPath": "chain.pem"}).tls == files(chain="chain.pem")


def test_a_passphrase_opens_the_key(https: dict[str, Any]) -> None:
    key = Path("key.pem")
    key.write_bytes(encrypted(key.read_bytes()))
    assert loaded(https | {"sslPassphrase": PASSPHRASE}).tls == files(passphrase=PASSPHRASE)


def test_without_https_the_files_do_not_matter(https: dict[str, Any]) -> None:
    settings = loaded(https | {"protocol": "http", "sslKeyPath": "gone.pem"})
    assert (settings.server.listen, settings.tls) == (("tcp:6001",), TLS())


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"sslCertPath": ""}, MISSING.format("sslCertPath")),
        ({"sslKeyPath": None}, MISSING.format("sslKeyPath")),
        *(
            (
                {key: "no.pem"},
                f"{key}: {{folder}}/no.pem cannot be read (No such file or directory); "
                "check the path, and that the user that runs the server may read it",
            )
            for key in ("sslCertPath", "sslKeyPath", "sslCertChainPath")
        ),
        (
            {"sslKeyPath": "c:1.pem"},
            "sslKeyPath: {folder}/c:1.pem holds no PEM private key; "
            "name the file that begins with BEGIN PRIVATE KEY, in PEM",
        ),
    ],
)
def test_https_without_what_it_needs_is_refused(
    https: dict[str, Any], changed: dict[str, Any], line: str, tmp_path: Path
) -> None:
    assert refusal(https | changed) == line.format(folder=tmp_path)


@pytest.mark.parametrize("passphrase", ["", "not it"])
def test_a_passphrase_that_is_missing_or_wrong_is_told_by_its_key(https: dict[str, Any], passphrase: str) -> None:
    key = Path("key.pem")
    key.write_bytes(encrypted(key.read_bytes()))
    line = refusal(https | {"sslPassphrase": passphrase})
    assert line.startswith("sslPassphrase: does not open" if passphrase else "sslPassphrase: is missing")
    assert "not it" not in line
