"""The user's cache folder, for what can be made again, and the home folder that a user may lack."""

from __future__ import annotations

import os
from pathlib import Path

from tabench.errors import StoreError

CACHE = "TABENCH_CACHE"  # the variable that names it


def cache_root() -> Path:
    """$TABENCH_CACHE, else tabench inside $XDG_CACHE_HOME or ~/.cache.

    Raises:
        StoreError: Neither variable is set and this user has no home folder, as in many containers.
    """
    if given := os.environ.get(CACHE):
        return Path(given)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "tabench"
    if (home := home_folder()) is not None:
        return home / ".cache" / "tabench"
    raise StoreError(
        "this user has no home folder to keep a cache in",
        where=f"${CACHE}",
        hint="set it to a folder that can be written",
    )


def home_folder() -> Path | None:
    """The user's home folder; None for a user whom neither $HOME nor the user table gives one."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def lend_home() -> None:
    """Let libraries that keep something at home keep it in $TABENCH_CACHE, where the user has no home."""
    if (given := os.environ.get(CACHE)) and home_folder() is None:
        os.environ["HOME"] = str(Path(given).absolute())
