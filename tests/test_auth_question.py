"""The question as bytes: what goes along of what a client gave, and what never does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.hosts import Url
from broadcaster.auth.question import MOST_BYTES, MOST_HEADERS, forwarded, question

URL = Url(True, "app.test", 8443, "app.test:8443", "/broadcasting/auth")


def test_e122_e124_the_whole_request() -> None:
    headers = [("X-User", "1"), ("X-CSRF-TOKEN", "csrf1"), ("Authorization", "Bearer tok")]
    assert question(URL, "presence-room", headers, "laravel_session=abc") == (
        b"POST /broadcasting/auth HTTP/1.1\r\n"
        b"X-User: 1\r\n"
        b"X-CSRF-TOKEN: csrf1\r\n"
        b"Authorization: Bearer tok\r\n"
        b"Cookie: laravel_session=abc\r\n"
        b"X-Requested-With: XMLHttpRequest\r\n"
        b"host: app.test:8443\r\n"
        b"content-type: application/x-www-form-urlencoded\r\n"
        b"content-length: 26\r\n"
        b"\r\n"
        b"channel_name=presence-room"
    )


def test_e124_without_headers_and_cookie_there_is_only_ours() -> None:
    head = question(URL, "private-x", (), None).decode().split("\r\n\r\n")[0]
    assert [line.partition(":")[0] for line in head.split("\r\n")[1:]] == [
        "X-Requested-With",
        "host",
        "content-type",
        "content-length",
    ]


@pytest.mark.parametrize(
    ("channel", "written"),
    [
        ("private-a.b_c~d-1", b"private-a.b_c~d-1"),
        ("private-a&socket_id=1", b"private-a%26socket_id%3D1"),
        ("private-a b+c/!'()*", b"private-a%20b%2Bc%2F%21%27%28%29%2A"),
        ("private-😀", b"private-%F0%9F%98%80"),
    ],
)
def test_the_body_is_the_channels_name_alone(channel: str, written: bytes) -> None:
    assert question(URL, channel, (), None).endswith(b"\r\n\r\nchannel_name=" + written)


@pytest.mark.parametrize("name", ["Cookie", "cookie", "COOKIE"])
def test_e124_the_pages_own_cookie_comes_first(name: str) -> None:
    assert forwarded([(name, "own"), ("X-A", "1")], "handshake") == [("X-A", "1"), ("Cookie", "own")]


def test_e124_an_empty_cookie_is_none() -> None:
    assert forwarded([("Cookie", "")], "handshake") == [("Cookie", "handshake")]
    assert forwarded([("Cookie", "")], None) == []
    assert forwarded([], "") == []


def test_a_cookie_that_cannot_be_a_header_stays_here() -> None:
    assert forwarded([], "a\r\nHost: evil") == []
    assert forwarded([("Cookie", "a\nb")], "handshake") == [("Cookie", "handshake")]


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "hOST",
        "Content-Length",
        "Content_Length",
        "Content-Type",
        "content-encoding",
        "Transfer-Encoding",
        "Connection",
        "Keep-Alive",
        "Upgrade",
        "TE",
        "Trailer",
        "X-Forwarded-For",
        "x-forwarded-proto",
        "X_FORWARDED_HOST",
        "Forwarded",
        "X-Real-IP",
        "True-Client-IP",
        "Client-IP",
        "CF-Connecting-IP",
        "X-Original-URL",
        "Via",
        "Expect",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Proxy",
        "Accept-Encoding",
        "X-Requested-With",
        "x_requested_with",
        "",
        "X A",
        "X:A",
        "X\r\nA",
        "X\x00",
        "Ä",
    ],
)
def test_e125_names_that_never_go_along(name: str) -> None:
    assert forwarded([(name, "3"), ("X-Token", "t")], None) == [("X-Token", "t")]


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "\x00", "\x7f", "\x1b", "€", "\ud800"])
def test_e125_values_that_never_go_along(value: str) -> None:
    assert forwarded([("X-A", value), ("X-Token", "t")], None) == [("X-Token", "t")]


@pytest.mark.parametrize("value", ["", " ", "\t", "a b", "é", "a: b", '"\\'])
def test_values_go_along_as_they_are(value: str) -> None:
    assert forwarded([("X-A", value)], None) == [("X-A", value)]


def test_of_names_that_differ_only_in_case_the_last_counts() -> None:
    given = [("Authorization", "1"), ("X-A", "a"), ("authorization", "2")]
    assert forwarded(given, None) == [("authorization", "2"), ("X-A", "a")]


def test_e125_no_more_headers_than_sixty_four() -> None:
    given = [(f"X-{n}", "v") for n in range(100)]
    assert forwarded(given, None) == given[:MOST_HEADERS]


def test_e125_no_more_bytes_than_sixteen_kilobytes() -> None:
    given = [(f"X-{n}", "v" * 1000) for n in range(32)]
    passed = forwarded(given, None)
    assert passed == given[: len(passed)]
    size = sum(len(f"{name}: {value}\r\n") for name, value in passed)
    assert MOST_BYTES - 1010 < size <= MOST_BYTES
    assert forwarded([("X-A", "v" * MOST_BYTES)], "c") == [("Cookie", "c")]


names = st.one_of(
    st.text(max_size=8), st.sampled_from(["Host", "content-length", "Cookie", "X-A", "x-a", "Transfer-Encoding", "TE"])
)


@given(
    st.lists(st.tuples(names, st.text(max_size=20)), max_size=80),
    st.none() | st.text(),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_e125_whatever_is_given_each_line_is_a_header_and_ours_are_there_once(
    headers: list[tuple[str, str]], cookie: str | None, channel: str
) -> None:
    head, _, body = question(URL, channel, headers, cookie).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first == b"POST /broadcasting/auth HTTP/1.1"
    assert not any(byte in line for line in lines for byte in b"\r\n\0")
    fields = [line.partition(b": ") for line in lines]
    assert all(name and separator for name, separator, _ in fields)
    values = {name.lower(): value for name, _, value in fields}
    assert len(values) == len(fields) <= MOST_HEADERS + 5
    assert values[b"host"] == b"app.test:8443"
    assert values[b"content-length"] == b"%d" % len(body)
    assert b"transfer-encoding" not in values
