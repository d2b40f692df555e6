"""What a listen string becomes before Twisted reads it."""

from __future__ import annotations

import pytest

from broadcaster.config.listen import is_secure, resolve, without_proxy

DEFAULTS = ":interface=\\:\\::backlog=4096"


@pytest.mark.parametrize(
    ("written", "resolved", "secure"),
    [
        ("tcp:6001", f"tcp:6001{DEFAULTS}", False),
        ("tls:6001", f"tcp:6001{DEFAULTS}", True),
        ("tls:6001:interface=127.0.0.1", "tcp:6001:interface=127.0.0.1:backlog=4096", True),
        ("tls:6001:backlog=9:interface=\\:\\:1", "tcp:6001:backlog=9:interface=\\:\\:1", True),
        ("ssl:443:privateKey=k.pem", f"ssl:443:privateKey=k.pem{DEFAULTS}", False),
        ("tls:/etc/certificates:443", "tls:/etc/certificates:443", False),
        ("tls:443x", "tls:443x", False),
        ("unix:/run/b.sock", "unix:/run/b.sock", False),
    ],
)
def test_tls_with_a_port_is_ours_and_every_port_has_our_defaults(written: str, resolved: str, secure: bool) -> None:
    assert (resolve(written), is_secure(written)) == (resolved, secure)
    assert without_proxy(f"haproxy:{written}") == (True, written)
    assert is_secure(f"haproxy:{written}") is secure
