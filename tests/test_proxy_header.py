"""The header that a proxy sends before anything else: what it says, and that nothing else is taken for one."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.web.proxy_header import V1_LARGEST, V2_LARGEST, Client, Header, NoHeader, read

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def binary(command: int = 0x21, family: int = 0x11, block: bytes = b"") -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(block)) + block


def record(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


INET = IPv4Address("192.0.2.1").packed + IPv4Address("10.0.0.1").packed + struct.pack("!HH", 4711, 443)
INET6 = IPv6Address("2001:db8::1").packed + IPv6Address("::1").packed + struct.pack("!HH", 4711, 443)
UNIX = b"/from".ljust(108, b"\0") + b"/to".ljust(108, b"\0")
TLS = record(0x20, b"\x01\x00\x00\x00\x00" + record(0x21, b"TLSv1.3"))

GOOD = {
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443\r\n": Client("192.0.2.1", 4711),
    b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n": Client("2001:db8::1", 4711),
    b"PROXY TCP6 2001:DB8:0:0::1 ::1 0 65535\r\n": Client("2001:db8::1", 0),
    b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:10.0.0.1 4711 443\r\n": Client("192.0.2.1", 4711),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": None,
    binary(block=INET): Client("192.0.2.1", 4711),
    binary(family=0x21, block=INET6): Client("2001:db8::1", 4711),
    binary(block=INET + record(0x04, b"\0" * 40) + record(0x02, b"ws.example.com")): Client("192.0.2.1", 4711),
    binary(block=INET + TLS): Client("192.0.2.1", 4711, secure=True),
    binary(block=INET + record(0x20, b"\x00\x00\x00\x00\x01")): Client("192.0.2.1", 4711),
    binary(block=INET + record(0x20, b"")): Client("192.0.2.1", 4711),
    binary(family=0x31, block=UNIX): None,
    binary(family=0x00): None,
    binary(family=0x00, block=record(0x04, b"x")): None,
    binary(family=0x12, block=INET): None,
    binary(command=0x20): None,
    binary(command=0x20, family=0xFF, block=b"whatever this is"): None,
    binary(command=0x20, block=b"x" * (V2_LARGEST - 16)): None,
}

BAD = (
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"proxy TCP4 192.0.2.1 10.0.0.1 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4711\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 1\r\n",
    b"PROXY TCP4  192.0.2.1 10.0.0.1 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 443 \r\n",
    b"PROXY TCP4 2001:db8::1 ::1 4711 443\r\n",
    b"PROXY TCP6 192.0.2.1 10.0.0.1 4711 443\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 4711 443\r\n",
    b"PROXY TCP5 192.0.2.1 10.0.0.1 4711 443\r\n",
    b"PROXY UDP4 192.0.2.1 10.0.0.1 4711 443\r\n",
    b"PROXY TCP4 192.0.2.256 10.0.0.1 4711 443\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 -1 443\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 0x1 443\r\n",
    b"PROXY TCP4 192.0.2.1 10.0.0.1 4711 123456\r\n",
    b"PROXY TCP4 192.0.2.1 \xff 4711 443\r\n",
    b"PROXY UNKNOWN " + b"x" * V1_LARGEST,
    b"PROXY UNKNOWN ".ljust(V1_LARGEST - 1, b"x") + b"\r\n",
    binary(command=0x22),
    binary(command=0x11, block=INET),
    binary(command=0x31, block=INET),
    binary(family=0x41, block=INET),
    binary(family=0x13, block=INET),
    binary(block=INET[:-1]),
    binary(family=0x21, block=INET6[:-1]),
    binary(family=0x31, block=UNIX[:-1]),
    binary(block=INET + b"\x04\x00"),
    binary(block=INET + b"\x04\x00\x02x"),
    SIGNATURE + struct.pack("!BBH", 0x21, 0x11, V2_LARGEST),
    SIGNATURE[:-1] + b"\r",
)


@pytest.mark.parametrize("data", GOOD, ids=str)
def test_a_header_is_known_at_its_last_byte_and_not_before(data: bytes) -> None:
    for end in range(len(data)):
        assert read(data[:end]) is None
    for rest in (b"", b"GET / HTTP/1.1\r\n", b"\x00", data):
        assert read(data + rest) == Header(len(data), GOOD[data])


@pytest.mark.parametrize("data", BAD, ids=str)
def test_what_is_no_header_is_refused_and_stays_refused(data: bytes) -> None:
    refused = [end for end in range(len(data) + 1) if _refused(data[:end])]
    assert refused == list(range(refused[0], len(data) + 1))
    assert _refused(data + b"more")


def _refused(data: bytes) -> bool:
    try:
        assert read(data) is None
    except NoHeader:
        return True
    return False


ADDRESSES = st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)) | st.tuples(
    st.ip_addresses(v=6), st.ip_addresses(v=6)
)
PORTS = st.integers(0, 65_535)


@given(ADDRESSES, PORTS, st.binary(max_size=50))
def test_both_versions_tell_the_client_that_they_were_given(
    pair: tuple[IPv4Address | IPv6Address, ...], port: int, rest: bytes
) -> None:
    source, destination = pair
    line = f"PROXY TCP{source.version} {source} {destination} {port} 80\r\n".encode()
    block = source.packed + destination.packed + struct.pack("!HH", port, 80)
    for data in (line, binary(family=0x11 if source.version == 4 else 0x21, block=block)):
        header = read(data + rest)
        assert header is not None and header.client is not None
        assert (header.size, header.client.port) == (len(data), port)
        mapped = source.ipv4_mapped if isinstance(source, IPv6Address) else None
        assert ip_address(header.client.host) == (mapped or source)


STARTS = st.sampled_from(
    (b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00", SIGNATURE + b"\x21\x21")
)


@given(STARTS, st.binary(max_size=300))
def test_any_bytes_are_a_header_or_may_become_one_or_are_refused(start: bytes, data: bytes) -> None:
    try:
        header = read(start + data)
    except NoHeader:
        return
    assert header is None or header.size <= len(start + data)


def test_what_is_waited_for_is_bounded() -> None:
    assert _refused(b"PROXY UNKNOWN ".ljust(V1_LARGEST, b"x"))
    assert _refused(SIGNATURE + struct.pack("!BBH", 0x20, 0, V2_LARGEST - 15))
