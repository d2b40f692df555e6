"""For tests of what others build on this server, drivers above all; docs/drivers.md shows it at work.

`DriverContract` holds a driver to what `broadcaster.interfaces` promises, `SharedDriverContract` one that spans
processes, `MembershipContract` one that shares presence too. `MemoryServer` is a whole server in memory, with `Client`
for its WebSocket clients and `signed` for its HTTP API; `RecordingSink` stands in for the hub and `FakeTransport` for a
socket.
"""

from broadcaster.testing.client import Client
from broadcaster.testing.contract import DriverContract, SharedDriverContract
from broadcaster.testing.frames import client_frame
from broadcaster.testing.http import Answer, signed
from broadcaster.testing.membership import MembershipContract
from broadcaster.testing.server import APP, NOW, QUERY, MemoryServer
from broadcaster.testing.sink import RecordingSink
from broadcaster.testing.transport import FakeTransport

__all__ = (
    "APP",
    "NOW",
    "QUERY",
    "Answer",
    "Client",
    "DriverContract",
    "FakeTransport",
    "MembershipContract",
    "MemoryServer",
    "RecordingSink",
    "SharedDriverContract",
    "client_frame",
    "signed",
)
