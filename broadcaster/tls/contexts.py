"""How we speak TLS: by Mozilla's intermediate settings (ssl-config.mozilla.org, guidelines 5.8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

from broadcaster.tls.pairs import Pair

# TLS 1.2: forward secrecy and AEAD. Those of TLS 1.3 are OpenSSL's own three. The client chooses, since it knows
# whether it has AES in hardware.
_CIPHERS = ":".join(
    f"ECDHE-{signed}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for signed in ("ECDSA", "RSA")
).encode()

_PROTOCOL = b"http/1.1"
_TICKET_SECONDS = 86_400


def front(choose: Callable[[SSL.Connection], None]) -> SSL.Context:
    """A context for new connections; ``choose`` gives each the context of the certificate that it is to see.

    It lives longer than any certificate, so that clients go on resuming their sessions after a renewal; only its
    successor has other keys for the tickets that they do it with.
    """
    context = _context()
    context.set_tlsext_servername_callback(choose)
    return context


def serving(pair: Pair) -> SSL.Context:
    """A context that shows this certificate."""
    context = _context()
    context.use_certificate(pair.certificates[0])
    context.use_privatekey(pair.key)
    for issuer in pair.certificates[1:]:
        context.add_extra_chain_cert(issuer)
    return context


def _context() -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS)
    # Without it OpenSSL keeps two buffers of 17 kB for each idle connection.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    # The client keeps its session, in a ticket: 20,000 sessions kept here would be some 30 MB.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"broadcaster")
    context.set_timeout(_TICKET_SECONDS)
    context.set_alpn_select_callback(_select)
    return context


def _select(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """HTTP/1.1, or nothing at all for a client that offers only others: it may yet speak it."""
    return _PROTOCOL if _PROTOCOL in offered else SSL.NO_OVERLAPPING_PROTOCOLS
