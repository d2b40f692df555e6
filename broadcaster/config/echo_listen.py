"""Where laravel-echo-server.json says to listen: ``protocol``, ``host``, ``port`` and ``ssl…`` as one endpoint."""

from __future__ import annotations

import re

from twisted.internet.endpoints import quoteStringArgument as quote

from broadcaster.config.echo_keys import Keys
from broadcaster.config.loose import text
from broadcaster.config.place import Place, quoted

_PORT = re.compile(r"([0-9]{2,5})/?\Z")
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"


def endpoint(keys: Keys, host: str) -> str:
    """The Twisted endpoint string; for ``https`` the files that it names have been looked at. Raises `ConfigError`."""
    port = keys.take("port", _port, 6001)
    secure = keys.take("protocol", _secure, False)
    certificates = _certificates(keys, secure)
    keys.ignore("secureOptions", "is left out: TLS is 1.2 or later")
    interface = f":interface={quote(host)}" if host else ""
    return f"ssl:{port}{certificates}{interface}" if secure else f"tcp:{port}{interface}"


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


def _certificates(keys: Keys, secure: bool) -> str:
    certificate, key, chain, passphrase = (
        keys.take(name, text, "") for name in ("sslCertPath", "sslKeyPath", "sslCertChainPath", "sslPassphrase")
    )
    if not secure:
        return ""
    for name, path in (("sslCertPath", certificate), ("sslKeyPath", key)):
        if not path:
            remedy = 'give sslCertPath and sslKeyPath, or set protocol to "http"'
            raise keys.at(name).error("SSL paths are missing in server config", remedy)
    plain = f"write the key without one: openssl pkey -in {quoted(key)} -out FILE"
    if passphrase:
        raise keys.at("sslPassphrase").error("keys with a passphrase cannot be read", f"{plain}, and take this out")
    if b"ENCRYPTED" in _content(key, keys.at("sslKeyPath")):
        raise keys.at("sslKeyPath").error("the key has a passphrase and cannot be read", plain)
    # Node sends all that the certificate's file holds; Twisted takes the first and has to be told of the others.
    several = _content(certificate, keys.at("sslCertPath")).count(_CERTIFICATE) > 1
    if chain:
        _content(chain, keys.at("sslCertChainPath"))
    elif several:
        chain = certificate
    extra = f":extraCertChain={quote(chain)}" if chain else ""
    return f":privateKey={quote(key)}:certKey={quote(certificate)}{extra}"


def _content(path: str, place: Place) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        problem = f"{quoted(path)} cannot be read ({error.strerror})"
    except ValueError:  # a null byte
        problem = f"{quoted(path)} is no path"
    raise place.error(problem, "check the path, and that the user that runs the server may read it")
