"""Which cells are run again by themselves and how often, and who tells the end of one that cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tabench.errors import RETRIED_KINDS, StoreError, failure_kind
from tabench.events import Done, Event, Failed, Interrupted, Retry, Start, events_of, read_line
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.claim import Claim, ClaimedError
from tabench.store.tidy import close

RETRIES = 2  # of a cell, after its first try
PAUSES = (1.0, 10.0)  # seconds before each: a full disk or a lost mount needs a moment
ENDS = (Start, Done, Failed, Interrupted, Retry)  # they begin or end an attempt
Lines = Sequence[Mapping[str, Any]]  # of a journal


class ProcessDiedError(OSError):
    """A cell's process ended without a word."""


@dataclass
class Retries:
    """Counts a run's retries, and writes each into the cell's journal (run.json copies it from there)."""

    results: Path
    listener: Listener  # told of every retry
    limit: int = RETRIES  # of a cell
    done: dict[str, int] = field(default_factory=dict)  # how many a cell had already, by id
    pauses: tuple[float, ...] = ()  # seconds before each, the last one for all others; by default `PAUSES`

    def pause(self, outcome: Outcome) -> float | None:
        """Seconds to wait before the cell's next try, which is counted; None if there is none.

        A person's stop is not for this class.
        """
        kind, before = outcome.kind or outcome.state, self.done.get(outcome.job.cell.id, 0)
        hopeful = outcome.state in ("failed", "interrupted") and kind in RETRIED_KINDS
        if not hopeful or before >= self.limit:
            return None
        self.done[outcome.job.cell.id] = before + 1
        pauses = self.pauses or PAUSES
        pause = pauses[min(before, len(pauses) - 1)]
        retry = Retry(kind=kind, message=outcome.message, retry=before + 1, of=self.limit, pause_s=pause)
        speak_for(outcome.job, self.results, self.listener, retry)
        return pause


def speak_for(job: Job, results: Path, listener: Listener, event: Event) -> None:
    """Journal an event in the stead of a cell's process, which cannot do so any more, and tell of it."""
    with suppress(StoreError):  # the disk may be what failed
        job.folder(results).journal(event.name, **event.facts())
    listener(CellEvent(job.cell.id, event))


def record_death(results: Path, job: Job, error: Exception, listener: Listener) -> Outcome:
    """Keep and tell why a cell failed, unless it got as far as the record or another process has taken it.

    The error is what is known of its end, `ProcessDiedError`, or what kept it from beginning.
    """
    folder = job.folder(results)
    try:
        with Claim(folder.claim):
            if folder.record.is_file():
                close(folder)
                return Outcome(job, "done")
            attempts = len(events_of(Start, folder.read_journal()))
            folder.write_failure(error, attempt=attempts)
    except ClaimedError as busy:
        return Outcome(job, "busy", message=str(busy))
    except StoreError:  # the disk may be what failed
        pass
    outcome = Outcome(job, "failed", failure_kind(error), str(error) or type(error).__name__)
    speak_for(job, results, listener, Failed(kind=outcome.kind, message=outcome.message))
    return outcome


def last_word(lines: Lines) -> Event | None:
    """The last event of a journal that begins or ends an attempt."""
    return next((event for line in reversed(lines) if isinstance(event := read_line(line), ENDS)), None)


def retries_used(lines: Lines) -> int:
    """How often a cell was tried again by itself."""
    return len(events_of(Retry, lines))


def limit_of(options: Options) -> int:
    """Retries of a cell on a cluster."""
    asked = (options.slurm or SlurmSettings()).retries
    return RETRIES if asked is None else asked


def retries_of(job: Job, options: Options, listener: Listener, since: int) -> Retries:
    """The count of a cell's retries on a cluster, gone on with wherever it was begun.

    `since` is how many events its journal held when a person submitted it: earlier ones do not count.
    """
    done = retries_used(job.folder(options.results).read_journal()[since:])
    # without a pause: the queue itself lets a cell wait
    return Retries(options.results, listener, limit_of(options), {job.cell.id: done}, (0.0,))


def final_failure(lines: Lines, options: Options) -> Failed | None:
    """The failure that a journal ends in, if no retry is left for it."""
    last = last_word(lines)
    if not isinstance(last, Failed):
        return None
    return last if last.kind not in RETRIED_KINDS or retries_used(lines) >= limit_of(options) else None


def after_death(job: Job, options: Options, listener: Listener, since: int, why: str) -> Outcome | None:
    """Journal that an attempt ended without a word: None if another one follows, else its end.

    `since` is as for `retries_of`; `why` is what is known of the end.
    """
    retries = retries_of(job, options, listener, since)
    died = ProcessDiedError(f"{why}; tried {retries.limit + 1} times")
    if retries.pause(Outcome(job, "failed", failure_kind(died), why)) is not None:
        return None
    return record_death(options.results, job, died, listener)
