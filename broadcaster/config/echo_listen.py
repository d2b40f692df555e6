"""Where laravel-echo-server.json says to listen: ``protocol``, ``host`` and ``port``, and TLS by its ``ssl…`` keys."""

from __future__ import annotations

import os
import re

from broadcaster.config.echo_keys import Keys
from broadcaster.config.listen import quote
from broadcaster.config.loose import text
from broadcaster.config.place import Place
from broadcaster.settings import TLS

_PORT = re.compile(r"([0-9]{2,5})/?\Z")
_KEYS = {
    "certificate": "sslCertPath",
    "key": "sslKeyPath",
    "chain": "sslCertChainPath",
    "passphrase": "sslPassphrase",
}
"""The keys that say what ``[tls]`` says."""


def endpoint(keys: Keys, host: str) -> tuple[str, TLS]:
    """What to listen on, and for ``https`` the certificate, which has been looked at. Raises `ConfigError`."""
    port = keys.take("port", _port, 6001)
    secure = keys.take("protocol", _secure, False)
    tls = _certificate(keys, secure)
    keys.ignore("secureOptions", "is left out: TLS is 1.2 or later")
    interface = f":interface={quote(host)}" if host else ""
    return f"{'tls' if secure else 'tcp'}:{port}{interface}", tls


def _port(value: object, place: Place) -> int:
    """The last two to five digits, so that ``http://localhost:6001/`` will do."""
    found = _PORT.search(text(value, place).strip())
    if found is None or int(found[1]) > 65_535:
        raise place.unexpected("a port", value, "write it as 6001")
    return int(found[1])


def _secure(value: object, place: Place) -> bool:
    match text(value, place).lower():
        case "https":
            return True
        case "http" | "":
            return False
        case _:
            raise place.unexpected('"http" or "https"', value)


def _certificate(keys: Keys, secure: bool) -> TLS:
    found = {ours: keys.take(theirs, text, "") for ours, theirs in _KEYS.items()}
    if not secure:
        return TLS()
    for name in ("certificate", "key"):
        if not found[name]:
            remedy = 'give sslCertPath and sslKeyPath, or set protocol to "http"'
            raise keys.at(_KEYS[name]).error("SSL paths are missing in server config", remedy)
    tls = TLS(
        certificate=os.path.abspath(found["certificate"]),
        key=os.path.abspath(found["key"]),
        chain=os.path.abspath(found["chain"]) if found["chain"] else None,
        passphrase=found["passphrase"] or None,
    )
    from broadcaster.tls.pairs import Unusable, read  # OpenSSL: a tenth of a second, for commands that need none

    try:
        read(tls)
    except Unusable as error:
        raise keys.at(_KEYS[error.key]).error(error.problem, error.remedy) from None
    return tls
