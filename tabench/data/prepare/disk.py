"""Is there room for what will be written?"""

from __future__ import annotations

import shutil
from pathlib import Path

from tabench.errors import StoreError

SPARE = 64 << 20  # left free for everybody else


def require_space(root: Path, needed: int) -> None:
    """Check the free space of the file system that `root` is or will be on.

    Args:
        root: Folder that will be written; need not exist.
        needed: Bytes that are still to be written.

    Raises:
        StoreError: There is less free; says how much is missing.
    """
    place = root.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + SPARE > free:
        raise StoreError(
            f"{readable(needed)} are still to be written, {readable(free)} are free",
            where=str(root),
            hint="free some space or choose a folder on another disk; what is written already is kept",
        )


def readable(size: int) -> str:
    """Bytes as a person says them: 5.1 GB."""
    amount = float(size)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
