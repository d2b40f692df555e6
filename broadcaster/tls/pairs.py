"""Reads what one ``[tls]`` table names: a certificate with its chain, and the key that it belongs to.

Whatever a server could not serve with is refused here, so that it is told when the server starts, and so that a
renewal that is still being written never replaces a certificate that works.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from OpenSSL import SSL

from broadcaster.errors import BroadcasterError
from broadcaster.settings import Certificate

PrivateKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_KEY = re.compile(rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL)
_ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


class Unusable(BroadcasterError):
    """What ``key`` of the table names cannot be served with; says nothing of what is secret."""

    def __init__(self, key: str, problem: str, remedy: str) -> None:
        self.key = key
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem}; {remedy}")


@dataclass(frozen=True, slots=True)
class Pair:
    """A private key and the certificates to send: the server's own first, then who signed the one before."""

    key: PrivateKey
    certificates: tuple[x509.Certificate, ...]

    @property
    def name(self) -> str:
        """The first name that the certificate is for."""
        return next(iter(_names(self.certificates[0])), "unnamed")

    @property
    def expires(self) -> float:
        """When it ends, as seconds since 1970."""
        return self.certificates[0].not_valid_after_utc.timestamp()

    @property
    def begins(self) -> float:
        """When it begins, as seconds since 1970."""
        return self.certificates[0].not_valid_before_utc.timestamp()


def read(files: Certificate) -> Pair:
    """What ``files`` name. Raises `Unusable`."""
    if files.certificate is None:
        raise Unusable("certificate", "is missing", 'add certificate = "FILE"')
    passphrase = _passphrase(files)
    certificates = _certificates("certificate", files.certificate)
    chain = [] if files.chain is None else _certificates("chain", files.chain)
    key = _private_key(files, passphrase)
    public = _encoded(key.public_key())
    if _encoded(certificates[0].public_key()) != public:
        raise _mismatch(files, certificates + chain, public)
    sent = tuple(dict.fromkeys(certificates + chain))
    _check_order(files, sent)
    pair = Pair(key, sent)
    _check_strength(files, pair)
    return pair


def named(files: Certificate) -> list[str]:
    """The files that ``files`` name, each once."""
    found = (files.certificate, files.key, files.chain, files.passphrase_file)
    return list(dict.fromkeys(file for file in found if file is not None))


def _content(key: str, file: str) -> bytes:
    try:
        with open(file, "rb") as stream:
            return stream.read()
    except OSError as error:
        problem = f"{_shown(file)} cannot be read ({error.strerror})"
    except ValueError:  # a null byte
        problem = f"{_shown(file)} is no path"
    raise Unusable(key, problem, "check the path, and that the user that runs the server may read it")


def _passphrase(files: Certificate) -> bytes | None:
    if files.passphrase_file is None:
        return None if files.passphrase is None else files.passphrase.encode()
    if files.passphrase is not None:
        raise Unusable("passphrase_file", "is given besides passphrase", "keep one of the two")
    lines = _content("passphrase_file", files.passphrase_file).splitlines()
    if not lines or not lines[0]:
        problem = f"{_shown(files.passphrase_file)} is empty"
        raise Unusable("passphrase_file", problem, "write the passphrase into its first line")
    return lines[0]


def _certificates(key: str, file: str) -> list[x509.Certificate]:
    content = _content(key, file)
    if _CERTIFICATE not in content:
        remedy = "give it in PEM: openssl x509 -inform DER -in FILE -out FILE.pem"
        raise Unusable(key, f"{_shown(file)} holds no PEM certificate", remedy)
    try:
        found = x509.load_pem_x509_certificates(content)
        if len(found) < content.count(_CERTIFICATE):
            raise ValueError("one of them has no end")
        for certificate in found:
            certificate.public_key()
    except Exception:  # whatever a damaged file makes of it
        problem = f"{_shown(file)} holds a certificate that cannot be read"
        raise Unusable(key, problem, "it is damaged or half-written: write it again") from None
    return found


