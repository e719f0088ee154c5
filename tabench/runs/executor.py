"""What an executor is: the thing that gets cells computed somewhere. And how jobs are sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import TypeAdapter, ValidationError

from tabench.errors import StoreError
from tabench.events import Event
from tabench.runs.slurm_settings import SlurmSettings
from tabench.spec.cell import Cell
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder

JOBS_FORMAT = 1


@dataclass(frozen=True)
class Job:
    """One cell to run and where its inputs are; plain values only, so it can be sent elsewhere.

    Attributes:
        experiment: Experiment name.
        cell: What to compute.
        label: Short human name.
        data_root: Folder that holds the dataset.
        checkpoint: Weights file of the backbone.
        seconds: Time it will take, for the order; 0 where it is not known.
    """

    experiment: str
    cell: Cell
    label: str
    data_root: Path
    checkpoint: Path
    seconds: float = 0.0

    def folder(self, results: Path) -> CellFolder:
        """The cell's folder in a results folder."""
        return CellFolder(results, self.experiment, self.cell.id)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How cells run; none of it is part of a cell.

    Attributes:
        results: Results folder.
        device: "auto", "cpu", "cuda" or "cuda:1".
        threads: CPU threads of torch; 0 = all cores.
        micro_batch: Images per forward pass; 0 = chosen by the backbone's image size.
        tasks_apart: One task after the other in a step; False = chosen by the backbone's image size.
        recompute: Activation checkpointing in the encoder.
        compiled: Encoder blocks through torch.compile.
        checkpoint_seconds: Time between two checkpoints inside an epoch.
        keep_weights: Keep the trained parameters of finished cells.
        workers: Cells at a time, for executors that run several; 0 = chosen by cores or GPUs.
        pack: Read images from a packed copy in the cache; None = where it takes little of the free disk.
        on_error: After a cell has failed for good: "continue" with the others, or "stop" (cells that run
            are interrupted at a checkpoint, no other one is started).
        slurm: What a cell asks of a Slurm cluster; None = its defaults.
        processes: Processes of one cell, each with a GPU of its own or a share of the cores; they divide each
            batch's images among them. `threads` are those of each.
    """

    results: Path
    device: str = "auto"
    threads: int = 0
    micro_batch: int = 0
    tasks_apart: bool = False
    recompute: bool = False
    compiled: bool = False
    checkpoint_seconds: float = 60.0
    keep_weights: bool = False
    workers: int = 0
    pack: bool | None = None
    on_error: Literal["continue", "stop"] = "continue"
    slurm: SlurmSettings | None = None
    processes: int = 1

    def ends_with(self, outcome: Outcome) -> bool:
        """Whether the run ends with this outcome, which no retry is left for."""
        return self.on_error == "stop" and outcome.state == "failed"


@dataclass(frozen=True)
class CellEvent:
    """Something that happened to a cell.

    Attributes:
        cell_id: Whose.
        event: What.
    """

    cell_id: str
    event: Event


@dataclass(frozen=True)
class Outcome:
    """How a cell's run ended.

    Attributes:
        job: The cell that ran.
        state: "done", "failed", "interrupted", or "busy" (another process holds it).
        kind: Why it failed, one of `FAILURE_KINDS`, as in failure.json; empty unless failed.
        message: One message for people; empty if done.
    """

    job: Job
    state: Literal["done", "failed", "interrupted", "busy"]
    kind: str = ""
    message: str = ""


Listener = Callable[[CellEvent], None]


class Executor(Protocol):
    """Runs jobs; a failing one stops the others only where `on_error` says so, an interruption ends the run.

    Cells that failed of `RETRIED_KINDS` are tried again a few times; see `Retries`.

    An entry of the group "tabench.executors" is a class without arguments.
    """

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Run the jobs, tell `listener` of events, and return one outcome for each job that was started."""
        ...


def jobs_content(jobs: Sequence[Job], options: Options) -> dict[str, Any]:
    """The content of a job file, with absolute paths: what another process needs to run the cells."""
    there = [
        replace(job, data_root=job.data_root.absolute(), checkpoint=job.checkpoint.absolute()) for job in jobs
    ]
    how = replace(options, results=options.results.absolute())
    return {
        "format": JOBS_FORMAT,
        "options": TypeAdapter(Options).dump_python(how, mode="json"),
        "jobs": TypeAdapter(list[Job]).dump_python(there, mode="json"),
    }


def read_jobs(path: Path) -> tuple[list[Job], Options]:
    """The jobs and options of a job file.

    Raises:
        StoreError: It is missing, torn, or not what this version writes.
    """
    content = read_json(path)
    try:
        if content["format"] != JOBS_FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {JOBS_FORMAT}")
        jobs = TypeAdapter(list[Job]).validate_python(content["jobs"])
        return jobs, TypeAdapter(Options).validate_python(content["options"])
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"is not a job file: {error}", where=str(path), hint="submit the cells again"
        ) from error
