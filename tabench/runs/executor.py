"""What an executor is: the thing that gets cells computed somewhere. And how jobs are sent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel, ValidationError

from tabench.errors import SpecError, StoreError
from tabench.events import Event
from tabench.runs.slurm_settings import SlurmSettings
from tabench.spec.cell import Cell
from tabench.store.atomic import write_json
from tabench.store.encoding import read_json
from tabench.store.folders import CellFolder


@dataclass(frozen=True)
class Job:
    """One cell to run and where its inputs are; plain values only, so it can be sent elsewhere."""

    experiment: str  # its name
    cell: Cell
    label: str  # short human name
    data_root: Path  # folder that holds the dataset
    checkpoint: Path  # weights file of the backbone
    seconds: float = 0.0  # time it will take, for the order; 0 where it is not known

    def folder(self, results: Path) -> CellFolder:
        """The cell's folder in a results folder."""
        return CellFolder(results, self.experiment, self.cell.id)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How cells run; none of it is part of a cell. The command line's options say more of most of them."""

    results: Path
    device: str = "auto"  # or "cpu", "cuda", "cuda:1"
    threads: int = 0  # CPU threads of torch, of each process; 0 = all cores
    micro_batch: int = 0  # images per forward pass; 0 = chosen by the backbone's image size
    tasks_apart: bool = False  # one task after the other in a step; False = chosen by the image size
    recompute: bool = False  # activation checkpointing in the encoder
    compiled: bool = False  # encoder blocks through torch.compile
    checkpoint_seconds: float = 60.0  # between two checkpoints inside an epoch
    keep_weights: bool = False  # keep the trained parameters of finished cells
    workers: int = 0  # cells at a time, for executors that run several; 0 = chosen by cores or GPUs
    pack: bool | None = None  # read images from a packed copy; None = where it takes little of the free disk
    # after a cell has failed for good, "stop" interrupts cells that run at a checkpoint and starts no other
    on_error: Literal["continue", "stop"] = "continue"
    slurm: SlurmSettings | None = None  # what a cell asks of a Slurm cluster; None = its defaults
    # of one cell, each with a GPU of its own or a share of the cores; they divide each batch's images
    processes: int = 1

    def for_cell(self, cell: Cell) -> Options:
        """The same for a cell. Raises SpecError: its numerics leave no such choice."""
        if cell.train.numerics == "native":
            return self
        asked = {
            "--compile": self.compiled,
            f"--device {self.device}": self.device.startswith("cuda"),
            f"--threads {self.threads}": self.threads > 1,
        }
        if option := next((option for option, given in asked.items() if given), ""):
            hint = f"leave out {option}, or --set train.numerics=native"
            raise SpecError("portable numerics are those of torch's own code on one CPU thread", hint=hint)
        return replace(self, device="cpu", threads=1)

    def ends_with(self, outcome: Outcome) -> bool:
        """Whether the run ends with this outcome, which no retry is left for."""
        return self.on_error == "stop" and outcome.state == "failed"


@dataclass(frozen=True)
class CellEvent:
    """Something that happened to a cell."""

    cell_id: str
    event: Event


@dataclass(frozen=True)
class Outcome:
    """How a cell's run ended."""

    job: Job
    state: Literal["done", "failed", "interrupted", "busy"]  # "busy": another process holds it
    kind: str = ""  # why it failed, one of `FAILURE_KINDS`, as in failure.json; empty unless failed
    message: str = ""  # for people; empty if done


Listener = Callable[[CellEvent], None]


class Executor(Protocol):
    """Runs jobs; a failing one stops the others only where `on_error` says so, an interruption ends the run.

    Cells that failed of `RETRIED_KINDS` are tried again a few times; see `Retries`. An entry of the group
    "tabench.executors" is a class without arguments.
    """

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Run the jobs, tell `listener` of events, and return one outcome for each job that was started."""
        ...


class JobFile(BaseModel):
    """What another process needs to run cells, as JSON: plain values, nothing that executes."""

    format: Literal[1] = 1
    options: Options
    jobs: list[Job]
    # of a submission: cell id to events in its journal when a person asked for it; retries count from there
    since: dict[str, int] = {}


def write_jobs(
    path: Path, jobs: Sequence[Job], options: Options, since: Mapping[str, int] | None = None
) -> None:
    """Write a job file, with absolute paths."""
    there = [
        replace(job, data_root=job.data_root.absolute(), checkpoint=job.checkpoint.absolute()) for job in jobs
    ]
    how = replace(options, results=options.results.absolute())
    write_json(path, JobFile(options=how, jobs=there, since=dict(since or {})).model_dump(mode="json"))


def read_jobs(path: Path) -> JobFile:
    """Read a job file. Raises StoreError: it is missing, torn, or not what this version writes."""
    try:
        return JobFile.model_validate(read_json(path))
    except ValidationError as error:
        raise StoreError(
            f"is not a job file: {error}", where=str(path), hint="submit the cells again"
        ) from error
