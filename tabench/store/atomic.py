"""Writing that survives a kill: a file is there whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tabench.errors import StoreError
from tabench.store.encoding import dumps

_PROBE_BYTES = 65_536  # a record and its journal need about so much
_HINTS = {
    errno.ENOSPC: "the disk is full: free some space and run the command again",
    errno.EDQUOT: "your quota is used up: free some space and run the command again",
    errno.EIO: "the disk failed: look at the system's log, or choose another results folder",
    errno.EROFS: "the file system is read-only: choose another results folder",
    errno.EACCES: "no permission: choose another results folder or change its owner",
    errno.EPERM: "no permission: choose another results folder or change its owner",
}


def write_bytes(path: str | Path, data: bytes, *, durable: bool = True) -> None:
    """Write a file whole; arguments and errors as for `replacing`."""
    with replacing(Path(path), durable=durable) as file:
        file.write(data)


def copy_file(source: str | Path, path: str | Path) -> None:
    """Copy a file whole; its content never lies in memory at once. Raises as `replacing`, for both."""
    with replacing(Path(path)) as file, Path(source).open("rb") as held:
        shutil.copyfileobj(held, file)


def check_writable(folder: str | Path) -> None:
    """Find out whether files can be written to a folder, by writing one and removing it; makes the folder."""
    folder = Path(folder)
    probe = draft_of(folder / "probe")
    try:
        write_bytes(probe, bytes(_PROBE_BYTES))
        probe.unlink()
    except StoreError as error:  # the folder is what matters, not the probe
        raise StoreError(error.message, where=str(folder), hint=error.hint) from error


@contextlib.contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file that takes the path's place when the block ends well, and is removed otherwise.

    Whoever reads the path sees the old content or the new one: it is written beside it, flushed and renamed.

    Args:
        path: Where it goes; missing folders are made.
        durable: Wait for the disk. Files that can be made again go without: thousands of them take minutes.

    Raises:
        StoreError: The path cannot be written; the message says why. Nothing is left behind.
    """
    with explained(path):
        _make_folder(path.parent)
        temporary = draft_of(path)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            _sync_folder(path.parent)


def draft_of(path: Path) -> Path:
    """A name beside a path, for what is being written; no other process has it, and `sweep` knows it."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


def write_json(path: str | Path, value: object) -> None:
    """Write a value as JSON, whole or not at all; equal values give equal bytes. Raises as `dumps` too."""
    write_bytes(path, dumps(value).encode())


def append_line(path: str | Path, line: str) -> None:
    """Append one line and flush it to the disk; a line torn by an earlier kill is closed first.

    Raises:
        StoreError: The path cannot be written.
        ValueError: The line holds a line break.
    """
    if "\n" in line:
        raise ValueError("one line at a time")
    path = Path(path)
    with explained(path):
        _make_folder(path.parent)
        with path.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an operating system's error inside the block into one message that names the path.

    Raises:
        StoreError: The block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        hint = _HINTS.get(error.errno or 0)
        raise StoreError(
            f"cannot be written: {error.strerror or error}", where=str(path), hint=hint
        ) from error


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it; a new one is synced into the one that holds it."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            os.fsync(handle)
    finally:
        os.close(handle)
