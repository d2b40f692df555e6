"""What ``[driver.redis]`` may say; docs/redis.md says the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from broadcaster.drivers.redis.address import Address, BadAddress, read_address
from broadcaster.drivers.redis.options import Options, Table, read_options
from broadcaster.errors import ConfigError

DOCUMENT = (Path(__file__).parent.parent / "docs" / "redis.md").read_text("utf-8")

# ---- addresses ------------------------------------------------------------------------------------------------

ADDRESSES = {
    "redis://r": Address(hosts=(("r", 6379),)),
    "redis://r/": Address(hosts=(("r", 6379),)),
    "redis://r:7/3": Address(hosts=(("r", 7),), database=3),
    "redis://[::1]:7/0": Address(hosts=(("::1", 7),)),
    "rediss://r": Address(hosts=(("r", 6379),), tls=True),
    "redis://:p%40ss@r": Address(hosts=(("r", 6379),), password="p@ss"),
    "redis://ann:p:q@r": Address(hosts=(("r", 6379),), username="ann", password="p:q"),
    "redis+unix:///run/r.sock": Address(path="/run/r.sock"),
    "redis+unix://:p@/run/a%20b.sock?db=2": Address(path="/run/a b.sock", database=2, password="p"),
    "redis+sentinel://a/m": Address(hosts=(("a", 26379),), master="m"),
    "redis+sentinel://u:p@a:1,[::1]:2,c/m/4": Address(
        hosts=(("a", 1), ("::1", 2), ("c", 26379)), master="m", database=4, username="u", password="p"
    ),
    "rediss+sentinel://a/m": Address(hosts=(("a", 26379),), master="m", tls=True),
}


@pytest.mark.parametrize("url", ADDRESSES)
def test_a_url_is_the_address_that_it_says(url: str) -> None:
    assert read_address(url) == ADDRESSES[url]


@pytest.mark.parametrize("url", ADDRESSES)
def test_an_address_is_shown_as_a_url_without_name_and_password(url: str) -> None:
    shown = str(ADDRESSES[url])
    assert "@" not in shown and "p%40ss" not in shown
    again = read_address(shown)
    assert asdict(again) == {**asdict(ADDRESSES[url]), "username": "", "password": ""}


@pytest.mark.parametrize(
    "url",
    (
        *(
            "",
            "r",
            "r:6379",
            "http://r",
            "redis:",
            "redis://",
            "redis://:p@",
            "redis:///0",
            "redis://r/x",
            "redis://r/-1",
        ),
        *(
            "redis://r/0/1",
            "redis://r:x",
            "redis://r:0",
            "redis://r:70000",
            "redis://r?db=1",
            "redis://a,b",
            "redis://[::1",
        ),
        *("redis+unix://", "redis+unix://host/path", "redis+unix:///p?x=1", "redis+unix:///p?db=x", "redis://r#0"),
        *("redis+sentinel://a", "redis+sentinel://a/", "redis+sentinel:///m", "redis+sentinel://a/m/0/1"),
        *("redis+sentinel://a,,b/m", "redis+sentinel://a:x/m", "redis://u:p@x@r", "redis://u:p#q@r", "redis://r/١"),
    ),
)
def test_what_is_no_url_of_redis_is_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        read_address(url)


@given(st.text() | st.from_regex(r"redis(s|\+unix|\+sentinel)?://[^/]*/?.*"))
def test_any_text_is_an_address_or_none(text: str) -> None:
    try:
        address = read_address(text)
    except BadAddress as bad:
        assert str(bad).isprintable()
    else:
        assert bool(address.hosts) != bool(address.path)


# ---- the table ------------------------------------------------------------------------------------------------


def test_without_a_table_it_is_the_redis_of_this_machine() -> None:
    assert read_options({}) == Options(address=Address(hosts=(("127.0.0.1", 6379),)))


def test_name_and_password_may_stand_beside_the_url() -> None:
    options = read_options({"url": "redis://r", "username": "ann", "password": "hush"})
    assert (options.address.username, options.address.password) == ("ann", "hush")


def test_what_is_empty_is_left_out_as_containers_do() -> None:
    empty = {name: "" for name, value in asdict(Table()).items() if value == ""}
    assert read_options(empty) == read_options({})


def test_text_from_the_environment_does_as_well() -> None:
    assert read_options({"verify": "false", "canary_seconds": "1.5"}) == read_options(
        {"verify": False, "canary_seconds": 1.5}
    )


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"passwort": "hush"}, "passwort: unknown key; did you mean driver.redis.password?"),
    ({"url": ""}, "url: is empty; give it a value"),
    ({"url": "http://ann:hush@r"}, "url: is no URL of Redis; write one of redis://host:6379/0, "),
    ({"url": 5}, "url: expected a string, got an integer 5"),
    ({"url": "redis://:hush@r", "password": "hush"}, "password: is given besides the one in driver.redis.url; keep"),
    ({"username": "ann"}, "username: is given without a password; add driver.redis.password"),
    ({"url": "redis://ann@r"}, "username: is given without a password; add driver.redis.password"),
    ({"password": 5}, "password: expected a string, got an integer; put it in quotes"),
    ({"sentinel_password": "hush"}, "sentinel_password: is given, but the url names no Sentinels"),
    ({"url": "redis+sentinel://a/m", "sentinel_username": "ann"}, "sentinel_username: is given without a password"),
    ({"ca": "/none"}, "ca: is given, but the url asks for no TLS"),
    ({"url": "rediss://r", "ca": "/none"}, "ca: there is no file '/none'; name a PEM file"),
    ({"url": "rediss://r", "key": "/none"}, "key: is given without driver.redis.certificate; both belong together"),
    ({"namespace": "a:b"}, 'namespace: may hold neither ":" nor "@"'),
    ({"namespace": ""}, "namespace: is empty"),
    ({"canary_seconds": 0}, "canary_seconds: expected 0.1 to 3600, got 0"),
    ({"lease_seconds": 1}, "lease_seconds: expected 2 to 3600, got 1"),
    ({"reply_seconds": 1e9}, "reply_seconds: expected 0.1 to 3600, got 1e+09"),
    ({"verify": "perhaps"}, 'verify: expected true or false, got a string "perhaps"'),
)


@pytest.mark.parametrize(("written", "line"), REFUSED, ids=lambda each: each if isinstance(each, str) else "")
def test_what_cannot_be_meant_is_one_line_without_a_secret(written: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(written)
    assert str(caught.value).startswith(f"configuration: driver.redis.{line}")
    assert "hush" not in str(caught.value)


# ---- the document ---------------------------------------------------------------------------------------------


def test_every_option_is_documented_with_its_default() -> None:
    told: dict[str, str] = {}
    _, _, table = DOCUMENT.partition("## All options")
    for names, default in re.findall(r"^\| (`[^|]*`) \| ([^|]*) \|", table, re.MULTILINE):
        told |= {name: default.strip("`") for name in re.findall(r"`(\w+)`", names)}
    assert told.keys() == asdict(Table()).keys()
    for name, value in asdict(Table()).items():
        if value != "":
            assert told[name] == (str(value).lower() if isinstance(value, bool) else f"{value}"), name
        else:
            assert told[name] in ("none", "the system's"), name


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE))
def test_every_documented_example_is_valid(block: str, tmp_path: Path) -> None:
    table = tomllib.loads(block).get("driver", {}).get("redis", {})
    for key in ("ca", "certificate", "key"):
        if key in table:
            (tmp_path / key).touch()
            table[key] = str(tmp_path / key)
    read_options(table)


def test_every_documented_url_is_one() -> None:
    urls = re.findall(r"`(redis[s+][^`…]*|redis://[^`…]*)`", DOCUMENT)
    assert len(urls) > 5
    for url in urls:
        if "://" in url:
            read_address(url)
