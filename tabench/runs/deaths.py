"""Processes that end without a word, and that must not go on when nobody listens any more."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from tabench.errors import StoreError
from tabench.runs.executor import Job, Outcome
from tabench.runs.retrying import ProcessDiedError
from tabench.store.claim import Claim, ClaimedError
from tabench.store.layout import CellFolder, failure_kind
from tabench.store.tidy import close


def die_with(parent: int) -> None:
    """End this process when its parent is killed, so that nothing goes on unseen (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:  # it was killed before we asked
        os._exit(1)


def bury(results: Path, job: Job, error: ProcessDiedError) -> Outcome:
    """Keep why a cell failed, unless its process got as far as the record or another one has taken it.

    Returns:
        The cell's end, in the stead of the process that cannot tell it any more.
    """
    folder = CellFolder(results, job.experiment, job.cell.id)
    try:
        with Claim(folder.claim):
            if folder.record.is_file():
                close(folder)
                return Outcome(job, "done")
            attempts = sum(event.get("event") == "start" for event in folder.read_journal())
            folder.write_failure(error, attempt=attempts)
    except ClaimedError as busy:
        return Outcome(job, "busy", message=str(busy))
    except StoreError:  # the disk may be what failed
        pass
    return Outcome(job, "failed", failure_kind(error), str(error))
