"""What a cell's journal says of its attempts, and what follows one that ended without a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabench.errors import RETRIED_KINDS, failure_kind
from tabench.events import Done, Event, Failed, Interrupted, Retry, Start, events_of, read_line
from tabench.runs.deaths import record_death, speak_for
from tabench.runs.executor import Job, Listener, Options, Outcome
from tabench.runs.retrying import RETRIES, ProcessDiedError, Retries
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.claim import is_live
from tabench.store.folders import CellFolder

ENDS = (Start, Done, Failed, Interrupted, Retry)  # they begin or end an attempt
NO_PAUSE = (0.0,)  # the queue itself lets a cell wait


def last_word(lines: Sequence[Mapping[str, Any]]) -> Event | None:
    """The last event of a journal that begins or ends an attempt."""
    return next((event for line in reversed(lines) if isinstance(event := read_line(line), ENDS)), None)


def retries_used(lines: Sequence[Mapping[str, Any]]) -> int:
    """How often a cell was tried again by itself."""
    return len(events_of(Retry, lines))


def retries_of(job: Job, options: Options, listener: Listener, since: int) -> Retries:
    """The count of a cell's retries, gone on with wherever it was begun.

    `since` is how many events its journal held when a person submitted it: earlier ones do not count.
    """
    events = job.folder(options.results).read_journal()[since:]
    done = {job.cell.id: retries_used(events)}
    return Retries(options.results, listener, limit_of(options), done, NO_PAUSE)


def limit_of(options: Options) -> int:
    """Retries of a cell."""
    asked = (options.slurm or SlurmSettings()).retries
    return RETRIES if asked is None else asked


def final_failure(lines: Sequence[Mapping[str, Any]], options: Options) -> Failed | None:
    """The failure that a journal ends in, if no retry is left for it."""
    last = last_word(lines)
    if not isinstance(last, Failed):
        return None
    return last if last.kind not in RETRIED_KINDS or retries_used(lines) >= limit_of(options) else None


def ended_silently(folder: CellFolder, since: int) -> bool:
    """Whether an attempt began, said no word of its end, and no process holds the cell any more."""
    begun = isinstance(last_word(folder.read_journal()[since:]), Start)
    return begun and not (folder.record.is_file() or is_live(folder.claim))


def after_death(job: Job, options: Options, listener: Listener, since: int, why: str) -> Outcome | None:
    """Journal that an attempt ended without a word: None if another one follows, else its end.

    `since` is as for `retries_of`; `why` is what is known of the end.
    """
    retries = retries_of(job, options, listener, since)
    died = ProcessDiedError(why)
    if retries.pause(Outcome(job, "failed", failure_kind(died), why)) is not None:
        return None
    outcome = record_death(options.results, job, ProcessDiedError(f"{why}; tried {retries.limit + 1} times"))
    if outcome.state == "failed":
        failed = Failed(kind=outcome.kind, message=outcome.message)
        speak_for(job, options.results, listener, failed)
    return outcome
