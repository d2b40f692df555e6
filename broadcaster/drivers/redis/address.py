"""Where Redis is, as one URL says it. Pure."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

PORT = 6379
SENTINEL_PORT = 26379

_SCHEMES = ("redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel")
FORMS = ", ".join(
    ("redis://host:6379/0", "rediss://…", "redis+unix:///path?db=0", "redis+sentinel://host:26379,host2/master/0")
)
"""What to write, for people."""


class BadAddress(Exception):
    """The URL is none of ours; ``str()`` says why and quotes nothing of it, since it may hold a password."""


class Address(Struct, frozen=True, kw_only=True):
    """One of ``hosts`` or ``path``; with ``master`` the hosts are Sentinels that know where it is."""

    hosts: tuple[tuple[str, int], ...] = ()
    path: str = ""
    master: str = ""
    tls: bool = False
    database: int = 0
    username: str = ""
    password: str = ""

    def __str__(self) -> str:
        """As a URL for people: without a name and a password."""
        scheme = ("rediss" if self.tls else "redis") + ("+unix" if self.path else "+sentinel" if self.master else "")
        if self.path:
            return f"{scheme}://{self.path}?db={self.database}"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        return f"{scheme}://{hosts}/{self.master + '/' if self.master else ''}{self.database}"


def read_address(url: str) -> Address:
    """The address that ``url`` says; raises `BadAddress`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise BadAddress("is no URL") from None
    if parts.scheme not in _SCHEMES:
        raise BadAddress("is no URL of Redis")
    if parts.fragment:
        raise BadAddress('holds a "#", which is %23 in a password')
    credentials, _, hosts = parts.netloc.rpartition("@")
    if "@" in credentials:
        raise BadAddress('holds more than one "@", which is %40 in a password')
    username, _, password = map(unquote, credentials.partition(":"))
    return replace(_where(parts, hosts), username=username, password=password, tls=parts.scheme.startswith("rediss"))


def _where(parts: SplitResult, hosts: str) -> Address:
    if parts.scheme == "redis+unix":
        return Address(path=_socket(parts, hosts), database=_database(_only_db(parts)))
    if parts.query:
        raise BadAddress('holds a "?", which is for redis+unix alone')
    path = parts.path.strip("/").split("/")
    if parts.scheme.endswith("+sentinel"):
        if not path[0] or len(path) > 2:
            raise BadAddress("names no master: /master/0 belongs behind the hosts")
        found = tuple(_host(each, SENTINEL_PORT) for each in hosts.split(","))
        return Address(hosts=found, master=unquote(path[0]), database=_database("".join(path[1:])))
    if len(path) > 1:
        raise BadAddress("holds more than a database's number behind the host")
    return Address(hosts=(_host(hosts, PORT),), database=_database(path[0]))


def _socket(parts: SplitResult, hosts: str) -> str:
    if hosts or not parts.path.strip("/"):
        raise BadAddress("names no socket: three slashes, then its path")
    return unquote(parts.path)


def _only_db(parts: SplitResult) -> str:
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if given.keys() - {"db"}:
        raise BadAddress('may say only "db" behind the "?"')
    return given.get("db", "")


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadAddress("names a database that is no number")
    return int(text)


def _host(text: str, port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        found = (parts.hostname or "", parts.port if parts.port is not None else port)
    except ValueError:
        raise BadAddress("has a port that is none") from None
    if not found[0] or "," in found[0]:
        raise BadAddress("names no host" if not found[0] else "names several hosts")
    if not found[1]:
        raise BadAddress("has a port that is none")
    return found
