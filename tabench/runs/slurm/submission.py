"""What was handed to Slurm, as plain JSON beside the cells: results/<experiment>/slurm/<name>/."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.errors import StoreError
from tabench.runs.executor import Job, Options, jobs_content, read_jobs
from tabench.store.atomic import write_json
from tabench.store.encoding import read_json, read_object


@dataclass(frozen=True)
class Submission:
    """One job array; element n runs cell n of its list.

    Args:
        path: Its folder.
    """

    path: Path

    @property
    def jobs_file(self) -> Path:
        """The cells and how to run them."""
        return self.path / "jobs.json"

    @property
    def queue_file(self) -> Path:
        """The array's number and its cells' ids; absent if sbatch refused it."""
        return self.path / "submitted.json"

    @property
    def cancelled(self) -> Path:
        """There once the submission was cancelled: tasks stop at a checkpoint and never begin again."""
        return self.path / "cancelled"

    def write(self, jobs: Sequence[Job], options: Options, since: Mapping[str, int] | None = None) -> None:
        """Write the job file.

        Args:
            jobs: The cells.
            options: Of the run.
            since: Events in each cell's journal when a person asked for it, by cell id; retries are counted
                from there.
        """
        write_json(self.jobs_file, {**jobs_content(jobs, options), "since": dict(since or {})})

    def own(self, environment: Mapping[str, str]) -> tuple[Job, Options, int]:
        """What an element runs, how, and the events of its cell's journal when a person asked for it.

        Args:
            environment: Slurm's variables.

        Raises:
            StoreError: The job file is damaged.
        """
        jobs, options = read_jobs(self.jobs_file)
        job = jobs[int(environment["SLURM_ARRAY_TASK_ID"])]
        return job, options, self.since().get(job.cell.id, 0)

    def since(self) -> dict[str, int]:
        """Events that the cells' journals held when a person asked for them, by cell id."""
        return {str(cell): int(events) for cell, events in read_json(self.jobs_file).get("since", {}).items()}

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

    def element_of(self, cell_id: str) -> str:
        """Slurm's name of a cell's element; "" if it has none here."""
        return next((name for name, cell in self.elements().items() if cell == cell_id), "")

    def log(self, element: str) -> Path:
        """What a task printed, of all its attempts."""
        return self.path / f"{element}_0_log.out"

    def cancel(self) -> None:
        """Leave word for every task, on whatever host."""
        self.cancelled.touch()


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


def latest_of(found: Sequence[Submission], cell_id: str) -> Submission | None:
    """The last of some submissions that a cell is in."""
    return next((one for one in reversed(found) if one.element_of(cell_id)), None)
