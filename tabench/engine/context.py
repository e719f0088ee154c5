"""Units, the models that a cell trains one after the other, and what a unit is trained with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from tabench.data.base import Split
from tabench.encoders.msam import MSam
from tabench.engine.batch_split import BatchSplit
from tabench.engine.optim import steps_per_epoch, total_steps
from tabench.engine.process_group import ProcessGroup
from tabench.engine.snapshot import Snapshot
from tabench.errors import SpecError
from tabench.events import Emit, emit_nothing
from tabench.methods.base import Sharing
from tabench.spec.cell import Cell
from tabench.tasks.base import Task


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any values: equal on every machine, independent of order of use."""
    text = "/".join(str(part) for part in parts)
    # Python's own hash of strings differs between processes; a sha256 does not.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Unit:
    """One model of a cell: "all", or a task's name where every task is trained alone.

    The tasks are in the order they are folded; their loss weights sum to 1.
    """

    name: str
    tasks: tuple[str, ...]
    channels: dict[str, int]
    weights: dict[str, float]
    seed: int


@dataclass(kw_only=True)
class TrainContext:
    """What a unit is trained with.

    Attributes:
        evaluated: Split reported on, for the curves.
        validation: Split that picks the best epoch; None with selection "last".
        passes: How steps and evaluations are cut; training makes it smaller where memory runs out.
        checkpoint_seconds: Time between two checkpoints inside an epoch.
        should_stop: Asked after every step; True ends the run at a checkpoint.
        rebuild: How to build the unit's model again, on the CPU; None where that is known to give the same.
        origin: A model that was just built; None: the one that is to be trained.
        whole: Steps must not be cut: the model changes in each forward pass.
        balance: How the tasks' losses become one step; None for their weighted sum.
    """

    cell: Cell
    unit: Unit
    tasks: Mapping[str, Task]
    train: Split
    evaluated: Split
    validation: Split | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    passes: BatchSplit = field(default_factory=BatchSplit)
    checkpoint_seconds: float = 60.0
    emit: Emit = emit_nothing
    should_stop: Callable[[], bool] = lambda: False
    group: ProcessGroup = field(default_factory=ProcessGroup)
    rebuild: Callable[[], MSam] | None = None
    origin: Snapshot | None = None
    whole: bool = False
    balance: Any = None  # an engine.balance.Balance, which knows this file

    @property
    def epoch_steps(self) -> int:
        """Optimiser steps of one pass over the training split."""
        return steps_per_epoch(self.cell.train, len(self.train))

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return total_steps(self.cell.train, len(self.train))


def units_of(cell: Cell, sharing: Sharing) -> list[Unit]:
    """The units of a cell: one a task for "per-task" methods, else one for all tasks.

    Raises:
        SpecError: Loss weights that name no task of the cell, are negative, or sum to 0.
    """
    # Seeds hang on the unit's name, so that a task trained alone has the same start whatever the other tasks
    # are.
    channels = dict(zip(cell.dataset.tasks, cell.dataset.channels, strict=True))
    if sharing == "per-task":
        return [
            Unit(name, (name,), {name: count}, {name: 1.0}, derive_seed(cell.seed, name))
            for name, count in channels.items()
        ]
    weights = _normalised(cell.train.task_weights, cell.dataset.tasks)
    return [Unit("all", cell.dataset.tasks, channels, weights, derive_seed(cell.seed, "all"))]


def _normalised(given: dict[str, float], tasks: tuple[str, ...]) -> dict[str, float]:
    unknown = sorted(set(given) - set(tasks))
    if unknown:
        raise SpecError(
            f"loss weights for tasks that the cell does not have: {', '.join(unknown)}",
            where="train.task_weights",
            hint=f"tasks: {', '.join(tasks)}",
        )
    weights = {task: float(given.get(task, 1.0)) for task in tasks}
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise SpecError("loss weights must be 0 or more, and one above 0", where="train.task_weights")
    return {task: weight / total for task, weight in weights.items()}
