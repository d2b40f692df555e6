"""The configurations of proxies that are printed: they fit ours, and are what ``conf/`` shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broadcaster.cli.proxies import Front, haproxy, nginx
from broadcaster.cli.upstreams import Upstream, upstreams
from broadcaster.errors import ConfigError
from broadcaster.settings import App, Limits, Server, Settings, SocketIO

APP = App(id="shop", key="key", secrets=("secret",))
CONF = Path(__file__).parents[1] / "conf"
FRONT = Front(server_name="ws.example.com")
VERIFIED = Front(server_name="ws.example.com", ca="/etc/broadcaster/ca.pem")


def settings(*listen: str, **more: object) -> Settings:
    return Settings(apps=(APP,), server=Server(listen=listen), source="broadcaster.toml", **more)  # type: ignore[arg-type]


EXAMPLES = {
    "nginx.conf": nginx(settings("tcp:6001:interface=127.0.0.1"), FRONT),
    "nginx-https-upstream.conf": nginx(settings("tls:6001:interface=10.0.0.5"), VERIFIED),
    "nginx-unix-socket.conf": nginx(settings("unix:/run/broadcaster/http.sock:mode=660"), FRONT),
    "nginx-stream.conf": nginx(settings("haproxy:tls:6001:interface=127.0.0.1"), FRONT),
    "haproxy.cfg": haproxy(settings("tcp:6001:interface=127.0.0.1"), FRONT),
    "haproxy-https-upstream.cfg": haproxy(settings("tls:6001:interface=10.0.0.5"), VERIFIED),
    "haproxy-unix-socket.cfg": haproxy(settings("haproxy:unix:/run/broadcaster/proxied.sock:mode=660"), FRONT),
    "haproxy-proxy-protocol.cfg": haproxy(settings("haproxy:tcp:6001:interface=127.0.0.1"), FRONT),
    "haproxy-tls-passthrough.cfg": haproxy(settings("haproxy:tls:6001:interface=127.0.0.1"), FRONT),
}


def test_conf_holds_what_is_printed_and_nothing_else() -> None:
    assert {path.name: path.read_text() for path in CONF.iterdir()} == EXAMPLES


def directive(text: str, name: str) -> str:
    """The rest of the only line that begins so."""
    (value,) = re.findall(rf"^ *{re.escape(name)} (.*?);?$", text, re.MULTILINE)
    return str(value)


# ---- where the server is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "upstream"),
    (
        ("tcp:6001", Upstream("127.0.0.1:6001")),
        ("tcp:6001:interface=0.0.0.0", Upstream("127.0.0.1:6001")),
        ("tcp:6001:interface=\\:\\:", Upstream("127.0.0.1:6001")),
        ("tcp:6001:interface=\\:\\:1:backlog=9", Upstream("[::1]:6001")),
        ("tcp:port=6001:interface=10.0.0.5", Upstream("10.0.0.5:6001")),
        ("tcp:interface=10.0.0.5:port=6001", Upstream("10.0.0.5:6001")),
        ("tls:6001", Upstream("127.0.0.1:6001", secure=True)),
        ("ssl:6001:privateKey=k.pem", Upstream("127.0.0.1:6001", secure=True)),
        ("unix:/run/b.sock:mode=660", Upstream("/run/b.sock", local=True)),
        ("unix:address=/run/b.sock", Upstream("/run/b.sock", local=True)),
        ("unix:/run/a\\:b \\\\.sock", Upstream("/run/a:b \\.sock", local=True)),
        ("haproxy:tcp:6001", Upstream("127.0.0.1:6001", proxied=True)),
        ("haproxy:tls:6001", Upstream("127.0.0.1:6001", secure=True, proxied=True)),
        ("haproxy:unix:/run/b.sock", Upstream("/run/b.sock", local=True, proxied=True)),
    ),
)
def test_an_endpoint_string_says_where_the_server_is(description: str, upstream: Upstream) -> None:
    assert upstreams([description], "broadcaster.toml", False) == [upstream]


def test_a_relative_path_is_made_absolute_since_proxies_run_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert upstreams(["unix:http.sock"], "", False)[0].address == f"{tmp_path}/http.sock"


@pytest.mark.parametrize(
    "description", ("systemd:domain=INET:index=0", "tls:/etc/certs:443", "tcp:0", "unix:", "nonsense", "")
)
def test_what_does_not_say_where_it_is_has_to_be_said(description: str) -> None:
    with pytest.raises(ConfigError) as caught:
        upstreams([description], "broadcaster.toml", False)
    assert str(caught.value).endswith("cannot be told from it; say it: --upstream tcp:6001:interface=127.0.0.1")
    assert upstreams([description, "tcp:1"], "", False) == [Upstream("127.0.0.1:1")]


def test_a_proxy_speaks_to_listeners_of_one_kind() -> None:
    every = ["haproxy:tls:1", "tls:2", "haproxy:tcp:3", "tcp:4", "haproxy:unix:/5", "unix:/6", "tcp:4"]
    assert [one.address for one in upstreams(every, "", proxied=False)] == ["127.0.0.1:4", "/6"]
    assert [one.address for one in upstreams(every, "", proxied=True)] == ["127.0.0.1:3", "/5"]
    assert [one.address for one in upstreams(every[:2], "", proxied=False)] == ["127.0.0.1:2"]
    assert [one.address for one in upstreams(every[1:2], "", proxied=True)] == ["127.0.0.1:2"]


def test_what_is_said_on_the_command_line_stands_in_place_of_the_configuration() -> None:
    front = Front(upstream=["tcp:7001:interface=10.0.0.5", "tcp:7001:interface=10.0.0.6"])
    assert re.findall(r"^    server (.*);$", nginx(settings("tcp:6001"), front), re.MULTILINE) == [
        "10.0.0.5:7001",
        "10.0.0.6:7001",
    ]
    assert "10.0.0.5:7001" in haproxy(settings("tcp:6001"), front) and "6001" not in haproxy(
        settings("tcp:6001"), front
    )


# ---- what follows from the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "largest", "body"),
    (
        (Limits(), 1_000_000, 2_113_536),
        (Limits(body_bytes=10), 77, 77),
        (Limits(body_bytes=0), 77, 0),
        (Limits(), 0, 0),
    ),
)
def test_the_largest_body_is_the_servers_own(limits: Limits, largest: int, body: int) -> None:
    made = settings("tcp:6001", limits=limits, socketio=SocketIO(max_bytes=largest))
    assert directive(nginx(made, FRONT), "client_max_body_size") == str(body)
    assert (f"content-length) gt {body} " in haproxy(made, FRONT)) is (body > 0)


@pytest.mark.parametrize(
    ("activity", "interval", "timeout", "silence"),
    ((30, 25, 20, 120), (120, 25, 20, 270), (30, 200, 100.5, 632), (1, 1, 1, 120)),
)
def test_proxies_wait_longer_than_any_client_is_silent(
    activity: int, interval: float, timeout: float, silence: int
) -> None:
    apps = (APP, App(id="2", key="2", secrets=("x",), activity_timeout=activity))
    engine = SocketIO(ping_interval=interval, ping_timeout=timeout)
    made = Settings(apps=apps, socketio=engine, server=Server(listen=("tcp:1",)))
    streams = Settings(apps=apps, socketio=engine, server=Server(listen=("haproxy:tls:1",)))
    assert directive(nginx(made, FRONT), "proxy_read_timeout") == f"{silence}s"
    assert directive(nginx(streams, FRONT), "proxy_timeout") == f"{silence}s"
    for text in (haproxy(made, FRONT), haproxy(streams, FRONT)):
        assert directive(text, "timeout client") == directive(text, "timeout server") == f"{silence}s"
    assert directive(haproxy(made, FRONT), "timeout tunnel") == f"{silence}s"


def test_the_path_of_socketio_is_named() -> None:
    text = nginx(settings("tcp:6001", socketio=SocketIO(path="/ws.io/")), FRONT)
    assert "/ws.io/ for Socket.IO" in text and r"/ws\.io)/" in text and "socket.io" not in text


# ---- what is said of the proxy -------------------------------------------------------------------------------------


def test_tls_is_on_port_443_and_plain_http_on_80() -> None:
    made = settings("tcp:6001")
    assert "listen 443 ssl;" in nginx(made, Front()) and "bind :443 ssl crt" in haproxy(made, Front())
    plain = Front(tls=False)
    assert "listen 80;" in nginx(made, plain) and "bind :80\n" in haproxy(made, plain)
    for text in (nginx(made, plain), haproxy(made, plain)):
        assert not re.search(r"^ *(ssl_|bind.* ssl)", text, re.MULTILINE)
    elsewhere = Front(listen="10.0.0.1:8443")
    assert directive(nginx(made, elsewhere), "listen") == "10.0.0.1:8443 ssl"
    assert "bind 10.0.0.1:8443 ssl" in haproxy(made, elsewhere)


def test_tls_that_passes_through_a_proxy_needs_no_certificate_there() -> None:
    made = settings("haproxy:tls:6001")
    assert "ssl" not in directive(nginx(made, FRONT).replace("listen [", "#"), "listen")
    assert "ssl_certificate" not in nginx(made, FRONT) and " crt " not in haproxy(made, FRONT)


def test_whatever_is_in_a_name_stays_one_word() -> None:
    made = settings('unix:/run/a "b\\\\;{}.sock')
    assert 'server "unix:/run/a \\"b\\\\;{}.sock";' in nginx(made, FRONT)
    assert ' "unix@/run/a \\"b\\\\;{}.sock" ' in haproxy(made, FRONT)


def test_without_keepalive_links_are_closed() -> None:
    text = nginx(settings("tcp:6001"), Front(keepalive=0))
    assert 'default        "close";' in text and "keepalive" not in text


def test_no_log_is_one_word() -> None:
    assert directive(nginx(settings("tcp:6001"), Front(access_log="off")), "access_log") == "off"


def test_nothing_is_left_unfilled_and_no_line_is_blank_twice() -> None:
    texts = [*EXAMPLES.values(), *(nginx(settings(listen), FRONT, whole=True) for listen in ("tcp:1", "haproxy:tcp:1"))]
    for text in texts:
        assert "@{" not in text and "\n\n\n" not in text and text.endswith("\n") and " \n" not in text
