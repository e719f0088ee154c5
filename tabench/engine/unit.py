"""Units: the models a cell trains, one after the other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tabench.errors import SpecError
from tabench.methods.base import Sharing
from tabench.spec.cell import Cell


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from any values: equal on every machine, independent of order of use."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


@dataclass(frozen=True)
class Unit:
    """One model of a cell.

    Attributes:
        name: "all", or the task's name where every task is trained alone.
        tasks: Tasks of this model, in the order they are folded.
        channels: Decoder channels of each task.
        weights: Loss weight of each task; they sum to 1.
        seed: Seed of its initialisation and dropout.
    """

    name: str
    tasks: tuple[str, ...]
    channels: dict[str, int]
    weights: dict[str, float]
    seed: int


def units_of(cell: Cell, sharing: Sharing) -> list[Unit]:
    """The units of a cell: one a task for "per-task" methods, else one for all tasks.

    Raises:
        SpecError: Loss weights that name no task of the cell, are negative, or sum to 0.
    """
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
