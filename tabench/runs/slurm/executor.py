"""Cells as a job array; how they end is read from the store."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tabench.runs.executor import Event, Job, Listener, Options, Outcome
from tabench.runs.slurm.queue import SlurmError, cells_of, queued_cells
from tabench.runs.slurm.settings import SlurmSettings
from tabench.runs.slurm.submission import Submission, new_submission, submissions
from tabench.runs.stopping import StopFlag
from tabench.store.layout import CellFolder, ExperimentFolder

LOOK_SECONDS = 1.0  # between two looks at the store
ASK_SECONDS = 10.0  # between two questions to the controller
LOST_ANSWERS = 2  # a cell that the queue lacks so often in a row, without an outcome, is lost


class SlurmExecutor:
    """Runs cells on a Slurm cluster; see `Executor`.

    Submits what the queue does not have yet and follows the store until all of it has ended. Stopping this
    process stops no cell: the same command follows them again.
    """

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Submit the jobs, those that take longest first, and follow them."""
        self._listener = listener
        experiment = ExperimentFolder(options.results, jobs[0].experiment).path
        there = queued_cells(experiment)
        new = sorted((job for job in jobs if job.cell.id not in there), key=lambda job: -job.seconds)
        heard = {job.cell.id: len(_folder(options, job).read_journal()) for job in jobs}
        if new:
            submit(new, options, new_submission(experiment))
        return self._follow(jobs, options, experiment, heard)

    def _follow(
        self, jobs: Sequence[Job], options: Options, experiment: Path, heard: dict[str, int]
    ) -> list[Outcome]:
        found: dict[str, Outcome] = {}
        missed = dict.fromkeys(heard, 0)
        asked = time.monotonic()
        with StopFlag().listening() as should_stop:
            while not should_stop():
                waiting = [job for job in jobs if job.cell.id not in found]
                if not waiting:
                    break
                if time.monotonic() - asked > ASK_SECONDS:
                    asked = time.monotonic()
                    gone = _not_queued(experiment, waiting)
                    missed |= {j.cell.id: missed[j.cell.id] + 1 if j.cell.id in gone else 0 for j in waiting}
                for job in waiting:
                    outcome = self._hear(job, options, heard)
                    if outcome is None and missed[job.cell.id] >= LOST_ANSWERS:
                        outcome = _lost(job, experiment)
                    if outcome is not None:
                        found[job.cell.id] = outcome
                if any(options.ends_with(outcome) for outcome in found.values()):
                    return _ended(jobs, found, experiment)
                time.sleep(LOOK_SECONDS)
        note = "goes on in the cluster; `tabench watch` follows it, `tabench cancel` ends it"
        return [found.get(job.cell.id) or Outcome(job, "interrupted", message=note) for job in jobs]

    def _hear(self, job: Job, options: Options, heard: dict[str, int]) -> Outcome | None:
        """Pass on what a cell has journalled since; its outcome, if it has one."""
        folder = _folder(options, job)
        done = folder.record.is_file()  # before the journal: "done" is written after the record
        events = folder.read_journal()
        outcome = None
        for line in events[heard[job.cell.id] :]:
            kind = str(line["event"])
            facts = {key: value for key, value in line.items() if key not in ("t", "event")}
            self._listener(Event(job.cell.id, kind, facts))
            if kind == "failed":
                outcome = Outcome(job, "failed", str(facts.get("kind")), str(facts.get("message")))
            elif kind == "start":
                outcome = None
        heard[job.cell.id] = len(events)
        return Outcome(job, "done") if done else outcome


def submit(jobs: Sequence[Job], options: Options, submission: Submission) -> str:
    """Hand cells to Slurm as one array; its number.

    submitit writes the batch script and calls `sbatch`. What it would pickle (a function and its result) is
    not used: the script runs a module on a JSON file, so a results folder holds nothing that executes.

    Raises:
        SlurmError: submitit or Slurm is not there, or Slurm refuses the settings.
    """
    try:
        import submitit
    except ImportError as error:
        raise SlurmError("submitit is not installed", hint="pip install 'tabench[slurm]'") from error
    settings = options.slurm or SlurmSettings()
    submission.write(jobs, replace(options, slurm=settings))
    try:
        sender = submitit.SlurmExecutor(folder=submission.path.absolute())
        sender.update_parameters(**settings.sbatch(f"tabench-{jobs[0].experiment}", len(jobs)))
        sender.parameters["map_count"] = len(jobs)  # an array even of one: every element is named alike
        words = [sys.executable, "-u", "-m", "tabench.runs.slurm.task", str(submission.path.absolute())]
        array = str(sender._submit_command(shlex.join(words)).job_id)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        raise SlurmError(
            f"nothing was submitted: {_first_line(error)}",
            where=str(submission.path),
            hint="check the partition, account, time and GPUs asked for (--slurm)",
        ) from error
    submission.write_queued(array, jobs)
    return array


def _folder(options: Options, job: Job) -> CellFolder:
    return CellFolder(options.results, job.experiment, job.cell.id)


def _not_queued(experiment: Path, jobs: Sequence[Job]) -> set[str]:
    """Ids of cells that Slurm does not have (any more); none where it cannot be asked."""
    try:
        there = set(cells_of(submissions(experiment)))
    except SlurmError:
        return set()
    return {job.cell.id for job in jobs} - there


def _lost(job: Job, experiment: Path) -> Outcome:
    """A cell that left the queue without a word in the store."""
    for one in reversed(submissions(experiment)):
        for element, cell in one.elements().items():
            if cell == job.cell.id:
                if one.cancelled.exists():
                    return Outcome(job, "interrupted", message="cancelled; its last checkpoint is kept")
                text = f"Slurm job {element} ended without a record; see {one.log(element)}"
                return Outcome(job, "failed", "infrastructure", text)
    return Outcome(job, "failed", "infrastructure", "it was never queued")


def _ended(jobs: Sequence[Job], found: dict[str, Outcome], experiment: Path) -> list[Outcome]:
    """End what still runs or waits, because a cell failed."""
    for one in submissions(experiment):
        one.cancel()
    note = "ended at its next checkpoint, because a cell failed (--on-error stop)"
    return [found.get(job.cell.id) or Outcome(job, "interrupted", message=note) for job in jobs]


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
