"""Who somebody is on a presence channel, out of the ``channel_data`` that the application gave. Pure."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from broadcaster.messages import Member


class _ChannelData(Struct):
    user_id: Raw = Raw()
    user_info: Raw = Raw(b"{}")


_channel_data = msgspec.json.Decoder(_ChannelData).decode
_string = msgspec.json.Decoder(str).decode


def read_member(channel_data: str) -> Member | None:
    """The member; None where ``user_id`` is neither a number nor a string that is not empty.

    Raises `UNREADABLE` for what is no JSON object.
    """
    fields = _channel_data(channel_data)
    raw = bytes(fields.user_id)
    # A number is kept as it was written, so that 10 and "10" are one member, whatever its size.
    user_id = _string(raw) if raw[:1] == b'"' else raw.decode() if raw[:1] in b"-0123456789" else ""
    return Member(user_id, bytes(fields.user_info), channel_data.encode()) if user_id else None
