"""The configuration of a proxy in front, made from ours: nginx's and HAProxy's, out of ``templates/``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import ceil
from string import Template

from msgspec import Struct

from broadcaster.cli.upstreams import Upstream, upstreams
from broadcaster.settings import Settings

KEEPALIVE = 64
"""Links to the server that each of nginx's workers keeps for the next request."""

LEAST_SILENCE = 120


class Front(Struct, frozen=True, kw_only=True):
    """What the proxy is to clients; ``listen`` is a port, or an address and a port.

    Without ``tls`` it is plain HTTP, for a first try or behind another proxy. ``upstream`` stands in place of
    ``server.listen``; ``ca`` is the file by which a TLS upstream's certificate is verified, if it is to be.
    """

    server_name: str = ""
    listen: str = ""
    tls: bool = True
    certificate: str = ""
    key: str = ""
    upstream: Sequence[str] = ()
    ca: str = ""
    keepalive: int = KEEPALIVE
    access_log: str = "/var/log/nginx/broadcaster.log"


def nginx(settings: Settings, front: Front, whole: bool = False) -> str:
    """A file for ``conf.d``, or a ``whole`` nginx.conf. Raises `ConfigError` where the upstream cannot be told."""
    servers = _upstreams(settings, front, proxied=False)
    stream = servers[0].proxied
    tls = front.tls and not (stream and servers[0].secure)
    values: dict[str, str | list[str]] = {
        "source": settings.source,
        "servers": [f"server {_quoted(f'unix:{one.address}' if one.local else one.address)};" for one in servers],
        "links": "kept open, and used again" if front.keepalive else "closed after the answer",
        "idle_connection": "" if front.keepalive else "close",
        "keepalive": _keepalive(front),
        "listen": _nginx_listen(front, tls, stream),
        "server_name": _quoted(front.server_name or "_"),
        "certificates": _nginx_certificates(settings, front) if tls else [],
        "access_log": "off" if front.access_log == "off" else f"{_quoted(front.access_log)} broadcaster",
        "body_bytes": str(_body_bytes(settings)),
        "socketio_path": settings.socketio.path.rstrip("/"),
        "socketio_pattern": re.escape(settings.socketio.path.rstrip("/")),
        "scheme": "https" if servers[0].secure else "http",
        "upstream_tls": _nginx_upstream_tls(front) if servers[0].secure else [],
        "silence": str(_silence(settings)),
    }
    block = _fill("nginx-stream.conf" if stream else "nginx-http.conf", values)
    if not whole:
        return block
    modules = ["load_module modules/ngx_stream_module.so;"] if stream else []
    sections = (
        block.splitlines() if stream else ["http {", *(f"    {line}".rstrip() for line in block.splitlines()), "}"]
    )
    return _fill("nginx-main.conf", {"modules": modules, "sections": sections})


def haproxy(settings: Settings, front: Front) -> str:
    """A file that HAProxy runs. Raises `ConfigError` where the upstream cannot be told."""
    servers = _upstreams(settings, front, proxied=True)
    proxied, secure = servers[0].proxied, servers[0].secure
    passed = proxied and secure
    port = front.listen or ("443" if front.tls or passed else "80")
    address = port if ":" in port else f":{port}"
    certificate = front.certificate or _own(settings, together=True)
    certificate = certificate or f"/etc/haproxy/certs/{front.server_name or 'broadcaster'}.pem"
    tls = front.tls and not passed
    values: dict[str, str | list[str]] = {
        "source": settings.source,
        "bind": (["# Certificate and key in one file."] if tls else [])
        + [f"bind {address}" + (f" ssl crt {_quoted(certificate)} ssl-min-ver TLSv1.2 alpn http/1.1" if tls else "")],
        "silence": str(_silence(settings)),
        "client": _haproxy_client(proxied),
        "body_limit": _haproxy_body_limit(settings),
        "servers": [_haproxy_server(number, one, front) for number, one in enumerate(servers, 1)],
    }
    return _fill("haproxy-tcp.cfg" if passed else "haproxy.cfg", values)


# ---- of both ------------------------------------------------------------------------------------------------------


def _upstreams(settings: Settings, front: Front, proxied: bool) -> list[Upstream]:
    return upstreams(front.upstream or settings.server.listen, settings.source, proxied)


def _silence(settings: Settings) -> int:
    """Seconds: a client speaks, or is asked, well before; twice, since an answer may be lost on its way."""
    engine = settings.socketio.ping_interval + settings.socketio.ping_timeout
    longest = max([engine, *(app.activity_timeout for app in settings.apps)])
    return max(LEAST_SILENCE, 2 * ceil(longest) + 30)


def _body_bytes(settings: Settings) -> int:
    """0 is no bound, for nginx as for us."""
    bounds = (settings.limits.largest_body(), settings.socketio.max_bytes)
    return max(bounds) if all(bounds) else 0


