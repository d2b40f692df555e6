"""``twistd broadcaster``: its options, and the service made from them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from msgspec.structs import replace
from twisted.application.service import IService, MultiService
from twisted.logger import ILogObserver
from twisted.python import usage
from twisted.python.components import Componentized

from broadcaster.claim import PATIENCE, Claim, Running, claim
from broadcaster.config import load
from broadcaster.errors import BroadcasterError, ConfigError
from broadcaster.inheritance import Inherited, activated
from broadcaster.logs import Observer, observer
from broadcaster.notify import Notifier
from broadcaster.operation import Operation
from broadcaster.presumption import without_absent_redis
from broadcaster.process import poll_directly, settle
from broadcaster.service import build
from broadcaster.settings import Log, Settings


class Options(usage.Options):
    """What may follow ``twistd broadcaster``."""

    synopsis = "[--config FILE] [--dir DIR] [--listen ENDPOINT]… [--sole [--force]]"
    optParameters: ClassVar[list[list[Any]]] = [
        ["config", "c", None, "Configuration file; else broadcaster.toml in --dir, else the embedded default."],
        ["dir", "d", ".", "Directory to look for the configuration in."],
    ]

    optFlags: ClassVar[list[list[Any]]] = [
        ["sole", None, "Be the only server of this configuration: wait 3 s for another to end, then refuse to run."],
        ["force", None, "Take over from another server of this configuration though it does not end."],
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

    directory = os.getcwd()

    def read() -> Settings:
        # Daemonised, the process is elsewhere when it is told to read again.
        os.chdir(directory)
        settings = without_absent_redis(load(options["config"], options["dir"], os.environ))
        if options["listen"]:
            settings = replace(settings, server=replace(settings.server, listen=tuple(options["listen"])))
        return settings

    claimed: Claim | None = None
    try:
        settings = read()
        logs = _logs(settings.log, options.parent or {})
        service = build(reactor, settings)
        try:
            claimed = _claim(settings, options)
        except Running as running:
            if options["sole"]:
                raise
            service.notes.append(f"{running}: this one runs without a control socket")
        service.bind(claimed.inherited(activated()) if claimed else Inherited(activated()))
    except BroadcasterError as error:
        if claimed is not None:
            claimed.give_up()
        sys.stderr.write(f"broadcaster: {error}\n")
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
    root = Logged(logs)
    IService(service).setServiceParent(root)
    relog = logs.adopt if logs is not None else _as_before
    operation = Operation(reactor, service, claimed, Notifier(os.environ), read, relog)
    IService(operation).setServiceParent(root)
    reactor.callWhenRunning(settle)
    reactor.callWhenRunning(poll_directly, reactor)
    return root


def _logs(log: Log, twistd: Mapping[str, Any]) -> Observer | None:
    try:
        return observer(log, twistd)
    except OSError as error:
        name = error.filename or "the log"
        raise Unwritable(f"{name}: {error.strerror}; log elsewhere with twistd --logfile") from None


class Unwritable(BroadcasterError):
    """There is no log to be written."""


def _as_before(log: Log) -> None:
    """Twistd's own logs have neither a level nor a format."""


def _claim(settings: Settings, options: Options) -> Claim | None:
    path = settings.control_path
    if path is None:
        return None
    return claim(path, settings.source, bool(options["force"]), PATIENCE if options["sole"] else 0.0)
