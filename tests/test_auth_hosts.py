"""Which host is asked: the table of laravel-echo-server's choice, and what a URL must be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcaster.auth.hosts import Url, choose_host, read_url

ONE = ("http://app.test",)
SEVERAL = ("https://a.test", "b.test:8080", ".example.com", "http://last.test")
SUFFIX = (".example.com",)


@pytest.mark.parametrize(
    ("hosts", "referer", "chosen"),
    [
        (ONE, None, "http://app.test"),
        (ONE, "https://other.test/", "http://app.test"),
        (SEVERAL, None, "https://a.test"),
        (SEVERAL, "", "https://a.test"),
        (SEVERAL, "https://a.test/orders?id=1", "https://a.test"),
        (SEVERAL, "http://b.test:8080/", "http://b.test:8080"),
        (SEVERAL, "https://b.test:8080", "https://b.test:8080"),
        (SEVERAL, "https://x.example.com:444/p", "https://x.example.com:444"),
        (SEVERAL, "HTTPS://X.Example.COM/p", "https://x.example.com"),
        (SEVERAL, "http://a.test/", "http://last.test"),
        (SEVERAL, "https://a.test:444/", "http://last.test"),
        (SEVERAL, "http://b.test/", "http://last.test"),
        (SEVERAL, "https://x.y.example.com/", "http://last.test"),
        (SEVERAL, "https://example.com/", "http://last.test"),
        (SEVERAL, "https://localhost/", "http://last.test"),
        (SUFFIX, "https://x.y.example.com", ".example.com"),
        (SUFFIX, None, ".example.com"),
        ((), None, "http://localhost"),
        ((), "https://a.test/", "http://localhost"),
        (("https://A.test", "http://last.test"), "https://A.test/", "http://last.test"),
        (("[::1]:8000", "http://last.test"), "http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_e126_the_host_that_is_asked(hosts: tuple[str, ...], referer: str | None, chosen: str) -> None:
    assert choose_host(hosts, referer)[0] == chosen


@pytest.mark.parametrize(
    ("hosts", "referer", "meant"),
    [
        (SEVERAL, "https://other.test/", False),
        (SEVERAL, "https://a.test/", True),
        (SEVERAL, None, True),
        (ONE, "https://other.test/", True),
        ((), "https://other.test/", True),
    ],
)
def test_e126_it_is_known_when_the_last_was_taken_for_want_of_a_match(
    hosts: tuple[str, ...], referer: str | None, meant: bool
) -> None:
    assert choose_host(hosts, referer)[1] is meant


@pytest.mark.parametrize(
    "referer",
    [
        "https://evil.test\\.example.com/",
        "https://evil.test#.example.com",
        "https://evil.test/.example.com",
        "https://evil.test?.example.com",
        "https://user@x.example.com/",
        "https://evil.test\r\nx.example.com",
        "https://evil.test@x.example.com",
        "ftp://x.example.com/",
        "//x.example.com/",
        "x.example.com",
        "https://x.example.com:/",
        "https://ｘ.example.com/",
    ],
)
def test_a_page_cannot_talk_its_way_to_another_host(referer: str) -> None:
    assert choose_host(SEVERAL, referer) == ("http://last.test", False)


@given(st.one_of(st.text(), st.from_regex(r"https?://[a-z.]*(example|evil)\.(com|test)[:/#?@\\]?.*", fullmatch=True)))
def test_whatever_the_referer_only_listed_hosts_are_asked(referer: str) -> None:
    chosen, _ = choose_host(SEVERAL, referer)
    if chosen not in SEVERAL:
        url = read_url(chosen)
        assert url is None or url.authority == "b.test:8080" or url.host.partition(".")[2] == "example.com"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://localhost/broadcasting/auth", Url(False, "localhost", 80, "localhost", "/broadcasting/auth")),
        ("https://App.test:8443/a?b=c#d", Url(True, "app.test", 8443, "app.test:8443", "/a?b=c")),
        ("https://app.test:443/", Url(True, "app.test", 443, "app.test", "/")),
        ("http://app.test:443", Url(False, "app.test", 443, "app.test:443", "/")),
        ("http://[::1]:8000//a", Url(False, "::1", 8000, "[::1]:8000", "//a")),
    ],
)
def test_a_url_and_its_parts(text: str, url: Url) -> None:
    assert read_url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost/broadcasting/auth",
        ".example.com/broadcasting/auth",
        "ftp://localhost/",
        "http://",
        "http:///a",
        "http://localhost:0/",
        "http://localhost:65536/",
        "http://localhost:8000broadcasting/auth",
        "http://user:password@localhost/",
        "http://localhost/a b",
        "http://localhost/a\r\nHost: evil",
        "http://localhost/ä",
        "http://bücher.test/",
    ],
)
def test_what_is_no_url_to_ask(text: str) -> None:
    assert read_url(text) is None
