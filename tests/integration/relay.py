"""A load balancer at its simplest: one address before one server at a time."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Self

from tests.processes import PATIENCE


class Relay:
    """Passes new connections on to ``target``; those that stand keep the target they have."""

    def __init__(self, target: int) -> None:
        self.target = target

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for each in self._sockets:
            _shut_down(each, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def cut(self) -> None:
        """End all connections; whoever comes again is passed on again."""
        for each in self._sockets:
            _shut_down(each, socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target), PATIENCE)
            server.settimeout(None)
            self._sockets += [client, server]
            for pair in ((client, server), (server, client)):
                thread = threading.Thread(target=_pass_on, args=pair)
                self._threads.append(thread)
                thread.start()


def _pass_on(source: socket.socket, destination: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            destination.sendall(received)
    _shut_down(destination, socket.SHUT_WR)


def _shut_down(end: socket.socket, how: int) -> None:
    with suppress(OSError):
        end.shutdown(how)
