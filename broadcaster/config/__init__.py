"""From what an operator wrote, in a file or in the environment, to `broadcaster.settings`."""

from __future__ import annotations

from broadcaster.config.loading import load

__all__ = ["load"]
