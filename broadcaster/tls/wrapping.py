"""Puts TLS before whatever a listener speaks."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol

from broadcaster.tls.certificates import Certificates


def over_tls(certificates: Certificates, factory: Factory) -> Factory:
    """``factory`` for links that begin with a handshake; each is given its transport before that is done."""
    wrapping: Any = TLSMemoryBIOFactory(certificates, False, factory)
    # Not Twisted's own choice, which gathers small writes: the outbox has done that.
    wrapping.protocol = TLSMemoryBIOProtocol
    over: Factory = wrapping
    return over