def _private_key(files: Certificate, passphrase: bytes | None) -> PrivateKey:
    """The key of ``files``; it may stand in the certificate's own file."""
    file = files.key if files.key is not None else files.certificate
    assert file is not None
    at = "key" if files.key is not None else "certificate"
    found = _KEY.search(_content(at, file))
    if found is None:
        if files.key is None:
            raise Unusable("key", f"is missing, and {_shown(file)} holds no private key", 'add key = "FILE"')
        remedy = "name the file that begins with BEGIN PRIVATE KEY, in PEM"
        raise Unusable("key", f"{_shown(file)} holds no PEM private key", remedy)
    encrypted = any(mark in found[0] for mark in _ENCRYPTED)
    given = "passphrase" if files.passphrase_file is None else "passphrase_file"
    if encrypted and passphrase is None:
        remedy = "give passphrase or passphrase_file, or write the key without one: openssl pkey -in FILE -out FILE"
        raise Unusable("passphrase", f"is missing: the key in {_shown(file)} is encrypted", remedy)
    try:
        key = load_pem_private_key(found[0], passphrase if encrypted else None)
    except Exception:  # whatever a damaged file makes of it
        if encrypted:
            remedy = f"try it: openssl pkey -noout -in {_shown(file)}"
            raise Unusable(given, f"does not open the key in {_shown(file)}", remedy) from None
        problem = f"{_shown(file)} holds a key that cannot be read"
        raise Unusable(at, problem, "it is damaged or half-written: write it again") from None
    if not isinstance(key, PrivateKey):
        raise Unusable(at, f"{_shown(file)} holds a key of a kind that browsers do not take", "use RSA or ECDSA")
    return key


def _mismatch(files: Certificate, found: list[x509.Certificate], public: bytes) -> Unusable:
    certificate = _shown(files.certificate or "")
    if any(_encoded(other.public_key()) == public for other in found):
        problem = f"{certificate} is in the wrong order: its first certificate is not the key's"
        return Unusable("certificate", problem, "put the server's own first, then each one that signed the one before")
    key = _shown(files.key or files.certificate or "")
    remedy = "name the two that were made for each other"
    return Unusable("key", f"{key} is not the key of the certificate in {certificate}", remedy)


def _check_order(files: Certificate, sent: tuple[x509.Certificate, ...]) -> None:
    """Each certificate must be signed by the next: most clients put up with another order, but not all."""
    for certificate, issuer in pairwise(sent):
        if certificate.issuer != issuer.subject:
            key = "chain" if files.chain is not None else "certificate"
            file = _shown(files.chain or files.certificate or "")
            problem = (
                f"{file} is in the wrong order, or of another certificate: {_shown(_common_name(issuer.subject))} "
                f"did not sign {_shown(_common_name(certificate.subject))}"
            )
            raise Unusable(key, problem, "put the server's own first, then each one that signed the one before")


def _check_strength(files: Certificate, pair: Pair) -> None:
    """OpenSSL has the last word, which refuses keys that are too short."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        context.use_certificate(pair.certificates[0])
        context.use_privatekey(pair.key)
        for issuer in pair.certificates[1:]:
            context.add_extra_chain_cert(issuer)
    except (SSL.Error, TypeError, ValueError) as error:
        reason = error.args[0][0][2] if isinstance(error, SSL.Error) and error.args and error.args[0] else error
        problem = f"{_shown(files.certificate or '')} is refused by OpenSSL ({reason})"
        raise Unusable("certificate", problem, "use RSA with 2048 bits or more, or ECDSA") from None


def _encoded(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = [str(name) for name in extension.get_values_for_type(x509.DNSName)]
        found += [str(address) for address in extension.get_values_for_type(x509.IPAddress)]
    except (x509.ExtensionNotFound, ValueError):
        found = []
    return found or [name for name in (_common_name(certificate.subject),) if name]


def _common_name(subject: x509.Name) -> str:
    found = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else subject.rfc4514_string()


def _shown(text: str) -> str:
    """A path or a name, whole, with nothing in it that a terminal would obey."""
    return text if text.isprintable() and " " not in text else json.dumps(text)
