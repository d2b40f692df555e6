"""The Lua scripts, each in a file of its own: whatever several processes change is changed by one of them, at once."""

from __future__ import annotations

from importlib.resources import files

from broadcaster.drivers.redis.commands import Script

_FOLDER = files(__package__).joinpath("lua")
_PRELUDE = _FOLDER.joinpath("prelude.lua").read_text()


def _script(name: str) -> Script:
    return Script(_PRELUDE + _FOLDER.joinpath(f"{name}.lua").read_text())


BEAT = _script("beat")
CLAIM = _script("claim")
COUNT = _script("count")
HOOKS_KEEP = _script("hooks_keep")
HOOKS_OWN = _script("hooks_own")
HOOKS_SETTLE = _script("hooks_settle")
JOIN = _script("join")
LAST = _script("last")
LEAVE = _script("leave")
LIST = _script("list")
MEMBERS = _script("members")
ONLINE = _script("online")
PUBLISH = _script("publish")
SEAT = _script("seat")
SWEEP = _script("sweep")
TELL_COUNT = _script("tell_count")
USER_COUNTS = _script("user_counts")
