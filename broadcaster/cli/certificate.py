"""A self-signed certificate for a first try: browsers warn of it until they are told to believe it."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from broadcaster.cli.replacing import overwrite

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

CERTIFICATE, KEY = "certificate.pem", "key.pem"
VALIDITY = timedelta(days=365)


def files_beside(file: str) -> tuple[str, str]:
    """Where a certificate and its key belong that a configuration file names."""
    directory = os.path.dirname(os.path.abspath(file))
    return os.path.join(directory, CERTIFICATE), os.path.join(directory, KEY)


def certify(certificate: str, key: str, names: Iterable[str], may_overwrite: Callable[[str], bool]) -> None:
    """Make the two files, the key for its owner's eyes alone. Raises as `overwrite` does."""
    made = self_signed(names)
    overwrite(key, made[1], may_overwrite)
    overwrite(certificate, made[0], may_overwrite, 0o644)


def self_signed(names: Iterable[str]) -> tuple[bytes, bytes]:
    """A certificate and its key, both PEM, for this machine and for ``names``: host names or addresses."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    every = list(dict.fromkeys([*names, "localhost", socket.gethostname(), "127.0.0.1", "::1"]))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, every[0][:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks differ
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in every]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return certificate.public_bytes(pem), key.private_bytes(pem, pkcs8, plain)


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
