"""An application that says who may hear what, as a server of its own: over HTTP or HTTPS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs


class Application(BaseHTTPRequestHandler):
    """The application that is asked: whoever says who it is may in, except where the channel's name denies it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        (channel,) = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["channel_name"]
        user = self.headers.get("X-User")
        allowed = user and "deny" not in channel
        body = json.dumps({"channel_data": {"user_id": user, "user_info": {"name": user}}} if allowed else {}).encode()
        self.send_response(200 if allowed else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def application(pem: Path | None = None) -> Iterator[int]:
    """Runs the application, over TLS if it has a certificate; gives its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Application) as server:
        server.daemon_threads = True
        if pem is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(pem)
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
