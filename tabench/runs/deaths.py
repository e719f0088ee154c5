"""Processes that end without a word, and that must not go on when nobody listens any more."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tabench.errors import StoreError
from tabench.runs.executor import Job
from tabench.runs.retrying import ProcessDiedError
from tabench.store.layout import CellFolder


def die_with(parent: int) -> None:
    """End this process when its parent is killed, so that nothing goes on unseen (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was killed before we asked
        os._exit(1)


def keep_failure(results: Path, job: Job, error: ProcessDiedError) -> None:
    """Write a cell's failure.json in the stead of the process that cannot any more."""
    folder = CellFolder(results, job.experiment, job.cell.id)
    with suppress(StoreError):  # the disk may be what failed
        attempts = sum(event.get("event") == "start" for event in folder.read_journal())
        folder.write_failure(error, attempt=attempts)
