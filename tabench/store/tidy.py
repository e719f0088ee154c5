"""What a kill may leave behind, and who takes it away.

A finished cell keeps no checkpoint, failure or half-written file. A process that is killed between the record
and that leaves its claim as well: `settle` finds it by this on the next run. Temporary files of folders that
cells share may be another process' work; they go when they are old.
"""

from __future__ import annotations

import contextlib
import shutil
import time

from tabench.errors import StoreError
from tabench.events import Done, Start, events_of, read_line
from tabench.store.claim import Claim, ClaimedError, is_live
from tabench.store.folders import CellFolder, ExperimentFolder

OLD_SECONDS = 3600.0  # no write takes so long


def sweep(folder: CellFolder) -> None:
    """Remove what was being written of a cell when a process was killed; the caller holds its claim."""
    now = folder.claim.stat().st_mtime  # a heartbeat old at most, by the file system's clock
    for path in [*folder.path.glob(".*.tmp"), *folder.pictures.glob(".*.tmp")]:
        asking = path.name.startswith(f".{folder.claim.name}.")  # names its process, as the claim does
        if not (asking and is_live(path, now)):
            path.unlink(missing_ok=True)
    for path in folder.checkpoint.glob("*/writing*"):
        shutil.rmtree(path, ignore_errors=True)


def tidy(folder: CellFolder) -> None:
    """Remove what a finished cell does not need; the caller holds its claim."""
    folder.clear_failure()
    shutil.rmtree(folder.checkpoint, ignore_errors=True)
    sweep(folder)


def close(folder: CellFolder) -> None:
    """Do what comes after the record for a process that was killed there; the caller holds the claim."""
    tidy(folder)
    if not events_of(Done, folder.read_journal()):
        folder.journal(Done.name, wall_s=round(journalled_seconds(folder), 3))


def settle(folder: CellFolder) -> None:
    """Close a finished cell whose process was killed after the record; one that runs is left alone."""
    if folder.claim.exists() and folder.record.is_file():
        with contextlib.suppress(ClaimedError, StoreError), Claim(folder.claim):  # it may be read-only
            close(folder)


def sweep_shared(folder: ExperimentFolder) -> None:
    """Remove temporary files older than `OLD_SECONDS` from the folders that cells share."""
    for path in [*folder.path.glob(".*.tmp"), *folder.path.glob("truth/*/.*.tmp")]:
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > OLD_SECONDS:
                path.unlink()


def journalled_seconds(folder: CellFolder) -> float:
    """Wall-clock of all attempts by the journal, killed ones up to their last event."""
    total, begin, last = 0.0, None, 0.0
    for line in folder.read_journal():
        if isinstance(read_line(line), Start):
            total += last - begin if begin is not None else 0.0
            begin = float(line["t"])
        last = float(line["t"])
    return total + (last - begin if begin is not None else 0.0)
