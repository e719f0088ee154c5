"""Whether a file is still the one that was read, told without reading it again.

Size and modification time do not tell: archives, `cp -p`, `touch -r` and rsync give other content the old
time. The time of the last change (ctime) is the kernel's own and nobody can set it; a file put in place of
another has another inode. File systems that keep no ctime are found out: nothing is remembered there.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from tabench.provenance.filesystem import file_system

Stamp = tuple[int, int, int, int]  # bytes, mtime_ns, ctime_ns, inode
SETTLED_NS = 2_000_000_000  # a file changed later than this before it was read may change again unseen
# they answer with another time, or with one that follows what `touch` sets
WITHOUT_CTIME = ("vfat", "msdos", "exfat", "cifs", "smb3", "9p")


def stamp_of(stat: os.stat_result) -> Stamp:
    """What changes with a file's content. An open file's is the true one on network disks too."""
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def is_settled(stamp: Stamp, limit: int | None) -> bool:
    """Whether a file's stamp tells every later change; `limit` is `settled_before`'s answer."""
    return limit is not None and stamp[2] < limit


def settled_before(folder: Path, began: int) -> int | None:
    """Times of change before this one can be believed of what was read in a folder.

    Args:
        folder: Where the files are, or a folder above them on the same file system.
        began: `time.monotonic_ns()` before the first of them was read.

    Returns:
        Nanoseconds of the clock that the folder's files are stamped by (a server's, on a network disk);
        None where its file system does not tell every change.
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
