"""The command ``broadcaster``, for people and their scripts."""

from __future__ import annotations

from broadcaster.cli.entry import main

__all__ = ["main"]
