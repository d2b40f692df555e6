"""The query of a request to ``/socket.io/``, however it is written."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from broadcaster.web.engineio import Query, read_query

NAMES = st.sampled_from(["transport", "sid", "app", "EIO", "b64", "j", "t", ""])
PIECES = st.builds(
    lambda name, mark, value: name + mark + value, NAMES, st.sampled_from(["=", "", "=="]), st.text("34a=%+2 ")
)


@given(st.lists(PIECES).map("&".join))
@example("")
@example("sid&sid=a=b&&")
def test_it_is_read_as_the_standard_library_reads_queries(query: str) -> None:
    given = dict(parse_qsl(query, keep_blank_values=True))
    read = read_query(query)
    assert read.transport == given.get("transport", "")
    assert (read.sid, read.app, read.jsonp) == (given.get("sid"), given.get("app"), given.get("j"))
    assert (read.revision, read.b64) == ({"3": 3, "4": 4}.get(given.get("EIO", "")), bool(given.get("b64")))


@pytest.mark.parametrize("sid", ["abc_-1", "a b", "a+b", "ä&=%"])
def test_escapes_are_undone(sid: str) -> None:
    query = urlencode({"EIO": "4", "transport": "polling", "sid": sid})
    assert read_query(query) == Query("polling", sid, 4, False, None, None)
