"""Whom a request comes from, as far as proxies can be believed."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.errors import ConfigError
from broadcaster.web.forwarded import TrustedProxies

PROXIES = TrustedProxies(("127.0.0.1", "::1", "10.0.0.0/8", "2001:db8::/32"))


def forwarded(*values: str, name: str = "x-forwarded-for") -> list[tuple[str, str]]:
    return [(name, value) for value in values]


@pytest.mark.parametrize(
    ("address", "trusted"),
    (
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::1", True),
        ("10.255.1.2", True),
        ("11.0.0.1", False),
        ("::ffff:10.0.0.1", True),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("", True),
        ("somewhere", False),
    ),
)
def test_addresses_and_networks_are_trusted_and_so_is_a_unix_socket(address: str, trusted: bool) -> None:
    for _ in range(2):
        assert PROXIES.trust(address) is trusted


def test_nobody_is_trusted_unless_named() -> None:
    assert not TrustedProxies(()).trust("127.0.0.1")


def test_a_network_may_be_written_with_the_address_of_a_host_in_it() -> None:
    assert TrustedProxies(("192.168.1.7/24",)).trust("192.168.1.200")


@pytest.mark.parametrize("wrong", ("proxy.test", "10.0.0.0/33", "", "10.0.0"))
def test_what_is_no_address_is_a_line_about_the_configuration(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TrustedProxies(("127.0.0.1", wrong), "broadcaster.toml")
    assert str(caught.value) == (
        f"broadcaster.toml: server.trusted_proxies: {wrong!r} is no address; "
        'write an address or a network, such as "10.0.0.0/8"'
    )


@pytest.mark.parametrize("secure", (False, True))
def test_a_stranger_is_believed_nothing(secure: bool) -> None:
    headers = [*forwarded("192.0.2.1"), ("x-forwarded-proto", "http" if secure else "https")]
    assert PROXIES.client("203.0.113.9", secure, headers) == ("203.0.113.9", secure)


@pytest.mark.parametrize(
    ("headers", "client"),
    (
        (forwarded("192.0.2.1"), "192.0.2.1"),
        (forwarded("1.2.3.4, 192.0.2.1"), "192.0.2.1"),
        (forwarded("1.2.3.4, 192.0.2.1, 10.0.0.2"), "192.0.2.1"),
        (forwarded("10.0.0.3,10.0.0.2"), "10.0.0.3"),
        (forwarded("  2001:db9::1  "), "2001:db9::1"),
        (forwarded("2001:DB9:0::1"), "2001:db9::1"),
        (forwarded("::ffff:192.0.2.1"), "192.0.2.1"),
        (forwarded("192.0.2.1, nonsense"), "127.0.0.1"),
        (forwarded("nonsense, 192.0.2.1"), "192.0.2.1"),
        (forwarded("nonsense, 10.0.0.2"), "10.0.0.2"),
        (forwarded(""), "127.0.0.1"),
        (forwarded("192.0.2.1:4711"), "127.0.0.1"),
        ([], "127.0.0.1"),
        (forwarded("192.0.2.1", name="forwarded"), "127.0.0.1"),
    ),
)
def test_the_client_is_the_rightmost_whom_no_trusted_proxy_is(headers: list[tuple[str, str]], client: str) -> None:
    assert PROXIES.client("127.0.0.1", False, headers) == (client, False)


def test_several_headers_are_one_list() -> None:
    assert PROXIES.client("127.0.0.1", False, forwarded("192.0.2.1", "10.0.0.2"))[0] == "192.0.2.1"
    assert PROXIES.client("127.0.0.1", False, forwarded("1.2.3.4", "192.0.2.1"))[0] == "192.0.2.1"


@pytest.mark.parametrize(
    ("scheme", "secure"),
    (
        ("https", True),
        ("HTTPS", True),
        ("wss", True),
        ("http", False),
        ("ws", False),
        ("http, https", True),
        ("https, http", False),
        ("", False),
        ("nonsense", False),
    ),
)
def test_a_trusted_proxy_says_whether_the_client_came_over_tls(scheme: str, secure: bool) -> None:
    headers = forwarded(scheme, name="x-forwarded-proto")
    assert PROXIES.client("127.0.0.1", False, headers) == ("127.0.0.1", secure)
    assert PROXIES.client("127.0.0.1", True, headers) == ("127.0.0.1", secure)


@pytest.mark.parametrize("secure", (False, True))
def test_a_proxy_that_says_nothing_leaves_it_at_what_is_seen(secure: bool) -> None:
    assert PROXIES.client("127.0.0.1", secure, []) == ("127.0.0.1", secure)


@given(st.text(), st.lists(st.tuples(st.sampled_from(("x-forwarded-for", "x-forwarded-proto")), st.text())))
def test_whatever_stands_there_the_answer_is_the_peer_or_an_address(peer: str, headers: list[tuple[str, str]]) -> None:
    address, _ = PROXIES.client(peer, False, headers)
    assert address == peer or ip_address(address)


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    proxies = TrustedProxies(("10.0.0.0/8",))
    for number in range(10_500):
        proxies.trust(f"192.{number >> 8}.{number & 255}.1")
    assert len(proxies._known) <= 10_001
    assert proxies.trust("10.1.1.1")
