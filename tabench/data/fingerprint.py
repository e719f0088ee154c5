"""Identity of a dataset's contents: one sha256 over every file's name and sha256.

Hashing gigabytes takes minutes, so each file's digest is cached by path and stamp (see `store.file_cache`),
beside the data or, where that folder is read-only, in the user's cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from tabench.data.base import Progress
from tabench.data.listing import unreadable
from tabench.errors import DataError, StoreError
from tabench.provenance.files import cache_root
from tabench.store.atomic import write_bytes
from tabench.store.encoding import parse_json
from tabench.store.file_cache import Stamp, is_settled, settled_before, stamp_of

CACHE_NAME = ".tabench-fingerprint.json"
Entry = tuple[Stamp, str]  # with the sha256


def fingerprint_files(
    root: Path, files: Sequence[Path], progress: Progress | None = None, *, fresh: bool = False
) -> str:
    """sha256 of the sorted "relative path, sha256" lines of the files; `fresh` hashes every file anew.

    Independent of where the folder is, of times and of the order given.

    Raises:
        DataError: A file cannot be read, or changes while it is.
    """
    caches = [] if fresh else [_load(path) for path in cache_files(root)]
    current: dict[str, Entry] = {}
    began = time.monotonic_ns()
    for done, path in enumerate(files, start=1):
        name = path.relative_to(root).as_posix()
        try:
            current[name] = _entry(path, [cache[name] for cache in caches if name in cache])
        except OSError as error:
            raise unreadable(error, path) from error
        if progress is not None:
            progress(done, len(files), f"hash {name}")
    if current not in caches:
        _save(root, current, began)
    lines = "".join(f"{name}\0{current[name][1]}\n" for name in sorted(current))
    return hashlib.sha256(lines.encode()).hexdigest()


def _entry(path: Path, known: Sequence[Entry]) -> Entry:
    with path.open("rb") as handle:
        stamp = stamp_of(os.fstat(handle.fileno()))
        held = next((entry for entry in known if entry[0] == stamp), None)
        if held is not None:
            return held
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        if stamp_of(os.fstat(handle.fileno())) != stamp:
            hint = "wait until whatever writes it has finished"
            raise DataError("changes while it is read", where=str(path), hint=hint)
    return stamp, digest


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
        return {
            name: ((int(size), int(mtime), int(ctime), int(inode)), str(sha256))
            for name, (size, mtime, ctime, inode, sha256) in held.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError):
        return {}  # no cache, or a damaged one: hash again


def _save(root: Path, entries: dict[str, Entry], began: int) -> None:
    """Keep what a later look can believe; see `settled_before`."""
    limit = settled_before(root, began)
    kept = {name: (*stamp, sha256) for name, (stamp, sha256) in entries.items() if is_settled(stamp, limit)}
    data = json.dumps(kept, separators=(",", ":")).encode()
    for path in cache_files(root):
        with contextlib.suppress(StoreError):  # read-only: the next place, and in the end no cache
            write_bytes(path, data)
            return
