"""Cells as a job array; how they end is read from the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tabench.events import Failed, Interrupted, Retry, read_line
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome, read_jobs
from tabench.runs.processes import StopFlag
from tabench.runs.retrying import after_death, final_failure, last_word, retries_used
from tabench.runs.slurm.queue import Last, SlurmError, cells_of, open_submissions, submissions
from tabench.runs.slurm.submit import submit
from tabench.store.claim import is_live

LOOK_SECONDS = 1.0  # between two looks at the store
ASK_SECONDS = 10.0  # between two questions to the controller
LOST_ANSWERS = 2  # a cell that the queue lacks so often in a row, without an outcome, has left it


@dataclass
class _Followed:
    """What this process knows of a cell."""

    job: Job
    heard: int  # events of its journal that were passed on
    since: int  # events of its journal when a person asked for it
    retried: int = 0  # retries that were journalled before it was seen in the queue
    missed: int = 0  # answers of the queue in a row that lacked it
    outcome: Outcome | None = None  # how it ended; None while it has not


class SlurmExecutor:
    """Runs cells on a Slurm cluster; see `Executor`.

    Submits what the queue does not have yet and follows the store until all of it has ended. Stopping this
    process stops no cell: the same command follows them again. A cell that left the queue without a word is
    submitted again, as often as retries are left.
    """

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Submit the jobs, those that take longest first, and follow them.

        Raises SlurmError: nothing can be submitted, or what was submitted before cannot be asked for.
        """
        self._options, self._listener = options, listener
        self._experiment = experiment = jobs[0].folder(options.results).path.parent
        before = open_submissions(experiment)
        there = {cell for cell, last in cells_of(before).items() if last.waiting}
        since: dict[str, int] = {}
        for one in before:
            known = read_jobs(one.jobs_file).since
            since |= {cell: events for cell, events in known.items() if cell in there}
        self._cells = []
        for job in jobs:
            events = len(job.folder(options.results).read_journal())
            self._cells.append(_Followed(job, events, since.get(job.cell.id, events)))
        new = [one for one in self._cells if one.job.cell.id not in there]
        if new:
            self._submit(new)
        with StopFlag().listening() as should_stop:
            self._follow(should_stop)
        note = "goes on in the cluster; `tabench watch` follows it, `tabench cancel` ends it"
        return [one.outcome or Outcome(one.job, "interrupted", message=note) for one in self._cells]

    def _submit(self, cells: Sequence[_Followed]) -> None:
        longest_first = sorted((one.job for one in cells), key=lambda job: -job.seconds)
        since = {one.job.cell.id: one.since for one in cells}
        submit(longest_first, self._options, self._experiment, since)
        for one in cells:
            one.missed, one.retried = 0, retries_used(self._events(one))

    def _follow(self, should_stop: Callable[[], bool]) -> None:
        asked = time.monotonic()
        while not should_stop():
            for one in self._open():
                self._hear(one)
            if any(one.outcome and self._options.ends_with(one.outcome) for one in self._cells):
                self._end()
            if not self._open():
                return
            if time.monotonic() - asked > ASK_SECONDS:
                self._ask()
                asked = time.monotonic()
            time.sleep(LOOK_SECONDS)

    def _events(self, one: _Followed) -> list[dict[str, Any]]:
        """A cell's journal since a person asked for it."""
        return one.job.folder(self._options.results).read_journal()[one.since :]

    def _open(self) -> list[_Followed]:
        return [one for one in self._cells if one.outcome is None]

    def _hear(self, one: _Followed) -> None:
        """Pass on what a cell has journalled since, and see whether it has ended."""
        folder = one.job.folder(self._options.results)
        done = folder.record.is_file()  # before the journal: "done" is written after the record
        events = folder.read_journal()
        for line in events[one.heard :]:
            event = read_line(line)
            if event is not None:
                self._listener(CellEvent(one.job.cell.id, event))
        one.heard = max(one.heard, len(events))
        failure = final_failure(events[one.since :], self._options)
        if done:
            one.outcome = Outcome(one.job, "done")
        elif failure is not None:
            one.outcome = Outcome(one.job, "failed", failure.kind, failure.message)

    def _ask(self) -> None:
        """Ask the queue for the cells that have not ended, and decide on those that have left it."""
        try:
            known = cells_of(submissions(self._experiment))
        except SlurmError:
            return  # the controller is busy, or starts anew: nothing is known
        again = []
        for one in self._open():
            last = known.get(one.job.cell.id)
            if last is not None and last.waiting:
                one.missed = 0
                one.retried = retries_used(self._events(one))
                continue
            one.missed += 1
            if one.missed >= LOST_ANSWERS and not is_live(one.job.folder(self._options.results).claim):
                self._hear(one)  # its last words, of just now
                if one.outcome is None and self._decide(one, last):
                    again.append(one)
        if again:
            try:
                self._submit(again)
            except SlurmError as error:
                for one in again:
                    one.outcome = Outcome(one.job, "failed", "infrastructure", str(error))

    def _decide(self, one: _Followed, last: Last | None) -> bool:
        """Whether a cell that left the queue without an outcome is submitted again; else it gets one."""
        events = self._events(one)
        word, state = last_word(events), last.state if last else ""
        if last is not None and last.submission.cancelled.exists():
            one.outcome = Outcome(one.job, "interrupted", message="cancelled; its last checkpoint is kept")
        elif isinstance(word, Interrupted) or state == "CANCELLED":
            note = f"ended by Slurm {f'({state})' if state else ''}".rstrip()
            text = f"{note}; the same command goes on from its checkpoint"
            one.outcome = Outcome(one.job, "interrupted", message=text)
        elif not isinstance(word, Retry) or retries_used(events) == one.retried:
            # else that retry is counted already, but was not queued since
            why = word.message if isinstance(word, Failed) else _last_seen(last)
            # the journal tells it: `_hear` passes it on
            one.outcome = after_death(one.job, self._options, lambda told: None, one.since, why)
            self._hear(one)
        return one.outcome is None

    def _end(self) -> None:
        """End what still runs or waits, because a cell failed."""
        for submission in submissions(self._experiment):
            submission.cancelled.touch()
        note = "ended at its next checkpoint, because a cell failed (--on-error stop)"
        for one in self._open():
            one.outcome = Outcome(one.job, "interrupted", message=note)


def _last_seen(last: Last | None) -> str:
    if last is None:
        return "it was never queued"
    ended = f" ({last.state})" if last.state and last.state != "COMPLETED" else ""
    log = last.submission.log(last.element)
    return f"Slurm job {last.element} ended without a word{ended}; see {log}"
