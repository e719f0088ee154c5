"""Processes that end without a word, and that must not go on when nobody listens any more."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from tabench.errors import StoreError, failure_kind
from tabench.events import Event, Start, events_of
from tabench.runs.executor import CellEvent, Job, Listener, Outcome
from tabench.store.claim import Claim, ClaimedError
from tabench.store.tidy import close

LOOK_SECONDS = 1.0  # how often a parent's death is noticed where the system does not tell


def die_with(parent: int) -> None:
    """End this process when its parent is killed, so that nothing goes on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()
    if os.getppid() != parent:  # it was killed before we asked
        os._exit(1)


def _watch(parent: int) -> None:
    """End this process once its parent has gone, where the system does not do so."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


def how_it_died(code: int) -> str:
    """A process' exit code in words; only a kill from outside may be the want of memory."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, often for want of memory" if name == "SIGKILL" else name


def record_death(results: Path, job: Job, error: Exception) -> Outcome:
    """Keep why a cell failed, unless its process got as far as the record or another one has taken it.

    The error is what is known of its end, `ProcessDiedError`, or what kept it from beginning; the outcome is
    told in the stead of the process that cannot tell it any more.
    """
    folder = job.folder(results)
    try:
        with Claim(folder.claim):
            if folder.record.is_file():
                close(folder)
                return Outcome(job, "done")
            folder.write_failure(error, attempt=len(events_of(Start, folder.read_journal())))
    except ClaimedError as busy:
        return Outcome(job, "busy", message=str(busy))
    except StoreError:  # the disk may be what failed
        pass
    return Outcome(job, "failed", failure_kind(error), str(error) or type(error).__name__)


def speak_for(job: Job, results: Path, listener: Listener, event: Event) -> None:
    """Journal an event in the stead of a cell's process, which cannot do so any more, and tell of it."""
    with suppress(StoreError):  # the disk may be what failed
        job.folder(results).journal(event.name, **event.facts())
    listener(CellEvent(job.cell.id, event))
