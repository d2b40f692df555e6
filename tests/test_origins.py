"""Whose pages may come in: ours and socket.io's ways to name an origin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.web.origins import allowed_origin


@pytest.mark.parametrize(
    ("origin", "allowed", "welcome"),
    (
        ("https://a.test", ("https://a.test",), True),
        ("https://A.TEST", ("https://a.test",), True),
        ("https://a.test", ("HTTPS://A.test",), True),
        ("https://a.test:443", ("https://a.test",), True),
        ("https://a.test", ("https://a.test:443",), True),
        ("https://a.test:8443", ("https://a.test",), False),
        ("https://a.test", ("https://a.test:8443",), False),
        ("http://a.test", ("https://a.test",), False),
        ("http://a.test:80", ("http://a.test",), True),
        ("https://b.test", ("https://a.test", "https://b.test"), True),
        ("https://x.a.test", ("https://*.a.test",), True),
        ("https://x.y.a.test", ("https://*.a.test",), True),
        ("https://a.test", ("https://*.a.test",), False),
        ("https://xa.test", ("https://*.a.test",), False),
        ("https://.a.test", ("https://*.a.test",), False),
        ("http://x.a.test", ("https://*.a.test",), False),
        ("https://x.a.test:8443", ("https://*.a.test:8443",), True),
        ("https://a.test.evil.test", ("https://a.test",), False),
        ("https://evil.test/https://a.test", ("https://a.test",), False),
        ("https://a.test@evil.test", ("https://a.test",), False),
        ("https://[2001:db8::1]", ("https://[2001:db8::1]",), True),
        ("https://[2001:db8::2]", ("https://[2001:db8::1]",), False),
        ("capacitor://localhost", ("capacitor://localhost",), True),
        ("null", ("https://a.test",), False),
        ("", ("https://a.test",), False),
        ("https://[", ("https://a.test",), False),
        ("https://a.test:no", ("https://a.test",), False),
        ("anything", ("*",), True),
        ("https://a.test", (), False),
        (None, ("https://a.test",), True),
        (None, (), True),
        ("https://a.test", ("a.test:443",), True),
        ("http://a.test", ("a.test:443",), False),
        ("http://a.test:8080", ("a.test:8080",), True),
        ("https://a.test:8080", ("a.test:8080",), True),
        ("http://b.test:8080", ("a.test:8080",), False),
        ("http://a.test", ("a.test",), True),
        ("https://a.test", ("a.test",), True),
        ("https://a.test:8443", ("a.test",), False),
        ("https://a.test:8443", ("a.test:*",), True),
        ("http://a.test", ("a.test:*",), True),
        ("http://x.a.test", ("a.test:*",), False),
        ("https://x.a.test:1", ("*.a.test:*",), True),
        ("https://b.test:8443", ("*:8443",), True),
        ("https://b.test", ("*:443",), True),
        ("http://b.test", ("*:443",), False),
        ("null", ("*:80", "a.test:*"), False),
        ("https://b.test:8443", ("https://b.test:*",), True),
        ("http://b.test:8443", ("https://b.test:*",), False),
        ("http://b.test", ("*:*",), True),
        ("https://[2001:db8::1]:8443", ("[2001:db8::1]:*",), True),
        ("https://a.test/page?x=https://b.test", ("a.test:443",), True),
    ),
)
def test_an_origin_is_scheme_host_and_port(origin: str | None, allowed: tuple[str, ...], welcome: bool) -> None:
    assert allowed_origin(origin, allowed) is welcome


@given(st.text(), st.text())
def test_whatever_an_origin_is_it_is_no_error(origin: str, allowed: str) -> None:
    assert allowed_origin(origin, (allowed,)) in (True, False)


@given(st.text(max_size=20))
def test_no_other_text_passes_for_an_origin(origin: str) -> None:
    assert not allowed_origin(origin, ("https://a.test", "https://*.sub.test", "a.test:*"))
