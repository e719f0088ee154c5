"""Identity of a dataset's contents: one sha256 over every file's name and sha256.

Hashing gigabytes takes minutes, so each file's digest is cached by path, size and
modification time, beside the data or, where that folder is read-only, in the user's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from tabench.data.base import Progress
from tabench.errors import DataError, StoreError
from tabench.store.atomic import write_bytes
from tabench.store.cache import cache_root
from tabench.store.encoding import parse_json

CACHE_NAME = ".tabench-fingerprint.json"
Entry = tuple[int, int, str]  # size, mtime_ns, sha256


def fingerprint_files(root: Path, files: Sequence[Path], progress: Progress | None = None) -> str:
    """sha256 of the sorted "relative path, sha256" lines of the files.

    Independent of where the folder is, of times and of the order given.

    Raises:
        DataError: A file cannot be read.
    """
    caches = [_load(path) for path in cache_files(root)]
    current: dict[str, Entry] = {}
    for done, path in enumerate(files, start=1):
        name = path.relative_to(root).as_posix()
        try:
            stat = path.stat()
            state = (stat.st_size, stat.st_mtime_ns)
            held = next((cache[name] for cache in caches if name in cache and cache[name][:2] == state), None)
            if held is None:
                with path.open("rb") as handle:
                    held = (*state, hashlib.file_digest(handle, "sha256").hexdigest())
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", where=str(path)) from error
        current[name] = held
        if progress is not None:
            progress(done, len(files), f"hash {name}")
    if current not in caches:
        _save(root, current)
    lines = "".join(f"{name}\0{current[name][2]}\n" for name in sorted(current))
    return hashlib.sha256(lines.encode()).hexdigest()


def cache_files(root: Path) -> list[Path]:
    """Where the cache may be: beside the data, and in the user's cache folder if there is one."""
    places = [root / CACHE_NAME]
    with contextlib.suppress(StoreError):
        name = f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}.json"
        places.append(cache_root() / "fingerprints" / name)
    return places


def _load(path: Path) -> dict[str, Entry]:
    try:
        held = parse_json(path.read_bytes())
        return {str(name): (int(row[0]), int(row[1]), str(row[2])) for name, row in held.items()}
    except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError):
        return {}  # no cache, or a damaged one: hash again


def _save(root: Path, entries: dict[str, Entry]) -> None:
    data = json.dumps(entries, separators=(",", ":")).encode()
    for path in cache_files(root):
        with contextlib.suppress(StoreError):  # read-only: the next place, and in the end no cache
            write_bytes(path, data)
            return
