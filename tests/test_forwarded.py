"""Whom a request comes from, as far as proxies can be believed."""

from __future__ import annotations

from ipaddress import ip_address
from time import perf_counter

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
        (forwarded("192.0.2.1:4711"), "192.0.2.1"),
        (forwarded("[2001:db9::1]:4711"), "2001:db9::1"),
        (forwarded("[2001:db9::1]"), "2001:db9::1"),
        (forwarded('"[2001:db9::1]:4711"'), "2001:db9::1"),
        (forwarded("1.2.3.4, 192.0.2.1:4711, [2001:db8::1]:1"), "192.0.2.1"),
        (forwarded("fe80::1%eth0"), "127.0.0.1"),
        (forwarded("192.0.2.1:port"), "127.0.0.1"),
        (forwarded("[192.0.2.1"), "127.0.0.1"),
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


@pytest.mark.parametrize(
    ("lines", "client"),
    (
        (("for=192.0.2.43",), ("192.0.2.43", False)),
        (("For=192.0.2.43;Proto=HTTPS;by=10.0.0.1",), ("192.0.2.43", True)),
        (('for="192.0.2.43:47011";proto=https',), ("192.0.2.43", True)),
        (("for=192.0.2.43:47011",), ("192.0.2.43", False)),
        (('for="[2001:db9:cafe::17]:4711"',), ("2001:db9:cafe::17", False)),
        (('for="[2001:db9::17]:_port"',), ("2001:db9::17", False)),
        (('for="[2001:db9::17]"; proto=wss',), ("2001:db9::17", True)),
        (("for=[2001:db9::17]:80",), ("2001:db9::17", False)),
        (('for="\\1\\9\\2.0.2.43"',), ("192.0.2.43", False)),
        (("for=1.2.3.4, for=192.0.2.43;proto=https, for=10.0.0.2;proto=http",), ("192.0.2.43", True)),
        (("for=192.0.2.43;proto=http, for=10.0.0.2;proto=https",), ("192.0.2.43", False)),
        (("for=1.2.3.4", "for=192.0.2.43", 'for="[2001:db8::1]"'), ("192.0.2.43", False)),
        (("for=192.0.2.43, ,",), ("192.0.2.43", False)),
        (('for=1.2.3.4, for=192.0.2.43;host="a,for=6.6.6.6;b"',), ("192.0.2.43", False)),
        # Who hides, or cannot be named, is not whoever stands left of it.
        (("for=_hidden",), ("127.0.0.1", False)),
        (("for=unknown",), ("127.0.0.1", False)),
        (("for=1.2.3.4, for=_SEVKISEK",), ("127.0.0.1", False)),
        (("for=1.2.3.4, for=unknown, for=10.0.0.2",), ("10.0.0.2", False)),
        (("proto=https",), ("127.0.0.1", False)),
        (("for=1.2.3.4, by=192.0.2.43",), ("127.0.0.1", False)),
        # What is malformed says nothing, and hides nothing that stands right of it.
        (("for=1.2.3.4 for=5.6.7.8",), ("127.0.0.1", False)),
        (("for=", "for=192.0.2.43"), ("192.0.2.43", False)),
        (("nonsense, for=192.0.2.43",), ("192.0.2.43", False)),
        (('for=1.2.3.4;x=", for=192.0.2.43',), ("127.0.0.1", False)),
        (('for=1.2.3.4;x=", for="[2001:db9::17]:80"',), ("127.0.0.1", False)),
        (("",), ("127.0.0.1", False)),
    ),
)
def test_the_standard_header_says_it_too(lines: tuple[str, ...], client: tuple[str, bool]) -> None:
    assert PROXIES.client("127.0.0.1", False, forwarded(*lines, name="forwarded")) == client


def test_the_standard_header_of_a_stranger_is_not_believed() -> None:
    headers = forwarded("for=192.0.2.43;proto=https", name="forwarded")
    assert PROXIES.client("203.0.113.9", False, headers) == ("203.0.113.9", False)


@pytest.mark.parametrize(
    ("standard", "others", "client"),
    (
        ("for=192.0.2.1;proto=https", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, True),
        ("for=192.0.2.1", {"x-forwarded-for": "192.0.2.1"}, False),
        # One of the two was written by a stranger, and nobody knows which.
        ("for=192.0.2.1", {"x-forwarded-for": "192.0.2.2"}, None),
        ("for=192.0.2.1;proto=https", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http"}, False),
        ("for=192.0.2.1;proto=http", {"x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "https"}, False),
        ("for=192.0.2.1;proto=https", {"x-forwarded-for": "192.0.2.1"}, False),
    ),
)
def test_headers_that_contradict_each_other_are_not_believed(
    standard: str, others: dict[str, str], client: bool | None
) -> None:
    for headers in ([("forwarded", standard), *others.items()], [*others.items(), ("forwarded", standard)]):
        expected = ("127.0.0.1", False) if client is None else ("192.0.2.1", client)
        assert PROXIES.client("127.0.0.1", False, headers) == expected


def test_a_header_of_quotes_is_read_in_one_go() -> None:
    for line in ('"' + '\\"' * 20_000, '"\\' * 20_000, "[" * 40_000, 'for="' * 10_000, ";" * 40_000, "a=" * 20_000):
        began = perf_counter()
        PROXIES.client("127.0.0.1", False, [("forwarded", line), ("x-forwarded-for", line)])
        assert perf_counter() - began < 0.5


@given(
    st.text(),
    st.lists(
        st.tuples(
            st.sampled_from(("x-forwarded-for", "x-forwarded-proto", "forwarded")),
            st.one_of(st.text(), st.text(alphabet='for=proto;,:[]"\\ 12.\t')),
        )
    ),
)
def test_whatever_stands_there_the_answer_is_the_peer_or_an_address(peer: str, headers: list[tuple[str, str]]) -> None:
    address, _ = PROXIES.client(peer, False, headers)
    assert address == peer or ip_address(address)


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    proxies = TrustedProxies(("10.0.0.0/8",))
    for number in range(10_500):
        proxies.trust(f"192.{number >> 8}.{number & 255}.1")
    assert len(proxies._known) <= 10_001
    assert proxies.trust("10.1.1.1")
