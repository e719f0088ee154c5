"""Whether a file is still the one that was read, and what was taken from it: derived, deleted at any time.

Size and modification time do not tell: archives, `cp -p`, `touch -r` and rsync give other content the old
time. The time of the last change (ctime) is the kernel's own and nobody can set it; a file put in place of
another has another inode. File systems that keep no ctime are found out: nothing is remembered there.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from tabench import __version__
from tabench.errors import StoreError
from tabench.provenance.files import file_system
from tabench.store.atomic import write_bytes

Facts = dict[str, Any]
Stamp = tuple[int, int, int, int]  # bytes, mtime_ns, ctime_ns, inode
CACHE_VERSION = 3
VERSION = f"{CACHE_VERSION}/{__version__}"  # of cache and package
# coarse clocks of file systems may give two writes the same time: a file that changed later than this before
# it was read may change again unseen
SETTLED_NS = 2_000_000_000
# they answer with another time, or with one that follows what `touch` sets
WITHOUT_CTIME = ("vfat", "msdos", "exfat", "cifs", "smb3", "9p")


def stamp_of(stat: os.stat_result) -> Stamp:
    """What changes with a file's content. An open file's is the true one on network disks too."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def is_settled(stamp: Stamp, limit: int | None) -> bool:
    """Whether a file's stamp tells every later change; `limit` is `settled_before`'s answer."""
    return limit is not None and stamp[2] < limit


def settled_before(folder: Path, began: int) -> int | None:
    """Times of change before this one can be believed of what was read in a folder, or below it.

    In nanoseconds of the clock that the folder's files are stamped by (a server's, on a network disk); None
    where its file system does not tell every change. `began` is `time.monotonic_ns()` before the reading.
    """
    kind = file_system(folder)
    if kind in WITHOUT_CTIME or kind.startswith("fuse"):
        return None
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".tabench-") as file:
            os.utime(file.fileno(), ns=(1, 1))
            found = os.fstat(file.fileno())
        if found.st_ctime_ns == found.st_mtime_ns:
            return None
        now = found.st_ctime_ns
    except OSError:  # nothing can be written there
        now = time.time_ns()
    return now - (time.monotonic_ns() - began) - SETTLED_NS


class FileCache:
    """Remembers what was read from files, by relative path and stamp, between processes.

    A file is read again when its stamp differs from the remembered one, and always when it had changed less
    than `SETTLED_NS` before it was read. So every answer equals a fresh read; two processes that save at once
    only lose one another's savings. Without `load`, every file that is asked for is read.
    """

    def __init__(self, path: Path, *, load: bool = True) -> None:
        self.path = path
        self._folder = str(path.parent)
        self._held = _load(path) if load else {}
        self._kept: dict[str, list[Any]] = {}

    def facts(self, name: str, extract: Callable[[bytes], Facts]) -> Facts | None:
        """What `extract` makes of a file's content, texts, numbers and None; None if there is no such file.

        `name` is relative to the cache's folder, with "/"; `extract` must not raise on damaged content.
        """
        path = f"{self._folder}/{name}"
        try:
            stamp = [*stamp_of(os.stat(path))]  # noqa: PTH116 - as below
            held = self._held.get(name)
            if held is not None and held[0] == stamp:
                self._kept[name] = held
                return held[1]  # type: ignore[no-any-return]
            began = time.time_ns()
            with open(path, "rb") as file:  # noqa: PTH123 - half the time of a Path, for thousands of files
                stamp = [*stamp_of(os.fstat(file.fileno()))]
                content = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror or error}", where=path) from error
        facts = extract(content)
        if abs(began - stamp[1]) > SETTLED_NS:
            self._kept[name] = [stamp, facts]
        return facts

    def save(self) -> None:
        """Keep what was asked for since the cache was opened, nothing else; if it can be written."""
        if self._held != self._kept:
            content = {"version": VERSION, "files": self._kept}
            with contextlib.suppress(StoreError):
                write_bytes(self.path, json.dumps(content, separators=(",", ":")).encode())


def _load(path: Path) -> dict[str, list[Any]]:
    """Entries of a cache; a missing, torn or foreign one counts as empty."""
    try:
        content = from_json(path.read_bytes())
        files = dict(content["files"]) if content["version"] == VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return files if all(map(_sound, files.values())) else {}


def _sound(entry: object) -> bool:
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[1], dict)):
        return False
    return not any(isinstance(value, list | dict) for value in entry[1].values())
