"""Cells of a pool that only pretend: real processes that begin in a moment, since none imports torch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from tabench.errors import DivergedError
from tabench.runs.executor import Job, Listener, Options, Outcome
from tabench.runs.local import pool
from tabench.store.claim import Claim
from tabench.store.folders import CellFolder

work_for_real = pool._work


def work(pipe: Connection, options: Options, parent: int) -> None:
    """What a process of the pool does, in the stead of `pool._work`."""
    pool.run_job = pretend
    work_for_real(pipe, options, parent)


def pretend(job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
    """Do as a run of the cell would: diverge with a learning rate above 1, go on for ever with seed 0."""
    folder = CellFolder(options.results, job.experiment, job.cell.id)
    with Claim(folder.claim):
        folder.journal("start", attempt=1, pid=os.getpid())
        folder.clear_failure()
        if job.cell.train.lr > 1:
            error = DivergedError("the loss is NaN")
            folder.write_failure(error, attempt=1)
            return Outcome(job, "failed", error.kind, str(error))
        while job.cell.seed == 0 and not should_stop():
            time.sleep(0.01)
        if should_stop():
            return Outcome(job, "interrupted", message="stopped")
        folder.record.write_text("{}")
    return Outcome(job, "done")
