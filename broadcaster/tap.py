"""``twistd broadcaster``: its options, and the service made from them."""

from __future__ import annotations

import os
import sys
from typing import Any, ClassVar

from msgspec.structs import replace
from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized

from broadcaster.config import load
from broadcaster.errors import BroadcasterError, ConfigError
from broadcaster.logs import observer
from broadcaster.process import obey, poll_directly, settle
from broadcaster.service import build


class Options(usage.Options):
    """What may follow ``twistd broadcaster``."""

    synopsis = "[--config FILE] [--dir DIR] [--listen ENDPOINT]…"
    optParameters: ClassVar[list[list[Any]]] = [
        ["config", "c", None, "Configuration file; else broadcaster.toml in --dir, else the embedded default."],
        ["dir", "d", ".", "Directory to look for the configuration in."],
    ]

    def __init__(self) -> None:
        usage.Options.__init__(self)
        self["listen"] = []

    def parseOptions(self, options: Any = None) -> None:
        """See `usage.Options`; twistd itself would print all its usage and exit with 1."""
        try:
            usage.Options.parseOptions(self, options)
        except usage.UsageError as error:
            sys.stderr.write(f"broadcaster: {str(error).rstrip(chr(46))}; see twistd broadcaster --help\n")
            raise SystemExit(2) from None

    def parseArgs(self, *arguments: str) -> None:
        """See `usage.Options`; there are none."""
        if arguments:
            raise usage.UsageError(f"unexpected argument {arguments[0]!r}")

    def opt_listen(self, endpoint: str) -> None:
        """Listen on this Twisted endpoint instead of the configured ones; may be given several times."""
        self["listen"].append(endpoint)

    opt_l = opt_listen


class Logged(MultiService):
    """The server under twistd, which asks the application for an observer before it makes one of its own."""

    def __init__(self, wanted: ILogObserver | None) -> None:
        MultiService.__init__(self)
        self._wanted = wanted

    def setServiceParent(self, parent: Any) -> None:
        """See `IService`."""
        if self._wanted is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._wanted)
        MultiService.setServiceParent(self, parent)


def makeService(options: Options) -> IService:
    """The server, bound to its addresses. What is wrong is one line on standard error and an exit status."""
    from twisted.internet import reactor

    try:
        settings = load(options["config"], options["dir"], os.environ)
        if options["listen"]:
            settings = replace(settings, server=replace(settings.server, listen=tuple(options["listen"])))
        service = build(reactor, settings)
        service.bind()
    except BroadcasterError as error:
        sys.stderr.write(f"broadcaster: {error}\n")
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
    root = Logged(observer(settings.log, options.parent or {}))
    IService(service).setServiceParent(root)
    reactor.callWhenRunning(settle)
    reactor.callWhenRunning(poll_directly, reactor)
    reactor.callWhenRunning(obey, reactor, service.drain)
    return root
