"""The user's cache folder, for what can be made again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """$TABENCH_CACHE, else tabench inside $XDG_CACHE_HOME or ~/.cache."""
    given = os.environ.get("TABENCH_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tabench"
