"""What an executor is: the thing that gets cells computed somewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from tabench.engine.events import Event
from tabench.runs.slurm.settings import SlurmSettings
from tabench.spec.cell import Cell


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
