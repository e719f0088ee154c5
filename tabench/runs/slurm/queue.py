"""What was handed to Slurm, and what its queue says of it.

A submission is a folder of plain JSON beside the cells, results/<experiment>/slurm/<name>/. Of Slurm's
programs only `squeue`, `scancel` and `scontrol` are asked: no accounting is needed.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tabench.errors import StoreError, TabenchError
from tabench.events import Interrupted
from tabench.runs.executor import Job, Options, read_jobs
from tabench.runs.retrying import last_word
from tabench.store.atomic import write_json
from tabench.store.encoding import read_object
from tabench.store.folders import ExperimentFolder

SECONDS = 30  # to wait for the controller
OVER = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
        "PREEMPTED", "REVOKED")  # fmt: skip


class SlurmError(TabenchError):
    """Slurm is not there, or refuses."""


def require(*programs: str) -> None:
    """Find out whether Slurm's programs are on this host. Raises SlurmError: one is not."""
    for program in programs:
        if shutil.which(program) is None:
            hint = "use a host that submits to the cluster, or take another --executor"
            raise SlurmError(f"`{program}` is not on this host", hint=hint)


def command(words: Sequence[str]) -> str:
    """What a command of Slurm prints. Raises SlurmError: it is not on this host, or fails."""
    conf = os.environ.get("SLURM_CONF")
    if conf and not Path(conf).is_file():  # Slurm's programs wait a minute for it
        raise SlurmError(
            "there is no such file", where=f"SLURM_CONF={conf}", hint="name the cluster's slurm.conf"
        )
    require(words[0])
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"`{words[0]}` did not answer in {SECONDS} s", hint="is slurmctld up?") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        said = lines[-1] if lines else f"exit code {done.returncode}"
        hint = f"is the cluster of SLURM_CONF={conf} up?" if conf else "is this host one of the cluster's?"
        raise SlurmError(f"`{' '.join(words)}`: {said}", hint=hint)
    return done.stdout


class Submission:
    """One job array; element n runs cell n of its list."""

    def __init__(self, path: Path) -> None:
        self.path = path  # its folder
        self.jobs_file = path / "jobs.json"  # the cells and how to run them
        self.queue_file = path / "submitted.json"  # the array's number, its cells' ids; absent if refused
        # there once it was cancelled: tasks, on whatever host, stop and never begin again
        self.cancelled = path / "cancelled"

    def own(self, environment: Mapping[str, str]) -> tuple[Job, Options, int]:
        """What the element that Slurm's variables name runs, and how; its cell's `JobFile.since`."""
        found = read_jobs(self.jobs_file)
        job = found.jobs[int(environment["SLURM_ARRAY_TASK_ID"])]
        return job, found.options, found.since.get(job.cell.id, 0)

    def write_queued(self, array: str, jobs: Sequence[Job]) -> None:
        """Keep the number that Slurm gave the array."""
        write_json(self.queue_file, {"array": array, "cells": [job.cell.id for job in jobs]})

    def elements(self) -> dict[str, str]:
        """Slurm's name of each element ("12_0") to the id of its cell; empty if nothing was queued."""
        if not self.queue_file.is_file():
            return {}
        content = read_object(self.queue_file, hint="remove it: the cells can be submitted again")
        cells = content.get("cells")
        if not isinstance(cells, list) or "array" not in content:
            raise StoreError("names no array and its cells", where=str(self.queue_file))
        return {f"{content['array']}_{n}": str(cell) for n, cell in enumerate(cells)}

    def log(self, element: str) -> Path:
        """What a task printed, of all its attempts."""
        return self.path / f"{element}_0_log.out"


def new_submission(experiment: Path) -> Submission:
    """A folder of its own for the next submission of an experiment."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S-%f")
    path = experiment / "slurm" / f"{now}-{os.getpid()}"
    path.mkdir(parents=True)
    return Submission(path)


def submissions(experiment: Path) -> list[Submission]:
    """All submissions of an experiment, oldest first."""
    return [Submission(file.parent) for file in sorted((experiment / "slurm").glob("*/submitted.json"))]


def open_submissions(experiment: Path) -> list[Submission]:
    """Those that were not cancelled."""
    return [one for one in submissions(experiment) if not one.cancelled.exists()]


class Queued(NamedTuple):
    """An element of an array that Slurm still has, also one that has ended some minutes ago."""

    element: str  # Slurm's name of it, "12_0"
    state: str  # Slurm's word: "PENDING", "RUNNING", "COMPLETING", ...
    why: str  # where it runs, or why it waits

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""
        return self.state in OVER


class Last(NamedTuple):
    """The last element that a cell was submitted as."""

    submission: Submission
    element: str
    queued: Queued | None  # None where Slurm has forgotten it

    @property
    def waiting(self) -> bool:
        """Whether Slurm has it, and it has not ended."""
        return self.queued is not None and not self.queued.over

    @property
    def state(self) -> str:
        """Slurm's word, if it has one."""
        return self.queued.state if self.queued else ""


def cells_of(found: Sequence[Submission], *, ask: bool = True) -> dict[str, Last]:
    """The last element of each cell of some submissions, oldest first, by cell id.

    Raises SlurmError: the queue cannot be asked; without `ask`, it is not.
    """
    elements = {name: (cell, one) for one in found for name, cell in one.elements().items()}
    text = ""
    if elements and ask:
        # the numbers are not given to squeue: it refuses all of them where it has forgotten one
        text = command(["squeue", "-h", "-r", "-t", "all", "-o", "%F_%K|%T|%R"])
    rows = [Queued(*line.split("|", 2)) for line in text.splitlines() if line.count("|") >= 2]
    there = {row.element: row for row in rows}
    return {cell: Last(one, name, there.get(name)) for name, (cell, one) in elements.items()}


def add_queue(folder: ExperimentFolder, rows: list[dict[str, Any]]) -> str:
    """Complete the rows ("id", "state", "detail") of submitted cells in place; why Slurm could not be asked.

    A cell that waits is "queued". One that was submitted is "submitted" where the queue cannot be asked. One
    that left the queue keeps the store's word, and its detail says how it left.
    """
    found, problem = open_submissions(folder.path), ""
    known = cells_of(found, ask=False)
    open_rows = [row for row in rows if row["id"] in known and row["state"] != "done"]
    if open_rows:
        try:
            known = cells_of(found)
        except SlurmError as error:
            problem = str(error)
    for row in open_rows:
        last, state = known[row["id"]], row["state"]
        if last.waiting:
            told = f"Slurm {' '.join(last.queued or ())}"
            row["state"] = state if state == "running" else "queued"
        elif state in ("failed", "running"):
            continue
        elif problem:
            row["state"], told = "submitted", f"Slurm {last.element}"
        else:
            told = _how_it_left(folder.cell(row["id"]).read_journal(), last)
        why = last.queued.why if last.queued and last.waiting else problem or told
        row["slurm"] = {"job": last.element, "state": last.state, "why": why}
        row["detail"] = f"{row['detail']} {told}".strip()
    return problem


def _how_it_left(journal: Sequence[Mapping[str, Any]], last: Last) -> str:
    """Of a cell without an outcome that Slurm does not have any more."""
    state = f" ({last.state})" if last.state else ""
    if isinstance(last_word(journal), Interrupted):
        return f"interrupted; Slurm {last.element} has ended{state}"
    return f"Slurm {last.element} has ended without a word{state}; see {last.submission.log(last.element)}"
