"""What a unit is trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from tabench.data.base import Split
from tabench.encoders.msam import MSam
from tabench.engine.balance import Balance
from tabench.engine.batch_split import BatchSplit
from tabench.engine.optim import steps_per_epoch, total_steps
from tabench.engine.process_group import ProcessGroup
from tabench.engine.snapshot import Snapshot
from tabench.engine.unit import Unit
from tabench.spec.cell import Cell
from tabench.tasks.base import Task


def _silent(event: str, facts: Mapping[str, Any]) -> None:
    """Tell nobody."""


@dataclass(kw_only=True)
class TrainContext:
    """What a unit is trained with.

    Attributes:
        cell: The recipe.
        unit: Which tasks, with which weights.
        tasks: The task objects by name.
        train: Split trained on.
        evaluated: Split reported on, for the curves.
        validation: Split that picks the best epoch; None with selection "last".
        device: Where the model is.
        passes: How steps and evaluations are cut; training makes it smaller where memory runs out.
        checkpoint_seconds: Time between two checkpoints inside an epoch.
        emit: Told of every event (name, facts).
        should_stop: Asked after every step; True ends the run at a checkpoint.
        group: The processes that share the work; alone by default.
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
    emit: Callable[[str, Mapping[str, Any]], None] = _silent
    should_stop: Callable[[], bool] = lambda: False
    group: ProcessGroup = field(default_factory=ProcessGroup)
    rebuild: Callable[[], MSam] | None = None
    origin: Snapshot | None = None
    whole: bool = False
    balance: Balance | None = None

    @property
    def epoch_steps(self) -> int:
        """Optimiser steps of one pass over the training split."""
        return steps_per_epoch(self.cell.train, len(self.train))

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return total_steps(self.cell.train, len(self.train))
