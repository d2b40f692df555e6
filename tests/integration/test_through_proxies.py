"""Stock clients through the real nginx and HAProxy, as ``broadcaster nginx`` and ``broadcaster haproxy`` print them."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pusher
import pytest

from tests.conftest import require
from tests.integration.fronts import STREAM, Nginx, Proxy, certificate, in_front_of, trusting
from tests.integration.javascript import Browser
from tests.integration.test_socketio_clients import Pages, subscriptions, until_subscribed
from tests.integration.wire import HANDSHAKE, Peer
from tests.integration.wire import request as signed
from tests.processes import APP_ID, KEY, SECRET, Server, free_port, get, until

pytestmark = pytest.mark.real

CONFIG = f"""
[log]
level = "debug"
[server]
drain_seconds = 0.1
[limits]
event_bytes = 102_400
[[apps]]
id = "{APP_ID}"
key = "{KEY}"
secret = "{SECRET}"
[[apps]]
id = "1002"
key = "tls-key"
secret = "{SECRET}"
tls_only = true
"""

# By name: the proxy, what the server listens on, and whether it is told that the client came over TLS.
SETUPS = {
    "nginx": ("nginx", "tcp:{port}:interface=127.0.0.1", True),
    "nginx to https": ("nginx", "tls:{port}:interface=127.0.0.1", True),
    "nginx to a unix socket": ("nginx", "unix:{path}:mode=600", True),
    "nginx's stream": ("nginx", "haproxy:tcp:{port}:interface=127.0.0.1", False),
    "nginx's stream to TLS": ("nginx", "haproxy:tls:{port}:interface=127.0.0.1", True),
    "haproxy": ("haproxy", "tcp:{port}:interface=127.0.0.1", True),
    "haproxy to https": ("haproxy", "tls:{port}:interface=127.0.0.1", True),
    "haproxy to a unix socket": ("haproxy", "unix:{path}:mode=600", True),
    "haproxy with PROXY": ("haproxy", "haproxy:tcp:{port}:interface=127.0.0.1", True),
    "haproxy with PROXY to a unix socket": ("haproxy", "haproxy:unix:{path}:mode=600", True),
    "haproxy with PROXY to TLS": ("haproxy", "haproxy:tls:{port}:interface=127.0.0.1", True),
}
STACKS = (("echo-1", "sio-2"), ("echo-2", "sio-4"))
WAYS = ("polling", "websocket", "polling,websocket")
CLIENT = "127.0.0.5"
"""Where clients come from whose true address is looked for: proxies come from 127.0.0.1, which is trusted."""


class House(NamedTuple):
    """A server and the proxy before it; ``told`` is whether the server is told that the client came over TLS."""

    server: Server
    proxy: Proxy
    ca: Path
    told: bool


@contextmanager
def behind(setup: str, config: str = CONFIG, tls: bool = True, keepalive: int = 64, **changes: str) -> Iterator[House]:
    kind, listen, told = SETUPS[setup]
    require(shutil.which(kind) is not None, f"{kind} is not installed (make test-deps)")
    require("stream" not in setup or Path(STREAM).exists(), "libnginx-mod-stream is not installed (make test-deps)")
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        pem = folder / "front.pem"
        pem.write_bytes(certificate())
        listen = listen.format(port=free_port(), path=folder / "http.sock")
        server = stack.enter_context(Server(f'{config}\n[tls]\ncertificate = "{pem}"\n', "--listen", listen))
        proxy = stack.enter_context(in_front_of(server, kind, [listen], pem, tls, keepalive, **changes))
        yield House(server, proxy, pem, told)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="broadcaster-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module", params=SETUPS)
def house(request: pytest.FixtureRequest, node: None) -> Iterator[House]:
    with behind(request.param) as house:
        yield house


@pytest.fixture
def sdk(house: House) -> Iterator[pusher.Pusher]:
    with publisher(house) as sdk:
        yield sdk


@contextmanager
def publisher(house: House, tls: bool = True) -> Iterator[pusher.Pusher]:
    sdk = pusher.Pusher(APP_ID, KEY, SECRET, ssl=tls, host="127.0.0.1", port=house.proxy.port)
    sdk._pusher_client.http.options["verify"] = str(house.ca)
    yield sdk
    sdk._pusher_client.http.session.close()


class Visitor(Peer):
    """A link to the proxy, or with ``tls`` off to anybody in the clear, that comes from `CLIENT`."""

    def __init__(self, port: int, ca: Path | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 20, (CLIENT, 0))
        if ca is not None:
            self.socket = trusting(ca).wrap_socket(self.socket, server_hostname="localhost")
        self._received = bytearray()


def asking(*headers: str, key: str = KEY) -> bytes:
    """The request for a WebSocket, with more headers."""
    lines = "".join(f"{header}\r\n" for header in headers)
    return HANDSHAKE.replace(KEY.encode(), key.encode()).replace(b"\r\n\r\n", f"\r\n{lines}\r\n".encode())


def greeted(visitor: Visitor, question: bytes) -> str:
    """The socket id that the server gives to whoever asks so."""
    visitor.send(question)
    assert visitor.head().startswith(b"HTTP/1.1 101 ")
    return str(json.loads(visitor.event()["data"])["socket_id"])


def until_seen(server: Server, socket_id: str, address: str) -> None:
    """The server's log names the connection's true address."""
    line = f"connection {socket_id} of app {APP_ID} from {address} opened"
    until(lambda: f"connection {socket_id} " in server.log(), "the connection's line in the log")
    assert line in server.log(), server.log()


# ---- clients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ("pusher-js-8", "pusher-js-4"))
def test_pusher_js_subscribes_hears_and_whispers_over_wss(house: House, sdk: pusher.Pusher, library: str) -> None:
    with Browser(library, house.proxy.port, house.ca) as browser:
        ann, ben = browser.tab("ann"), browser.tab("ben")
        channel = f"private-{library}"
        ann.join(channel, "news", "client-typing")
        ben.join(channel, "news", "client-typing")
        sdk.trigger(channel, "news", {"é": "😀"})
        assert ann.expect(channel, "news")["data"] == ben.expect(channel, "news")["data"] == {"é": "😀"}
        ann.trigger(channel, "client-typing", {"on": True})
        assert ben.expect(channel, "client-typing")["data"] == {"on": True}


@pytest.mark.parametrize("transports", WAYS)
@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: stack[1])
def test_laravel_echo_hears_over_every_transport(
    house: House, sdk: pusher.Pusher, stack: tuple[str, str], transports: str
) -> None:
    channel = f"{stack[1]}-{transports}".replace(",", "-")
    with Pages(stack, house.proxy.port, transports, house.ca) as pages:
        page = pages.page("ann")
        page.subscribe("public", channel, ".news")
        until_subscribed(sdk, channel, 1)
        sdk.trigger(channel, "news", "x" * 30_000)
        assert page.expect(channel, ".news") == "x" * 30_000


def test_the_server_learns_the_true_address_and_no_stranger_is_believed(house: House) -> None:
    with Visitor(house.proxy.port, house.ca) as visitor:
        until_seen(house.server, greeted(visitor, asking()), CLIENT)
    lies = ("X-Forwarded-For: 198.51.100.9", "Forwarded: for=198.51.100.9;proto=https", "X-Real-IP: 198.51.100.9")
    for lie in (lies[:1], lies[1:2], lies):
        with Visitor(house.proxy.port, house.ca) as visitor:
            until_seen(house.server, greeted(visitor, asking(*lie)), CLIENT)
    with Visitor(house.server.port, None) as stranger:
        until_seen(house.server, greeted(stranger, asking(*lies)), CLIENT)


def test_the_server_learns_the_true_address_of_pollers_as_well(house: House) -> None:
    link = http.client.HTTPSConnection(
        "localhost", house.proxy.port, source_address=(CLIENT, 0), context=trusting(house.ca), timeout=20
    )
    link._create_connection = lambda address, *rest: socket.create_connection(("127.0.0.1", address[1]), *rest)  # type: ignore[attr-defined]
    with closing(link):
        link.request("GET", "/socket.io/?EIO=4&transport=polling", headers={"X-Forwarded-For": "198.51.100.9"})
        sid = json.loads(link.getresponse().read()[1:])["sid"]
        link.request("POST", f"/socket.io/?EIO=4&transport=polling&sid={sid}", body=b"40")
        assert link.getresponse().read() == b"ok"
        link.request("GET", f"/socket.io/?EIO=4&transport=polling&sid={sid}")
        joined = json.loads(link.getresponse().read()[2:])["sid"]
    until_seen(house.server, joined, CLIENT)


def test_an_app_for_tls_alone_lets_in_whom_the_proxy_says_to_have_come_over_tls(house: House) -> None:
    with Visitor(house.proxy.port, house.ca) as visitor:
        visitor.send(asking("X-Forwarded-Proto: https", key="tls-key"))
        assert visitor.head().startswith(b"HTTP/1.1 101 ")
        assert (visitor.event()["event"] == "pusher:connection_established") is house.told


def test_a_batch_larger_than_the_proxies_own_limits_passes(house: House) -> None:
    with Browser("pusher-js-8", house.proxy.port, house.ca) as browser:
        tab = browser.tab("big")
        tab.join("big", "last")
        batch = [{"channel": "big", "name": "news", "data": "x" * 102_400} for _ in range(9)]
        batch.append({"channel": "big", "name": "last", "data": "x" * 102_400})
        with Visitor(house.proxy.port, house.ca) as visitor:
            visitor.send(signed("POST", "/batch_events", json.dumps({"batch": batch}).encode()))
            assert visitor.head().startswith(b"HTTP/1.1 200 ")
        assert tab.expect("big", "last")["data"] == "x" * 102_400


# ---- one proxy ----------------------------------------------------------------------------------------------------


def ask(house: House, path: str) -> int:
    """The status of a GET."""
    with Visitor(house.proxy.port, house.ca) as visitor:
        visitor.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return int(visitor.head().split()[1])


@pytest.mark.parametrize("setup", ("nginx", "haproxy"))
def test_what_concerns_only_operators_is_not_for_the_public_and_bodies_are_bounded(setup: str) -> None:
    with behind(setup) as house:
        assert ask(house, "/up") == 200
        assert ask(house, "/metrics") == 404
        with Visitor(house.proxy.port, house.ca) as visitor:
            visitor.send(b"POST /apps/1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2200000\r\n\r\n")
            assert visitor.head().startswith(b"HTTP/1.1 413 ")
        with publisher(house) as sdk:
            sdk.trigger("quiet", "news", "x")
        if setup == "nginx":
            lines = (house.server.directory / "access.log").read_text()
            assert f'"POST /apps/{APP_ID}/events HTTP/1.1" 200' in lines
            assert "auth_" not in lines and "?" not in lines


@pytest.mark.parametrize("setup", ("nginx", "nginx to a unix socket", "nginx to https"))
def test_without_keepalive_to_the_upstream_it_works_the_same(setup: str, node: None) -> None:
    with behind(setup, keepalive=0) as house, publisher(house) as sdk:
        with Browser("pusher-js-8", house.proxy.port, house.ca) as browser:
            tab = browser.tab("ann")
            tab.join("news", "new")
            sdk.trigger("news", "new", 1)
            assert tab.expect("news", "new")["data"] == 1
        for transports in WAYS:
            with Pages(STACKS[1], house.proxy.port, transports, house.ca) as pages:
                pages.page("ann").subscribe("public", transports.replace(",", "-"), ".new")
                until_subscribed(sdk, transports.replace(",", "-"), 1)


@pytest.mark.parametrize("setup", ("nginx", "haproxy", "haproxy with PROXY"))
def test_plain_http_in_front_for_a_first_try(setup: str, node: None) -> None:
    with behind(setup, tls=False) as house, publisher(house, tls=False) as sdk:
        with Browser("pusher-js-8", house.proxy.port) as browser:
            tab = browser.tab("ann")
            tab.join("news", "new")
            sdk.trigger("news", "new", 1)
            assert tab.expect("news", "new")["data"] == 1
        with Visitor(house.proxy.port, None) as visitor:
            visitor.send(asking("X-Forwarded-Proto: https", "Forwarded: proto=https", key="tls-key"))
            assert visitor.head().startswith(b"HTTP/1.1 101 ")
            assert visitor.event()["event"] == "pusher:error"


@pytest.mark.parametrize("kind", ("nginx", "haproxy"))
def test_a_server_that_drains_or_is_away_has_its_turn_taken_by_another(kind: str) -> None:
    slow = CONFIG.replace("drain_seconds = 0.1", "drain_seconds = 30")
    with ExitStack() as stack:
        folder = stack.enter_context(_folder())
        pem = folder / "front.pem"
        pem.write_bytes(certificate())
        one, other = (stack.enter_context(Server(f'{slow}\n[tls]\ncertificate = "{pem}"\n')) for _ in range(2))
        listen = [f"tcp:{server.port}:interface=127.0.0.1" for server in (one, other)]
        require(shutil.which(kind) is not None, f"{kind} is not installed (make test-deps)")
        proxy = stack.enter_context(in_front_of(one, kind, listen, pem))
        house = House(one, proxy, pem, True)
        kept = [stack.enter_context(Visitor(proxy.port, pem)) for _ in range(4)]
        for visitor in kept:
            greeted(visitor, asking())
        one.send(signal.SIGTERM)
        until(lambda: get(f"{one.url}/ready")[0] == 503, "the draining")
        assert {ask(house, "/ready") for _ in range(20)} == {200}
        one.send(signal.SIGTERM)
        one.wait()
        assert {ask(house, "/ready") for _ in range(20)} == {200}


def test_nginx_reloads_and_the_server_restarts_behind_it(node: None) -> None:
    with behind("nginx") as house, publisher(house) as sdk, ExitStack() as stack:
        nginx = house.proxy
        assert isinstance(nginx, Nginx)
        browser = stack.enter_context(Browser("pusher-js-8", nginx.port, house.ca))
        pages = stack.enter_context(Pages(STACKS[1], nginx.port, "websocket", house.ca))
        before, old = nginx.workers(), browser.tab("old")
        old.join("news", "first", "second")
        nginx.reload()
        until(lambda: len(nginx.workers()) == 2 and not nginx.workers() & before, "new workers")
        sdk.trigger("news", "first", 1)
        old.expect("news", "first")
        page = pages.page("new")
        page.subscribe("public", "news", ".second", ".third")
        until_subscribed(sdk, "news", 2)
        sdk.trigger("news", "second", 2)
        assert old.expect("news", "second")["data"] == page.expect("news", ".second") == 2
        assert old.states().count("connected") == 1

        since = len(pages.seen)
        house.server.send(signal.SIGTERM)
        house.server.wait()
        assert ask(house, "/up") == 502
        house.server.start()
        page.until_state("connected", since)
        until(lambda: "news" in sdk.channels_info()["channels"], "the page's return")
        sdk.trigger("news", "third", 3)
        assert page.expect("news", ".third", since) == 3


SECONDS = {
    "nginx": {"timeout 120s;": "timeout 5s;"},
    "nginx's stream": {"proxy_timeout 120s;": "proxy_timeout 5s;"},
    "haproxy": {"timeout tunnel 120s": "timeout tunnel 5s", "server 120s": "server 5s", "client 120s": "client 5s"},
}
"""The time for which a link may be silent, shortened."""


def test_pings_keep_quiet_links_open_for_longer_than_proxies_wait(node: None) -> None:
    quick = CONFIG.replace(f'key = "{KEY}"', f'key = "{KEY}"\nactivity_timeout = 1')
    quick += "[socketio]\nping_interval = 2\nping_timeout = 2\n"
    with ExitStack() as stack:
        houses = [stack.enter_context(behind(setup, quick, **changes)) for setup, changes in SECONDS.items()]
        for house in houses:
            stack.enter_context(Browser("pusher-js-8", house.proxy.port, house.ca)).tab("ann").join("news")
            for transports in ("polling", "websocket"):
                pages = stack.enter_context(Pages(STACKS[1], house.proxy.port, transports, house.ca))
                pages.page(transports).subscribe("public", "news", ".new")
            until(lambda log=house.server.log: log().count(" opened") == 3, "three connections")
        time.sleep(6)
        for house in houses:
            with publisher(house) as sdk:
                assert subscriptions(sdk, "news") == 3
            assert house.server.log().count(" opened") == 3


def test_without_pings_a_quiet_link_would_end() -> None:
    with behind("nginx", **{"timeout 120s;": "timeout 1s;"}) as house, Visitor(house.proxy.port, house.ca) as visitor:
        greeted(visitor, asking())
        assert visitor.rest() == b""
