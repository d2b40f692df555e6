"""Certificates as operators get them, made by openssl: an authority, one below it that signs, and servers' own."""

from __future__ import annotations

import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

KINDS = {
    "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
    "ec": ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
}
PASSPHRASE = "hush, a passphrase"


class Issued(NamedTuple):
    """PEM: a server's certificate, those that signed it (the nearest first), and its private key."""

    certificate: bytes
    chain: bytes
    key: bytes

    @property
    def fullchain(self) -> bytes:
        return self.certificate + self.chain


def openssl(*arguments: str, given: bytes = b"") -> bytes:
    """What openssl answers."""
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def private_key(kind: str = "ec") -> bytes:
    """A private key of an algorithm."""
    return openssl("genpkey", *KINDS[kind])


def encrypted(key: bytes, passphrase: str = PASSPHRASE, traditional: bool = False) -> bytes:
    """``key`` under a passphrase: in PKCS #8, or as OpenSSL wrote it before 1.0."""
    form = ("-traditional",) if traditional else ()
    return openssl("pkey", "-aes256", "-passout", f"pass:{passphrase}", *form, given=key)


@cache
def authority() -> tuple[bytes, bytes, bytes]:
    """PEM: the authority's own certificate, that of the one which signs for it, and the latter's key."""
    with tempfile.TemporaryDirectory() as folder:
        root, signer = _file(folder, "root.key", private_key()), _file(folder, "signer.key", private_key())
        made = openssl("req", "-x509", "-key", root, "-subj", "/CN=Test Root", "-days", "30", *_extensions("CA:true"))
        certificate = _file(folder, "root.pem", made)
        request = openssl("req", "-new", "-key", signer, "-subj", "/CN=Test Signer")
        extensions = _file(folder, "extensions", b"basicConstraints=critical,CA:true\nkeyUsage=keyCertSign\n")
        signing = ("-CA", certificate, "-CAkey", root, "-CAcreateserial", "-days", "30", "-extfile", extensions)
        between = openssl("x509", "-req", *signing, given=request)
        return made, between, Path(signer).read_bytes()


def issued(name: str = "localhost", kind: str = "ec", days: int = 20, key: bytes | None = None) -> Issued:
    """A new certificate for ``name`` and 127.0.0.1, signed by the authority's signer."""
    _, between, signing = authority()
    key = key or private_key(kind)
    with tempfile.TemporaryDirectory() as folder:
        request = openssl("req", "-new", "-key", _file(folder, "key", key), "-subj", f"/CN={name}")
        names = f"subjectAltName=DNS:{name},IP:127.0.0.1\nextendedKeyUsage=serverAuth\n".encode()
        extensions = ("-days", str(days), "-extfile", _file(folder, "extensions", names))
        signer = ("-CA", _file(folder, "signer.pem", between), "-CAkey", _file(folder, "signer.key", signing))
        return Issued(openssl("x509", "-req", *signer, "-CAcreateserial", *extensions, given=request), between, key)


def expired(name: str = "localhost") -> Issued:
    """One that ended yesterday; openssl itself makes those only with a database of an authority."""
    key = load_pem_private_key(pem := private_key(), None)
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number())  # type: ignore[arg-type]
        .not_valid_before(now - timedelta(days=9))
        .not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
    )
    return Issued(made.public_bytes(serialization.Encoding.PEM), b"", pem)


def written(folder: Path, pair: Issued, name: str = "server") -> tuple[Path, Path]:
    """The files of the full chain and of the key, in ``folder``."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    certificate.write_bytes(pair.fullchain)
    key.write_bytes(pair.key)
    return certificate, key


def _extensions(constraint: str) -> tuple[str, ...]:
    return "-addext", f"basicConstraints=critical,{constraint}", "-addext", "keyUsage=keyCertSign,cRLSign"


def _file(folder: str, name: str, content: bytes) -> str:
    path = Path(folder, name)
    path.write_bytes(content)
    return str(path)
