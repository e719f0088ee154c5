"""Files: the cache, their sha256, the room for them, and their file system."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tabench.errors import StoreError

Progress = Callable[[int, int, str], None]  # done, total, what
BLOCK = 1 << 22
CACHE = "TABENCH_CACHE"  # the variable that names the cache


def cache_root() -> Path:
    """$TABENCH_CACHE, else tabench inside $XDG_CACHE_HOME or ~/.cache: for what can be made again.

    Raises StoreError: neither variable is set and this user has no home folder, as in many containers.
    """
    if given := os.environ.get(CACHE):
        return Path(given)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "tabench"
    if (home := home_folder()) is not None:
        return home / ".cache" / "tabench"
    hint = "set it to a folder that can be written"
    raise StoreError("this user has no home folder to keep a cache in", where=f"${CACHE}", hint=hint)


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


def sha256_file(path: str | Path, progress: Progress | None = None) -> str:
    """64 hex digits of a file, read block by block; `progress` hears of bytes.

    Raises StoreError: the file cannot be read.
    """
    path = Path(path)
    digest = hashlib.sha256()
    try:
        total, done = path.stat().st_size, 0
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                done += len(block)
                if progress is not None:
                    progress(done, total, str(path))
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    return digest.hexdigest()


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk that a folder, which need not exist yet, is on."""
    return shutil.disk_usage(existing(folder)).free


def file_system(folder: Path) -> str:
    """Type of the file system a folder is on ("ext4", "nfs4"); "unknown" where the system does not say."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    best, kind = -1, "unknown"
    for line in lines:
        _, mount, name, *_ = line.split()
        point = Path(mount.encode().decode("unicode_escape"))
        if folder.resolve().is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), name
    return kind
