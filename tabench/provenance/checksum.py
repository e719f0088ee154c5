"""sha256 of files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tabench.errors import StoreError

Progress = Callable[[int, int, str], None]  # done, total, what
_BLOCK = 1 << 22


def sha256_file(path: str | Path, progress: Progress | None = None) -> str:
    """Hash a file block by block.

    Args:
        path: The file.
        progress: Called with bytes done, bytes in all, and the path.

    Returns:
        64 hex digits.

    Raises:
        StoreError: The file cannot be read.
    """
    path = Path(path)
    digest = hashlib.sha256()
    try:
        total, done = path.stat().st_size, 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total, str(path))
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    return digest.hexdigest()
