"""Identity of what was prepared from: size and sha256 of every archive or folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from tabench.data.base import Progress
from tabench.errors import DataError, StoreError
from tabench.provenance.files import sha256_file


def describe(
    sources: Sequence[tuple[Path, Sequence[Path]]], progress: Progress | None = None
) -> list[dict[str, object]]:
    """Name, size and sha256 of each source, as prepare.json keeps them.

    Args:
        sources: A file with no further files, or a folder with the files of it that are used.
        progress: Called with (bytes done, bytes in all, file).

    Returns:
        One entry a source; a folder's sha256 is over its files' sorted
        "relative path NUL sha256" lines. Nothing of where it lies on this machine.

    Raises:
        DataError: A file cannot be read.
    """
    try:
        sizes = {path: path.stat().st_size for source, files in sources for path in (files or [source])}
        total, done = sum(sizes.values()), 0
        digests: dict[Path, str] = {}
        for path, size in sizes.items():

            def report(part: int, whole: int, what: str, before: int = done) -> None:
                if progress is not None:
                    progress(before + part, total, f"hash {what}")

            digests[path] = sha256_file(path, report)
            done += size
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(error.filename)) from error
    except StoreError as error:
        raise DataError(error.message, where=error.where) from error
    return [_entry(source, files, sizes, digests) for source, files in sources]


def _entry(
    source: Path, files: Sequence[Path], sizes: dict[Path, int], digests: dict[Path, str]
) -> dict[str, object]:
    if not files:
        return {"name": source.name, "bytes": sizes[source], "sha256": digests[source]}
    lines = sorted(f"{path.relative_to(source).as_posix()}\0{digests[path]}\n" for path in files)
    return {
        "name": f"{source.resolve().name}/",
        "files": len(files),
        "bytes": sum(sizes[path] for path in files),
        "sha256": hashlib.sha256("".join(lines).encode()).hexdigest(),
    }
