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
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM)
_HINTS = dict.fromkeys(_FULL, "free some space and run the command again") | dict.fromkeys(
    _CLOSED, "choose another results folder, or let it be written"
)


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
    Missing folders are made. `durable` waits for the disk: files that can be made again go without, since
    thousands of them take minutes. A StoreError says why the path cannot be written; nothing is left behind.
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
    """Append one line and flush it to the disk; a line torn by an earlier kill is closed first."""
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
    """Turn an operating system's error inside the block into a StoreError that names the path."""
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
    with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
        sync(folder)


def sync(path: Path) -> None:
    """Wait until a file or a folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