def _own(settings: Settings, together: bool = False) -> str:
    """Our own certificate, if a proxy can use it too: whole in its file, ``together`` with the key, which is plain."""
    own = settings.tls
    elsewhere = own.chain or own.passphrase or own.passphrase_file or (together and own.key)
    return os.path.abspath(own.certificate) if own.certificate and not elsewhere else ""


class _Text(Template):
    delimiter = "@"


def _fill(template: str, values: Mapping[str, str | list[str]]) -> str:
    """Fill a template in; a line that is one name becomes the lines of its list, indented as it was."""
    lines: list[str] = []
    for line in (files("broadcaster.cli") / "templates" / template).read_text().splitlines():
        alone = re.fullmatch(r"( *)@\{(\w+)\}", line)
        value = values[alone[2]] if alone is not None else None
        if alone is not None and isinstance(value, list):
            lines += [f"{alone[1]}{piece}".rstrip() for piece in value]
            if not value and lines and not lines[-1]:
                lines.pop()
        else:
            lines.append(_Text(line).substitute(values))
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As both proxies read it."""
    if re.fullmatch(r"[\w./:@*\[\]+,=-]+", text, re.ASCII):
        return text
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


# ---- nginx --------------------------------------------------------------------------------------------------------


def _nginx_listen(front: Front, tls: bool, stream: bool) -> list[str]:
    port = front.listen or ("443" if front.tls or stream else "80")
    ssl = " ssl" if tls else ""
    return [f"listen {port}{ssl};"] if ":" in port else [f"listen {port}{ssl};", f"listen [::]:{port}{ssl};"]


def _nginx_certificates(settings: Settings, front: Front) -> list[str]:
    certificate, key = front.certificate, front.key or front.certificate
    if not certificate and (certificate := _own(settings)):
        key = os.path.abspath(settings.tls.key or certificate)
    folder = f"/etc/letsencrypt/live/{front.server_name or 'broadcaster'}"
    return [
        f"ssl_certificate {_quoted(certificate or f'{folder}/fullchain.pem')};",
        f"ssl_certificate_key {_quoted(key or f'{folder}/privkey.pem')};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_cache shared:broadcaster:10m;",
    ]


def _keepalive(front: Front) -> list[str]:
    if not front.keepalive:
        return []
    return [
        f"keepalive {front.keepalive};",
        "# Less than the 90 seconds after which broadcaster closes a link that nobody uses.",
        "keepalive_timeout 60s;",
    ]


def _nginx_upstream_tls(front: Front) -> list[str]:
    asked = [
        "proxy_ssl_server_name on;",
        f"proxy_ssl_name {_quoted(front.server_name) if front.server_name else '$host'};",
    ]
    if front.ca:
        verified = ["proxy_ssl_verify on;", f"proxy_ssl_trusted_certificate {_quoted(front.ca)};"]
    else:
        verified = [
            "# Right on the same machine. Over a network have it verified: broadcaster nginx --ca FILE",
            "proxy_ssl_verify off;",
        ]
    return ["# TLS to broadcaster as well, which chooses its certificate by this name.", *asked, *verified]


# ---- HAProxy ------------------------------------------------------------------------------------------------------


def _haproxy_client(proxied: bool) -> list[str]:
    if proxied:
        return [
            "# Who the client is stands in the PROXY header: broadcaster believes it of server.trusted_proxies, and",
            "# of a unix socket. What the client says of itself is not passed on.",
            "http-request del-header X-Forwarded-For",
            "http-request del-header X-Forwarded-Proto",
        ]
    return [
        "# Who the client is: broadcaster believes it of server.trusted_proxies, and of a unix socket.",
        "option forwardfor",
        "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]",
    ]


def _haproxy_body_limit(settings: Settings) -> list[str]:
    limit = _body_bytes(settings)
    return [f"http-request deny deny_status 413 if {{ req.hdr_val(content-length) gt {limit} }}"] if limit else []


def _haproxy_server(number: int, upstream: Upstream, front: Front) -> str:
    address = _quoted(f"unix@{upstream.address}" if upstream.local else upstream.address)
    words = ["server", f"broadcaster{number}", address]
    name = _quoted(front.server_name) if front.server_name else ""
    if upstream.secure:
        # TLS that only passes through is HAProxy's own business in its checks alone.
        words += ["check-ssl" if upstream.proxied else "ssl"]
        words += ["verify", "required", "ca-file", _quoted(front.ca)] if front.ca else ["verify", "none"]
        if name:
            words += ["check-sni", name] if upstream.proxied else ["sni", f"str({name})", "check-sni", name]
    if upstream.proxied:
        # In version 2 it says whether the client came over TLS, which no header does here.
        words.append("send-proxy-v2" if upstream.secure else "send-proxy-v2-ssl")
    return " ".join([*words, "check", "inter", "2s", "fall", "2", "rise", "1"])
