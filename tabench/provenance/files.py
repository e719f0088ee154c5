"""Files: the cache, their sha256, the room for them, and what their file system does, found by trying."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tabench.errors import StoreError
from tabench.provenance.machine import Finding
from tabench.text import bytes_text

Progress = Callable[[int, int, str], None]  # done, total, what
BLOCK = 1 << 22
CACHE = "TABENCH_CACHE"  # the variable that names the cache
FEW_BYTES = 2e9
CLOCK_SECONDS = 60.0  # other hosts' claims are judged by the times of files
SLOW_FSYNC = 1.0  # seconds


def cache_root() -> Path:
    """$TABENCH_CACHE, else tabench inside $XDG_CACHE_HOME or ~/.cache: for what can be made again.

    Raises:
        StoreError: Neither variable is set and this user has no home folder, as in many containers.
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

    Raises:
        StoreError: The file cannot be read.
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


def folder_findings(folder: Path, what: str) -> list[Finding]:
    """Try writing, renaming, flushing, locking and the clock in a folder, and look at its free space.

    The folder need not exist: its nearest existing parent is tried. Everything made there is removed. `what`
    is its name in the messages, for example "results folder".
    """
    there = existing(folder)
    name = f"{what} {folder} ({file_system(there)})"
    try:
        place = Path(tempfile.mkdtemp(prefix=".tabench-doctor-", dir=there))
    except OSError as error:
        hint = "choose another folder, or change its owner or rights"
        return [Finding("problem", f"{name}: nothing can be written in {there}: {error.strerror}", hint)]
    try:
        found = [finding for probe in (_rename, _flush, _locks, _clock) for finding in _tried(probe, place)]
    finally:
        shutil.rmtree(place, ignore_errors=True)
    whole = [Finding("ok", f"{name}: whole-file renames, fsync, locks and clock work")] if not found else []
    return [*whole, *(Finding(f.level, f"{name}: {f.message}", f.hint) for f in found), _space(there, what)]


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


def _tried(probe: Callable[[Path], Iterator[Finding]], place: Path) -> Iterator[Finding]:
    try:
        yield from probe(place)
    except OSError as error:
        message = f"{probe.__name__.strip('_')} failed: {error.strerror or error}"
        yield Finding("problem", message, "keep results on a local disk or another file system")


def _rename(place: Path) -> Iterator[Finding]:
    """A rename replaces a file at once, and whoever has the old one open keeps it whole."""
    old, new = place / "file", place / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    with old.open("rb") as held:
        new.replace(old)
        kept = held.read()
    if old.read_bytes() != b"new" or new.exists() or kept != b"old":
        hint = "a kill may leave half a record here: keep results on another file system"
        yield Finding("problem", "a rename does not replace a file at once", hint)


def _flush(place: Path) -> Iterator[Finding]:
    """Flush a file and its folder, which a rename needs to survive a power cut."""
    began = time.perf_counter()
    with (place / "flushed").open("wb") as file:
        file.write(b"x" * 4096)
        file.flush()
        os.fsync(file.fileno())
    handle = os.open(place, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        hint = "records are whole all the same, but the latest may be lost in a power cut"
        yield Finding("note", "a folder cannot be flushed to the disk", hint)
    finally:
        os.close(handle)
    took = time.perf_counter() - began
    if took > SLOW_FSYNC:
        yield Finding("note", f"flushing 4 kB took {took:.1f} s", "give a larger --checkpoint-every")


def _locks(place: Path) -> Iterator[Finding]:
    """A second holder of an exclusive lock is refused."""
    hint = "do not run two processes on the same cells from here at the same time"
    first, second = os.open(place, os.O_RDONLY), os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Finding("note", "a lock does not keep others out", hint)
    except OSError as error:
        yield Finding("note", f"there are no locks ({error.strerror})", hint)
    finally:
        os.close(first)
        os.close(second)


def _clock(place: Path) -> Iterator[Finding]:
    """Times of files against this machine's clock."""
    path = place / "time"
    before = time.time()
    path.touch()
    off = path.stat().st_mtime - before
    if abs(off) > CLOCK_SECONDS:
        hint = "set both clocks: whether another host still runs a cell is judged by times of files"
        yield Finding("problem", f"its clock is {off:+.0f} s off this machine's", hint)


def _space(there: Path, what: str) -> Finding:
    free = free_bytes(there)
    hint = "free some: full fine-tuning of SAM needs tens of gigabytes"
    return Finding.unless(free < FEW_BYTES, f"{bytes_text(free)} free for the {what}", hint)
