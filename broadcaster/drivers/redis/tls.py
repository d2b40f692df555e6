"""TLS towards Redis: whom to believe, and with which certificate to come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL.crypto import Error as CertificateError
from OpenSSL.SSL import Context
from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import Certificate, CertificateOptions, optionsForClientTLS, trustRootFromCertificates

from broadcaster.auth.trust import Blind
from broadcaster.drivers.redis.options import Options, error

_END = "-----END CERTIFICATE-----"


class Trust:
    """By ``ca``, ``verify``, ``certificate`` and ``key``; raises `ConfigError` for files that hold something else."""

    def __init__(self, options: Options) -> None:
        self._roots = trustRootFromCertificates(_certificates(options.ca)) if options.ca else None
        self._own = _own(options) if options.certificate else {}
        self._blind: Context | None = None
        # Made in any case: what does not go together is found now, not at each connection.
        blind = CertificateOptions(verify=False, **self._own)
        try:
            context = blind.getContext()
        except TLSError as fault:
            problem = f"{options.certificate!r} and {options.key!r} do not belong together ({words(fault)})"
            raise error("certificate", problem, "name the key of that certificate") from None
        if not options.verify:
            self._blind = context

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """What makes connections to ``host``."""
        if self._blind is not None:
            return Blind(self._blind, host)
        return optionsForClientTLS(host, self._roots, extraCertificateOptions=dict(self._own))


def words(fault: BaseException | None) -> str:
    """What went wrong with TLS, in a line without its tuples; empty if it was something else."""
    if isinstance(fault, VerificationError):
        return "its certificate is for another name"
    if not isinstance(fault, TLSError):
        return ""
    # OpenSSL's queue of errors, each (library, function, reason).
    queue = fault.args[0] if fault.args else ()
    reasons = [each[-1] for each in queue if isinstance(each, tuple)] if isinstance(queue, list | tuple) else []
    return f"TLS failed: {', '.join(reasons) or 'the link was closed'}"


def _certificates(file: str) -> list[Certificate]:
    blocks = _read("ca", file).split(_END)[:-1]
    try:
        found = [Certificate.loadPEM((block + _END).encode()) for block in blocks]
    except CertificateError:
        found = []
    if not found:
        raise error("ca", f"{file!r} holds no certificate in PEM", "name the file of the authority that signs Redis's")
    return found


def _own(options: Options) -> Mapping[str, Any]:
    """What Twisted is told of our certificate, those that signed it, and its key."""
    certificates, key = _read("certificate", options.certificate), _read("key", options.key)
    try:
        own, *chain = load_pem_x509_certificates(certificates.encode())
        private = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError):
        problem = f"{options.certificate!r} and {options.key!r} are no certificate and key in PEM"
        raise error("certificate", problem, "name files without a passphrase") from None
    return {"certificate": own, "privateKey": private, "extraCertChain": chain or None}


def _read(key: str, file: str) -> str:
    try:
        return Path(file).read_text()
    except (OSError, UnicodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not text"
        raise error(key, f"{file!r} cannot be read: {why}", "name a PEM file that this server may read") from None
