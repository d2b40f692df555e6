"""What a laravel-echo-server.json amounts to, for the tests of its readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from broadcaster.config import load
from broadcaster.errors import ConfigError
from broadcaster.settings import App, Auth, Driver, Limits, Server, Settings

FILE = "laravel-echo-server.json"
REDIS = Driver(name="redis", options={"url": "redis://127.0.0.1:6379/0"}, presumed=True)
AUTH = Auth(verify=False)
CLIENT = App(id="shop", key="bearer", secrets=(), bearer=True, auth=AUTH)
DEFAULTS = Settings(
    server=Server(listen=("tcp:6001",)),
    driver=REDIS,
    apps=(CLIENT,),
    limits=Limits(members=0, member_bytes=0, event_bytes=0),
    source=FILE,
)


def loaded(written: Mapping[str, Any], environ: Mapping[str, str] | None = None, client: bool = True) -> Settings:
    """What a file amounts to that has a client, and says ``written``."""
    clients = {"clients": [{"appId": "shop", "key": "bearer"}]} if client else {}
    Path(FILE).write_text(json.dumps(clients | dict(written)))
    return load(None, ".", environ or {})


def refusal(written: str | Mapping[str, Any], environ: Mapping[str, str] | None = None) -> str:
    Path(FILE).write_text(written if isinstance(written, str) else json.dumps(written))
    with pytest.raises(ConfigError) as caught:
        load(None, ".", environ or {})
    assert str(caught.value).isprintable()
    return str(caught.value).removeprefix(f"{FILE}: ")
