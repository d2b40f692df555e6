"""TLS by the server itself: real certificates and clients, renewal while links are open, what is refused at start."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate
from websockets.sync.client import connect

from tests.certificates import PASSPHRASE, Issued, authority, encrypted, expired, issued, written
from tests.integration.javascript import Browser
from tests.integration.test_socketio_clients import Pages
from tests.integration.wire import request
from tests.processes import APP_ID, CONFIG, KEY, PATIENCE, Server, free_port, get, twistd, until

pytestmark = pytest.mark.real

ECHO = {"port": 0, "protocol": "https", "host": "127.0.0.1", "clients": [{"appId": APP_ID, "key": KEY}]}


class Secure:
    """A server with a plain port and one with TLS, its files, and clients that believe the test's authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = issued(kind="rsa")
        self.other = issued("other.test")
        self.certificate, self.key = written(folder, self.first)
        other, key = written(folder, self.other._replace(key=encrypted(self.other.key)), "other")
        self.passphrase = folder / "passphrase.txt"
        self.passphrase.write_text(f"{PASSPHRASE}\n")
        self.authority = folder / "authority.pem"
        self.authority.write_bytes(authority()[0])
        self.port = free_port()
        tables = f"""
[tls]
certificate = "{self.certificate}"
key = "{self.key}"
[[tls.hosts]]
name = "other.test"
certificate = "{other}"
key = "{key}"
passphrase_file = "{self.passphrase}"
"""
        self.server = Server(CONFIG + tables, "--listen", f"tls:{self.port}:interface=127.0.0.1")

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.authority))

    def seen(self, name: str = "localhost", context: ssl.SSLContext | None = None) -> int:
        """The serial number of the certificate for ``name``, which is believed."""
        with (
            socket.create_connection(("127.0.0.1", self.port), PATIENCE) as plain,
            (context or self.context()).wrap_socket(plain, server_hostname=name) as link,
        ):
            return load_der_x509_certificate(link.getpeercert(binary_form=True) or b"").serial_number

    def s_client(self, *arguments: str) -> str:
        """What openssl tells of a handshake."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-CAfile", str(self.authority)]
        done = subprocess.run([*command, *arguments], input="", capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout + done.stderr

    def publish(self, data: str) -> None:
        body = json.dumps({"name": "e", "channels": ["room"], "data": data}).encode()
        with socket.create_connection(("127.0.0.1", self.server.port), PATIENCE) as link:
            link.sendall(request("POST", "/events", body))
            assert link.recv(4_096).startswith(b"HTTP/1.1 200 ")


def serial(pair: Issued) -> int:
    return load_pem_x509_certificate(pair.certificate).serial_number


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    """One for those tests that change no file."""
    secure = Secure(tmp_path_factory.mktemp("tls"))
    with secure.server:
        yield secure


# ---- what is spoken -------------------------------------------------------------------------------------------


def test_each_name_has_its_certificate_and_its_whole_chain(secure: Secure) -> None:
    assert secure.seen("localhost") == serial(secure.first)
    assert secure.seen("other.test") == serial(secure.other)
    assert get(f"http://127.0.0.1:{secure.server.port}/up") == (200, "OK\n")


@pytest.mark.parametrize(
    ("version", "cipher"), [("-tls1_2", "ECDHE-RSA-AES"), ("-tls1_3", "TLS_AES"), ("-tls1_2", "ECDHE-ECDSA-AES")]
)
def test_tls_1_2_and_1_3_are_spoken_with_http_1_1_on_top(secure: Secure, version: str, cipher: str) -> None:
    name = "other.test" if "ECDSA" in cipher else "localhost"
    told = secure.s_client(version, "-servername", name, "-alpn", "h2,http/1.1")
    assert f"Cipher is {cipher}" in told
    assert "ALPN protocol: http/1.1" in told
    assert "Verify return code: 0 (ok)" in told
    assert "Compression: NONE" in told


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_older_versions_are_refused(secure: Secure, version: str) -> None:
    told = secure.s_client(version, "-cipher", "ALL:@SECLEVEL=0")
    assert "alert protocol version" in told
    assert "Cipher is (NONE)" in told


@pytest.mark.parametrize("cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256", "ADH-AES128-SHA256"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(secure: Secure, cipher: str) -> None:
    assert "alert handshake failure" in secure.s_client("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")


def test_plain_text_on_the_port_for_tls_ends_the_link_and_nothing_else(secure: Secure) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), PATIENCE) as link:
        link.sendall(b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"OK" not in b"".join(iter(lambda: link.recv(4_096), b""))
    assert secure.seen() == serial(secure.first)


# ---- clients --------------------------------------------------------------------------------------------------


def test_curl_and_the_python_client(secure: Secure) -> None:
    url = f"https://localhost:{secure.port}/up"
    curl = subprocess.run(
        ["curl", "-sS", "--cacert", str(secure.authority), url], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (curl.stdout, curl.stderr) == ("OK\n", "")
    with connect(f"wss://localhost:{secure.port}/app/{KEY}?protocol=7", ssl=secure.context()) as client:
        assert "pusher:connection_established" in client.recv(PATIENCE)


@pytest.mark.parametrize("library", ["pusher-js-8", "pusher-js-4"])
def test_stock_pusher_js(node: None, secure: Secure, library: str) -> None:
    with Browser(library, secure.port, ca=secure.authority) as browser:
        tab = browser.tab("tab")
        tab.join("room", "e")
        for data in ("first", "x" * 10_000, "last"):
            since = len(browser.seen)
            secure.publish(data)
            assert tab.expect("room", "e", since)["data"] == data


@pytest.mark.parametrize("stack", [("echo-1", "sio-2"), ("echo-2", "sio-4")])
def test_stock_laravel_echo(node: None, secure: Secure, stack: tuple[str, str]) -> None:
    with Pages(stack, secure.port, "polling,websocket", ca=secure.authority) as pages:
        page = pages.page("page")
        page.subscribe("public", "room", ".e")
        until(lambda: _subscribers(secure) > 0, "subscribing")
        secure.publish(json.dumps({"first": 1}))
        assert page.expect("room", ".e") == {"first": 1}


def _subscribers(secure: Secure) -> int:
    found = re.search(r'^broadcaster_subscriptions\{app="\w+"\} (\d+)', get(f"{secure.server.url}/metrics")[1], re.M)
    return int(found[1]) if found else 0


def test_days_to_expiry_are_in_the_metrics(secure: Secure) -> None:
    told = get(f"{secure.server.url}/metrics")[1]
    days = dict(re.findall(r'^broadcaster_certificate_expiry_days\{name="(.+?)"\} ([\d.]+)$', told, re.M))
    assert days.keys() == {"localhost", "other.test"}
    assert all(19 < float(each) <= 20 for each in days.values())


# ---- renewal --------------------------------------------------------------------------------------------------


def test_a_renewed_certificate_is_used_by_the_next_and_not_noticed_by_those_who_are_there(tmp_path: Path) -> None:
    secure = Secure(tmp_path)
    address = f"wss://localhost:{secure.port}/app/{KEY}?protocol=7"
    with secure.server, connect(address, ssl=secure.context()) as client:
        client.recv(PATIENCE)
        client.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": "room"}}))
        client.recv(PATIENCE)

        def hears(data: str) -> None:
            secure.publish(data)
            assert json.loads(client.recv(PATIENCE))["data"] == data

        hears("before")
        fresh = issued(kind="rsa")
        secure.certificate.write_bytes(fresh.fullchain[:1_000])
        refused = "holds a certificate that cannot be read"
        until(lambda: refused in secure.server.log(), "the refusal")
        assert secure.seen() == serial(secure.first)
        hears("while it is half-written")
        written(tmp_path, fresh)
        until(lambda: secure.seen() == serial(fresh), "the new certificate")
        assert secure.seen("other.test") == serial(secure.other)
        hears("after")
        assert secure.server.log().count(refused) == 1


# ---- what is wrong at start -----------------------------------------------------------------------------------


Change = Callable[[Path], dict[str, str]]
SERVED = issued()


def _encrypt(folder: Path) -> None:
    key = folder / "server.key"
    key.write_bytes(encrypted(key.read_bytes()))


def wrong_passphrase(folder: Path) -> dict[str, str]:
    _encrypt(folder)
    return {"passphrase": "wrong, and secret"}


def no_passphrase(folder: Path) -> dict[str, str]:
    _encrypt(folder)
    return {}


def key_of_another(folder: Path) -> dict[str, str]:
    (folder / "server.key").write_bytes(issued().key)
    return {}


def no_key(folder: Path) -> dict[str, str]:
    (folder / "server.key").unlink()
    return {}


def no_pem(folder: Path) -> dict[str, str]:
    (folder / "server.pem").write_bytes(b"\x30\x82\x01\x00")
    return {}


def wrong_order(folder: Path) -> dict[str, str]:
    chain = folder / "chain.pem"
    chain.write_bytes(authority()[0] + authority()[1])
    (folder / "server.pem").write_bytes(SERVED.certificate)
    return {"chain": str(chain)}


FAULTS = [
    (wrong_passphrase, "passphrase", "sslPassphrase", "does not open the key in {}/server.key"),
    (no_passphrase, "passphrase", "sslPassphrase", "is missing: the key in {}/server.key is encrypted"),
    (key_of_another, "key", "sslKeyPath", "{}/server.key is not the key of the certificate in {}/server.pem"),
    (no_key, "key", "sslKeyPath", "{}/server.key cannot be read (No such file or directory)"),
    (no_pem, "certificate", "sslCertPath", "{}/server.pem holds no PEM certificate"),
    (wrong_order, "chain", "sslCertChainPath", "{}/chain.pem is in the wrong order, or of another certificate"),
]


@pytest.mark.parametrize(("fault", "key", "echo_key", "problem"), FAULTS, ids=[fault.__name__ for fault, *_ in FAULTS])
@pytest.mark.parametrize("form", ["toml", "json"])
def test_what_is_wrong_is_told_in_one_line(
    tmp_path: Path, fault: Change, key: str, echo_key: str, problem: str, form: str
) -> None:
    written(tmp_path, SERVED)
    given = {"certificate": f"{tmp_path}/server.pem", "key": f"{tmp_path}/server.key"} | fault(tmp_path)
    if form == "toml":
        table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items())
        (tmp_path / "broadcaster.toml").write_text(f"{CONFIG}\n[tls]\n{table}")
        arguments = ["--listen", "tls:0:interface=127.0.0.1"]
        expected = f"broadcaster: broadcaster.toml: tls.{key}: "
    else:
        names = {"certificate": "sslCertPath", "key": "sslKeyPath", "chain": "sslCertChainPath"}
        keys = {names.get(name, "sslPassphrase"): value for name, value in given.items()}
        (tmp_path / "laravel-echo-server.json").write_text(json.dumps(ECHO | {"port": free_port()} | keys))
        arguments = []
        expected = f"broadcaster: laravel-echo-server.json: {echo_key}: "
    done = twistd(["-n", "--pidfile=", "broadcaster", *arguments], tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.removeprefix("./").startswith(expected + problem.format(tmp_path, tmp_path))
    assert "; " in line
    assert "secret" not in line


def test_an_expired_certificate_is_served_with_a_warning(tmp_path: Path) -> None:
    secure = Secure(tmp_path)
    old = expired()
    written(tmp_path, old)
    with secure.server:
        until(lambda: "has expired; renew it" in secure.server.log(), "the warning")
        believing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        believing.check_hostname = False
        believing.verify_mode = ssl.CERT_NONE
        assert secure.seen(context=believing) == serial(old)


def test_laravel_echo_servers_file_with_a_passphrase_and_a_chain(tmp_path: Path) -> None:
    pair = issued()
    certificate, key = written(tmp_path, pair._replace(chain=b"", key=encrypted(pair.key, traditional=True)))
    chain, trusted, file = (tmp_path / name for name in ("chain.pem", "authority.pem", "laravel-echo-server.json"))
    chain.write_bytes(pair.chain)
    trusted.write_bytes(authority()[0])
    port = free_port()
    keys = {"sslCertPath": str(certificate), "sslKeyPath": str(key), "sslCertChainPath": str(chain)}
    file.write_text(json.dumps(ECHO | {"port": port, "sslPassphrase": PASSPHRASE} | keys))
    address = f"wss://localhost:{port}/socket.io/?EIO=4&transport=websocket"
    context = ssl.create_default_context(cafile=str(trusted))
    with (
        Server(None, "--config", str(file), "--listen", f"tls:{port}:interface=127.0.0.1"),
        connect(address, ssl=context) as link,
    ):
        assert str(link.recv(PATIENCE)).startswith("0{")
