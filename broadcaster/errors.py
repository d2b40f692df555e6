"""What can go wrong, as one tree::

    BroadcasterError
    ├── ConfigError                     names the file, the key and the remedy
    ├── DriverError                     publishing or subscribing failed; the HTTP API answers 503
    ├── MembersFull                     a presence channel has all the members it may have
    └── ProtocolError(code, reason)     the peer did wrong, or is not welcome
        ├── ConnectionClosed            4000–4299: send the error, then close with this code
        └── CommandRejected             say so, stay connected
            └── SubscriptionRejected    the same, told to the channel as well

The class says whether the link survives, never the number. The ranges of *close* codes mean the client's
reconnect policy (4000–4099 never, 4100–4199 after a second, 4200–4299 at once; pusher-js ``getCloseAction``),
so nothing is ever closed with 4300 or more. An error frame that leaves the link standing may carry any of those
numbers, or none.
"""

from __future__ import annotations

SIGNIN_REFUSED = 4009
"""The code of the error frame that refuses a sign-in; the connection stays, as hosted Pusher's does."""


class BroadcasterError(Exception):
    """Anything this package raises on purpose."""


class ConfigError(BroadcasterError):
    """The configuration is wrong; ``str()`` is one line that names the file, the key and the remedy."""

    def __init__(self, source: str, key: str, problem: str, remedy: str = "") -> None:
        self.source = source
        self.key = key
        self.problem = problem
        self.remedy = remedy
        where = f"{source}: {key}" if key else source
        line = f"{where}: {problem}" + (f"; {remedy}" if remedy else "")
        super().__init__(" ".join(line.split()))


class DriverError(BroadcasterError):
    """A driver could not publish or subscribe; nothing was delivered and the caller may try again."""

    @classmethod
    def of(cls, error: object) -> DriverError:
        """``error`` if it is one; else one whose line names what it was, since that is a mistake of the driver's."""
        if isinstance(error, DriverError):
            return error
        return cls(" ".join(f"{type(error).__name__}: {error}".split()).rstrip(": "))


class MembersFull(BroadcasterError):
    """A new user cannot join: the presence channel is at its limit."""


class ProtocolError(BroadcasterError):
    """The peer broke a rule: ``code`` and ``reason`` are what it is told."""

    def __init__(self, code: int | None, reason: str) -> None:
        self.code = code
        self.reason = reason
        super().__init__(reason)


class ConnectionClosed(ProtocolError):
    """The connection ends with ``code``, 4000–4299."""

    code: int

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)


class CommandRejected(ProtocolError):
    """One command is refused, the connection stays; ``channel`` names the channel it was about, if any."""

    def __init__(self, code: int | None, reason: str, channel: str | None = None) -> None:
        self.channel = channel
        super().__init__(code, reason)


class SubscriptionRejected(CommandRejected):
    """A subscription is refused: ``kind`` and ``status`` are what ``pusher:subscription_error`` carries."""

    def __init__(self, channel: str, kind: str, status: int, reason: str) -> None:
        self.kind = kind
        self.status = status
        super().__init__(None, reason, channel)
