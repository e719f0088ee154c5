"""What ``tabench doctor`` says of folders and of what is installed. Never imports torch itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Self

from tabench.provenance.files import existing, file_system, free_bytes
from tabench.text import bytes_text

FEW_BYTES = 2e9
CLOCK_SECONDS = 60.0  # other hosts' claims are judged by the times of files


@dataclass(frozen=True)
class Finding:
    """One line of ``tabench doctor``."""

    level: Literal["ok", "note", "problem"]  # "note": runs work, but know it
    message: str  # what was found
    hint: str = ""  # what to do; empty if nothing is

    @classmethod
    def unless(cls, wrong: bool, message: str, hint: str) -> Self:
        """A problem with its hint, or that all is well."""
        return cls("problem", message, hint) if wrong else cls("ok", message)


def build_finding() -> Finding:
    """Compare the builds of torch and torchvision by their version files: importing takes seconds."""
    try:
        builds = {name: (version(name), _build(name)) for name in ("torch", "torchvision")}
    except PackageNotFoundError as error:
        hint = "install the locked versions: pip install --require-hashes -r requirements.lock"
        return Finding("problem", f"{error.name} is not installed", hint)
    text = ", ".join(f"{name} {v} ({build or 'build not told'})" for name, (v, build) in builds.items())
    wrong = len({build for _, build in builds.values() if build}) > 1
    hint = "they are of different builds and torchvision's operators fail: take both from one index at once"
    return Finding.unless(wrong, text, hint)


def _build(name: str) -> str:
    """The build that a package's version file names after "+": "cpu", "cu132"; "" where it names none."""
    spec = find_spec(name)
    path = Path(spec.origin).with_name("version.py") if spec is not None and spec.origin else None
    text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""
    found = re.search(r"__version__\s*=\s*['\"][^'\"+]*\+([A-Za-z0-9.]+)", text)
    return found[1] if found else ""


def folder_findings(folder: Path, what: str) -> list[Finding]:
    """Try writing, renaming, flushing, locking and the clock in a folder, and look at its free space.

    The folder need not exist: its nearest existing parent is tried. Everything made there is removed. `what`
    is its name in the messages, for example "results folder".
    """
    there = existing(folder)
    name = f"{what} {folder} ({file_system(there)})"
    try:
        with tempfile.TemporaryDirectory(prefix=".tabench-doctor-", dir=there) as place:
            found = [Finding(f.level, f"{name}: {f.message}", f.hint) for f in _probed(Path(place))]
    except OSError as error:
        hint = "choose another folder, change its owner or rights, or free space on its disk"
        return [Finding("problem", f"{name}: files cannot be kept here: {error.strerror or error}", hint)]
    free, hint = free_bytes(there), "free some: full fine-tuning of SAM needs tens of gigabytes"
    return [
        *(found or [Finding("ok", f"{name}: whole-file renames, fsync, locks and clock work")]),
        Finding.unless(free < FEW_BYTES, f"{bytes_text(free)} free for the {what}", hint),
    ]


def _probed(place: Path) -> Iterator[Finding]:
    old, new = place / "file", place / "new"
    old.write_bytes(b"old")
    before = time.time()
    with new.open("wb") as file:
        file.write(b"new")
        file.flush()
        os.fsync(file.fileno())
    off = new.stat().st_mtime - before
    # a rename replaces a file at once, and whoever has the old one open keeps it whole
    with old.open("rb") as held:
        new.replace(old)
        kept = held.read()
    if old.read_bytes() != b"new" or new.exists() or kept != b"old":
        hint = "a kill may leave half a record here: keep results on another file system"
        yield Finding("problem", "a rename does not replace a file at once", hint)
    if abs(off) > CLOCK_SECONDS:
        hint = "set both clocks: whether another host still runs a cell is judged by times of files"
        yield Finding("problem", f"its clock is {off:+.0f} s off this machine's", hint)
    if (why := _lock_trouble(place)) is not None:
        hint = "do not run two processes on the same cells from here at the same time"
        yield Finding("note", why, hint)


def _lock_trouble(place: Path) -> str | None:
    """Why locks do not work; None where a second holder of an exclusive lock is refused."""
    first, second = os.open(place, os.O_RDONLY), os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return "a lock does not keep others out"
    except OSError as error:
        return f"there are no locks ({error.strerror})"
    finally:
        os.close(first)
        os.close(second)
    return None
