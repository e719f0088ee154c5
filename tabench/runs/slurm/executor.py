"""Cells as a job array; how they end is read from the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tabench.events import Failed, Interrupted, Retry, read_line
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome
from tabench.runs.slurm.attempts import after_death, final_failure, last_word, retries_used
from tabench.runs.slurm.queue import Queued, SlurmError, cells_of, over, waiting
from tabench.runs.slurm.submission import Submission, latest_of, open_submissions, submissions
from tabench.runs.slurm.submit import submit
from tabench.runs.stopping import StopFlag
from tabench.store.claim import is_live

LOOK_SECONDS = 1.0  # between two looks at the store
ASK_SECONDS = 10.0  # between two questions to the controller
LOST_ANSWERS = 2  # a cell that the queue lacks so often in a row, without an outcome, has left it


@dataclass
class _Followed:
    """What this process knows of a cell.

    Attributes:
        job: The cell.
        heard: Events of its journal that were passed on.
        since: Events of its journal when a person asked for it.
        retried: Retries that were journalled before it was seen in the queue.
        missed: Answers of the queue in a row that lacked it.
        outcome: How it ended; None while it has not.
    """

    job: Job
    heard: int
    since: int
    retried: int = 0
    missed: int = 0
    outcome: Outcome | None = None


class SlurmExecutor:
    """Runs cells on a Slurm cluster; see `Executor`.

    Submits what the queue does not have yet and follows the store until all of it has ended. Stopping this
    process stops no cell: the same command follows them again. A cell that left the queue without a word is
    submitted again, as often as retries are left.
    """

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Submit the jobs, those that take longest first, and follow them.

        Raises:
            SlurmError: Nothing can be submitted, or what was submitted before cannot be asked for.
        """
        self._options, self._listener = options, listener
        self._experiment = experiment = jobs[0].folder(options.results).path.parent
        before = open_submissions(experiment)
        there = waiting(cells_of(before))
        since = {cell: events for one in before for cell, events in one.since().items() if cell in there}
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
            found = known.get(one.job.cell.id)
            if found and not over(found):
                one.missed = 0
                one.retried = retries_used(self._events(one))
                continue
            one.missed += 1
            if one.missed >= LOST_ANSWERS and not is_live(one.job.folder(self._options.results).claim):
                self._hear(one)  # its last words, of just now
                if one.outcome is None and self._decide(one, found):
                    again.append(one)
        if again:
            try:
                self._submit(again)
            except SlurmError as error:
                for one in again:
                    one.outcome = Outcome(one.job, "failed", "infrastructure", str(error))

    def _decide(self, one: _Followed, found: Queued | None) -> bool:
        """Whether a cell that left the queue without an outcome is submitted again; else it gets one."""
        submission = latest_of(submissions(self._experiment), one.job.cell.id)
        events = self._events(one)
        last = last_word(events)
        state = found.state if found else ""
        if submission and submission.cancelled.exists():
            one.outcome = Outcome(one.job, "interrupted", message="cancelled; its last checkpoint is kept")
        elif isinstance(last, Interrupted) or state == "CANCELLED":
            note = f"ended by Slurm {f'({state})' if state else ''}".rstrip()
            text = f"{note}; the same command goes on from its checkpoint"
            one.outcome = Outcome(one.job, "interrupted", message=text)
        elif (
            not isinstance(last, Retry) or retries_used(events) == one.retried
        ):  # else: counted, but not queued since
            why = last.message if isinstance(last, Failed) else _last_seen(submission, one.job, state)
            one.outcome = after_death(one.job, self._options, _unheard, one.since, why)
            self._hear(one)  # what was journalled just now
        return one.outcome is None

    def _end(self) -> None:
        """End what still runs or waits, because a cell failed."""
        for submission in submissions(self._experiment):
            submission.cancel()
        note = "ended at its next checkpoint, because a cell failed (--on-error stop)"
        for one in self._open():
            one.outcome = Outcome(one.job, "interrupted", message=note)


def _last_seen(submission: Submission | None, job: Job, state: str) -> str:
    if submission is None:
        return "it was never queued"
    element = submission.element_of(job.cell.id)
    ended = f" ({state})" if state and state != "COMPLETED" else ""
    return f"Slurm job {element} ended without a word{ended}; see {submission.log(element)}"


def _unheard(told: CellEvent) -> None:
    """The journal tells it."""
