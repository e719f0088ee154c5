"""Is there room for what will be written?"""

from __future__ import annotations

from pathlib import Path

from tabench.errors import StoreError
from tabench.provenance.files import free_bytes
from tabench.text import bytes_text

SPARE = 64 << 20  # left free for everybody else


def require_space(root: Path, needed: int) -> None:
    """Check the free space of the file system that `root` is or will be on.

    Args:
        root: Folder that will be written; need not exist.
        needed: Bytes that are still to be written.

    Raises:
        StoreError: There is less free; says how much is missing.
    """
    free = free_bytes(root)
    if needed + SPARE > free:
        raise StoreError(
            f"{bytes_text(needed)} are still to be written, {bytes_text(free)} are free",
            where=str(root),
            hint="free some space or choose a folder on another disk; what is written already is kept",
        )
