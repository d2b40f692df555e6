"""What a ``[tls]`` table names: read in every form that openssl writes, or refused in one line with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from broadcaster.settings import Certificate
from broadcaster.tls.pairs import Unusable, read
from tests.certificates import PASSPHRASE, Issued, authority, encrypted, issued, openssl


@pytest.fixture(scope="module", params=["rsa", "ec"])
def pair(request: pytest.FixtureRequest) -> Issued:
    return issued(kind=request.param)


@pytest.fixture(scope="module")
def other() -> Issued:
    return issued("other.test")


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def table(**contents: bytes | str) -> Certificate:
    """A table of files with these contents; a passphrase is itself."""
    values: dict[str, Any] = {}
    for name, content in contents.items():
        if isinstance(content, str):
            values[name] = content
        else:
            Path(f"{name}.pem").write_bytes(content)
            values[name] = f"{name}.pem"
    return Certificate(**values)


def refusal(**contents: bytes | str) -> str:
    with pytest.raises(Unusable) as caught:
        read(table(**contents))
    assert PASSPHRASE not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return f"{caught.value.key}: {caught.value.problem}"


# ---- what is read ---------------------------------------------------------------------------------------------


def names(certificates: tuple[x509.Certificate, ...]) -> list[str]:
    return [certificate.subject.rfc4514_string().removeprefix("CN=") for certificate in certificates]


def test_a_certificate_and_its_key(pair: Issued) -> None:
    found = read(table(certificate=pair.certificate, key=pair.key))
    assert names(found.certificates) == ["localhost"]
    assert found.name == "localhost"
    assert 19 * 86_400 < found.expires - found.begins <= 21 * 86_400


@pytest.mark.parametrize("root", [False, True])
def test_a_chain_in_a_file_of_its_own_or_in_the_certificates(pair: Issued, root: bool) -> None:
    chain = pair.chain + (authority()[0] if root else b"")
    expected = ["localhost", "Test Signer", *(["Test Root"] if root else [])]
    assert names(read(table(certificate=pair.certificate, chain=chain, key=pair.key)).certificates) == expected
    assert names(read(table(certificate=pair.certificate + chain, key=pair.key)).certificates) == expected


def test_what_is_in_both_files_is_sent_once(pair: Issued) -> None:
    found = read(table(certificate=pair.fullchain, chain=pair.fullchain, key=pair.key))
    assert names(found.certificates) == ["localhost", "Test Signer"]


def test_the_key_may_stand_in_the_certificates_file(pair: Issued) -> None:
    read(table(certificate=pair.key + pair.fullchain))
    read(table(certificate=pair.fullchain + pair.key))


@pytest.mark.parametrize("traditional", [False, True])
def test_a_passphrase_opens_the_key_in_both_forms(pair: Issued, traditional: bool) -> None:
    key = encrypted(pair.key, traditional=traditional)
    read(table(certificate=pair.certificate, key=key, passphrase=PASSPHRASE))
    read(table(certificate=pair.certificate, key=key, passphrase_file=f"{PASSPHRASE}\nanother\n".encode()))
    read(table(certificate=pair.certificate, key=key, passphrase_file=f"{PASSPHRASE}\r\n".encode()))


def test_a_passphrase_that_is_not_needed_does_no_harm(pair: Issued) -> None:
    read(table(certificate=pair.certificate, key=pair.key, passphrase=PASSPHRASE))


def test_keys_as_openssl_wrote_them_before(pair: Issued) -> None:
    form = openssl("pkey", "-traditional", given=pair.key)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    read(table(certificate=pair.certificate, key=parameters + form))


def test_text_around_the_pem_is_read_over(pair: Issued) -> None:
    text = openssl("x509", "-text", given=pair.certificate)
    read(table(certificate=b"Bag Attributes\n" + text, key=b"Key Attributes: <No Attributes>\n" + pair.key))


# ---- what is refused ------------------------------------------------------------------------------------------


REFUSALS: list[tuple[Callable[[Issued, Issued], dict[str, bytes | str]], str]] = [
    (lambda p, o: {}, "certificate: is missing"),
    (lambda p, o: {"certificate": p.certificate}, "key: is missing, and certificate.pem holds no private key"),
    (
        lambda p, o: {"certificate": p.certificate, "key": o.key},
        "key: key.pem is not the key of the certificate in certificate.pem",
    ),
    (lambda p, o: {"certificate": p.certificate, "key": p.certificate}, "key: key.pem holds no PEM private key"),
    (lambda p, o: {"certificate": p.key, "key": p.key}, "certificate: certificate.pem holds no PEM certificate"),
    (lambda p, o: {"certificate": b"", "key": p.key}, "certificate: certificate.pem holds no PEM certificate"),
    (
        lambda p, o: {"certificate": p.certificate[:-200], "key": p.key},
        "certificate: certificate.pem holds a certificate that cannot be read",
    ),
    (
        lambda p, o: {"certificate": p.fullchain[:-200], "key": p.key},
        "certificate: certificate.pem holds a certificate that cannot be read",
    ),
    (lambda p, o: {"certificate": p.certificate, "key": p.key[:-40]}, "key: key.pem holds no PEM private key"),
    (
        lambda p, o: {"certificate": p.certificate, "key": p.key[:60] + p.key[80:]},
        "key: key.pem holds a key that cannot be read",
    ),
    (
        lambda p, o: {"certificate": p.chain + p.certificate, "key": p.key},
        "certificate: certificate.pem is in the wrong order: its first certificate is not the key's",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "chain": authority()[0] + p.chain, "key": p.key},
        'chain: chain.pem is in the wrong order, or of another certificate: "Test Root" did not sign localhost',
    ),
    (
        lambda p, o: {"certificate": p.certificate + o.certificate, "key": p.key},
        "certificate: certificate.pem is in the wrong order, or of another certificate: "
        "other.test did not sign localhost",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "key": encrypted(p.key)},
        "passphrase: is missing: the key in key.pem is encrypted",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "key": encrypted(p.key), "passphrase": "wrong"},
        "passphrase: does not open the key in key.pem",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "key": encrypted(p.key, traditional=True), "passphrase": "wrong"},
        "passphrase: does not open the key in key.pem",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "key": encrypted(p.key), "passphrase_file": b"wrong\n"},
        "passphrase_file: does not open the key in key.pem",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "key": p.key, "passphrase_file": b""},
        "passphrase_file: passphrase_file.pem is empty",
    ),
    (
        lambda p, o: {"certificate": p.certificate, "key": p.key, "passphrase_file": b"x", "passphrase": PASSPHRASE},
        "passphrase_file: is given besides passphrase",
    ),
]


@pytest.mark.parametrize(("contents", "line"), REFUSALS, ids=[line for _, line in REFUSALS])
def test_what_cannot_be_served_with_is_refused(
    pair: Issued, other: Issued, contents: Callable[[Issued, Issued], dict[str, bytes | str]], line: str
) -> None:
    assert refusal(**contents(pair, other)) == line


@pytest.mark.parametrize("key", ["certificate", "key", "chain", "passphrase_file"])
@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("gone.pem", "gone.pem cannot be read (No such file or directory)"),
        (".", ". cannot be read (Is a directory)"),
        ("a\0b", r'"a\u0000b" is no path'),
    ],
)
def test_a_file_that_cannot_be_read_is_named(other: Issued, key: str, path: str, problem: str) -> None:
    assert refusal(**{"certificate": other.certificate, "key": other.key, key: path}) == f"{key}: {problem}"


def test_a_key_that_openssl_finds_too_weak_is_refused() -> None:
    weak = issued(key=openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"))
    line = refusal(certificate=weak.certificate, key=weak.key)
    assert line == "certificate: certificate.pem is refused by OpenSSL (ee key too small)"


def test_a_key_of_another_kind_is_refused(other: Issued) -> None:
    key = openssl("genpkey", "-algorithm", "X25519")
    assert (
        refusal(certificate=other.certificate, key=key)
        == "key: key.pem holds a key of a kind that browsers do not take"
    )
