"""Which cells are run again by themselves, and how often."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tabench.errors import RETRIED_KINDS
from tabench.events import Retry
from tabench.runs.deaths import speak_for
from tabench.runs.executor import Listener, Outcome

RETRIES = 2  # of a cell, after its first try
PAUSES = (1.0, 10.0)  # seconds before each: a full disk or a lost mount needs a moment
LOOK_SECONDS = 0.2  # how often a stop is noticed while waiting


class ProcessDiedError(OSError):
    """A cell's process ended without a word."""


class Retries:
    """Counts a run's retries, and writes each into the cell's journal (run.json copies it from there).

    Args:
        results: Results folder.
        listener: Told of every retry.
        limit: Retries of a cell.
        done: Retries that cells had already, by id.
        pauses: Seconds before each retry, the last one before all further ones.
    """

    def __init__(
        self,
        results: Path,
        listener: Listener,
        limit: int = RETRIES,
        done: Mapping[str, int] | None = None,
        pauses: tuple[float, ...] | None = None,
    ) -> None:
        self.results = results
        self.listener = listener
        self.limit = limit
        self._pauses = PAUSES if pauses is None else pauses
        self._done = dict(done or {})

    def left(self, outcome: Outcome) -> bool:
        """Whether a cell that ended like this is tried again; a person's stop is not for this class."""
        kind = outcome.kind or outcome.state
        if outcome.state not in ("failed", "interrupted") or kind not in RETRIED_KINDS:
            return False
        return self._done.get(outcome.job.cell.id, 0) < self.limit

    def pause(self, outcome: Outcome) -> float | None:
        """Seconds to wait before the cell's next try; None if there is none."""
        if not self.left(outcome):
            return None
        before = self._done.get(outcome.job.cell.id, 0)
        self._done[outcome.job.cell.id] = before + 1
        pause = self._pauses[min(before, len(self._pauses) - 1)]
        retry = Retry(
            kind=outcome.kind or outcome.state,
            message=outcome.message,
            retry=before + 1,
            of=self.limit,
            pause_s=pause,
        )
        speak_for(outcome.job, self.results, self.listener, retry)
        return pause


def wait(seconds: float, should_stop: Callable[[], bool]) -> bool:
    """Wait, unless a stop is asked for; whether the time has passed."""
    until = time.monotonic() + seconds
    while not should_stop():
        left = until - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(LOOK_SECONDS, left))
    return False
