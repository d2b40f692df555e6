"""The application's own website: a page, the pusher-js that it loads, and the auth endpoint that pusher-js asks."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode

import pusher

from tests.processes import APP_ID, KEY, SECRET

PUSHER_JS = Path(__file__).parents[1] / "node" / "node_modules" / "pusher-js-8" / "dist" / "web"
PACKAGES = PUSHER_JS.parents[2]
PAGE = Path(__file__).with_name("page.html")

FILES = {
    "/page.html": (PAGE, "text/html"),
    "/pusher.min.js": (PUSHER_JS / "pusher.min.js", "text/javascript"),
    "/echo.html": (PAGE.with_name("echo.html"), "text/html"),
    "/echo.iife.js": (PACKAGES / "echo-1" / "dist" / "echo.iife.js", "text/javascript"),
    "/socket.io.js": (PACKAGES / "sio-2" / "dist" / "socket.io.js", "text/javascript"),
    "/encrypted/page.html": (PAGE, "text/html"),
    "/encrypted/pusher.min.js": (PUSHER_JS / "pusher-with-encryption.min.js", "text/javascript"),
}

MASTER_KEY = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
"""32 bytes in base64: the application's secret for encrypted channels, which no server sees."""


def sdk(port: int, app_id: str = APP_ID, key: str = KEY, secret: str = SECRET) -> pusher.Pusher:
    """The application's SDK; whoever publishes with it lets go of its links by `let_go`."""
    return pusher.Pusher(
        app_id, key, secret, ssl=False, host="127.0.0.1", port=port, encryption_master_key_base64=MASTER_KEY
    )


def let_go(sdk: pusher.Pusher) -> None:
    """Close the links that an SDK keeps."""
    sdk._pusher_client.http.session.close()


class Website:
    """Up while the ``with`` block runs. It lets everybody into all channels but those named ``…-secret``."""

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def page(self, port: int, *channels: str, path: str = "/page.html", **options: Any) -> str:
        """The address of a page that connects to ``port`` and subscribes; ``options`` are pusher-js's."""
        asked = {"key": KEY, "port": port, "subscribe": ",".join(channels), "options": json.dumps(options)}
        return f"{self.url}{path}?{urlencode(asked)}"


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = FILES.get(self.path.partition("?")[0])
        if found is None:
            self._answer(404, "text/plain", b"")
        else:
            self._answer(200, found[1], found[0].read_bytes())

    def do_POST(self) -> None:
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        channel, socket_id = asked["channel_name"][0], asked["socket_id"][0]
        if channel.endswith("-secret"):
            self._answer(403, "text/plain", b"Not for you")
            return
        user = {"user_id": socket_id} if channel.startswith("presence-") else None
        answer = sdk(0).authenticate(channel=channel, socket_id=socket_id, custom_data=user)
        # The SDK gives the shared secret of an encrypted channel as bytes.
        self._answer(200, "application/json", json.dumps(answer, default=bytes.decode).encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests tell what went wrong."""
