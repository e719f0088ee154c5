"""Evaluations that have seen some images."""

from __future__ import annotations

from torch import Tensor

from tabench.tasks.base import Evaluation, Task


def evaluated(task: Task, protocol: str, prediction: Tensor, target: Tensor, batch: int = 1) -> Evaluation:
    """What a task measures of images "val/0", "val/1" and so on, given in batches."""
    evaluation = task.evaluation(protocol)
    ids = [f"val/{i}" for i in range(len(target))]
    for at in range(0, len(target), batch):
        part = slice(at, at + batch)
        evaluation.update(prediction[part], target[part], ids[part])
    return evaluation
