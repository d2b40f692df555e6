"""What all connections of a process share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from broadcaster.cache import Cache
from broadcaster.counters import Counters
from broadcaster.facts import Facts
from broadcaster.hub import Hub
from broadcaster.interfaces import IAuthorizer, IMembership
from broadcaster.publisher import Publisher
from broadcaster.settings import Limits
from broadcaster.sharing import Shared
from broadcaster.users import Users
from broadcaster.wheel import Wheel


@dataclass(slots=True)
class Switchboard:
    """A connection's way to everything else; ``clock`` gives monotonic seconds.

    ``limits`` are others once the configuration was read again.
    """

    hub: Hub
    users: Users
    cache: Cache
    publisher: Publisher
    membership: IMembership
    shared: Shared
    facts: Facts
    authorizer: IAuthorizer
    limits: Limits
    counters: Counters
    wheel: Wheel
    clock: Callable[[], float]
