"""Clients of python-socketio 4, as a process of their own: `python python_socketio_4.py <library> <url> <transports>`.

Takes commands as JSON lines on standard input, tells what each client hears as JSON lines on standard output. Bytes
are ``{"hex": …}`` there and back.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from threading import Lock
from typing import Any

library, url, transports = sys.argv[1:]
sys.path.insert(0, library)

socketio = import_module("socketio")


one_at_a_time = Lock()


def tell(**line: Any) -> None:
    # Clients have threads of their own, and lines must stay whole.
    with one_at_a_time:
        print(json.dumps(line, default=lambda data: {"hex": data.hex()}), flush=True)


class Client(socketio.Client):
    name: str

    def _trigger_event(self, event: str, namespace: str, *arguments: Any) -> None:
        tell(client=self.name, event=event, arguments=arguments)


clients: dict[str, Client] = {}


def revive(found: dict[str, Any]) -> Any:
    return bytes.fromhex(found["hex"]) if "hex" in found else found


for text in sys.stdin:
    line = json.loads(text, object_hook=revive)
    name = line["client"]
    if line["do"] == "connect":
        clients[name] = client = Client(reconnection=False)
        client.name = name
        client.connect(url, transports=transports.split(","))
        tell(client=name, event="connected", arguments=[client.transport(), client.sid])
    elif line["do"] == "emit":
        clients[name].emit(line["event"], line["argument"])
    else:
        clients.pop(name).disconnect()
