"""Metrics of a unit over a split, in every protocol, and the validation loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tabench.data.base import Split
from tabench.data.loading import Batch, evaluation_batches
from tabench.encoders.msam import MSam
from tabench.engine.merging import merge, share_of
from tabench.engine.process_group import ProcessGroup
from tabench.engine.unit import Unit
from tabench.errors import InterruptedRunError
from tabench.store.encoding import significant
from tabench.tasks.base import Evaluation, Task

PREFETCH = 2  # batches read ahead of a GPU


@dataclass(frozen=True)
class Result:
    """One task's metrics in one protocol.

    Attributes:
        task: Task name.
        protocol: Protocol name ("paper", "pixel").
        values: Metric key to value, rounded; None where the protocol defines none.
        per_image: Metric key to {image id: value}.
        notes: What a reader must know about the values.
    """

    task: str
    protocol: str
    values: dict[str, float | None]
    per_image: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def evaluate(
    model: MSam,
    unit: Unit,
    tasks: Mapping[str, Task],
    split: Split,
    device: torch.device,
    *,
    batch_size: int = 1,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    group: ProcessGroup | None = None,
) -> list[Result]:
    """Evaluate a unit's tasks in all of their protocols in one pass, in fp32.

    Protocols of a task share what they measure. On a CUDA device nothing is waited for until the end.
    Several processes share the batches; the result is that of one process, and the main process's alone.

    Args:
        model: The unit's model; left in evaluation mode.
        unit: Which tasks it has.
        tasks: Task objects by name.
        split: Images, in order, not augmented.
        device: Where the model is.
        batch_size: Images per forward pass.
        progress: Told (images done, images in all) after every batch.
        should_stop: Asked after every batch.
        group: The processes that share the split; alone by default.

    Returns:
        A result for each task and protocol; nothing but on the main process.

    Raises:
        DivergedError: A prediction is not finite.
        InterruptedRunError: `should_stop` said so.
    """
    meters = {(t, p): tasks[t].evaluation(p) for t in unit.tasks for p in tasks[t].protocols}
    kinds = {tasks[t].needs for t in unit.tasks}
    updated = {t: _leaders([meters[t, p] for p in tasks[t].protocols]) for t in unit.tasks}
    group = group or ProcessGroup()
    leaders = [meter for t in unit.tasks for meter in updated[t]]
    share = share_of(group, leaders)
    model.eval()
    done = 0
    with torch.inference_mode():
        mine = _evaluated(split, batch_size, device, share, kinds) if share is not None else ()
        for ids, _, images, targets, _ in mine:
            outputs = model(images, tuple(images.shape[-2:]))
            for name in unit.tasks:
                prediction = tasks[name].activate(outputs[name])
                for meter in updated[name]:
                    meter.update(prediction, targets[tasks[name].needs], ids)
            done += len(ids)
            if progress is not None:
                progress(min(done * (share[1] if share else 1), len(split)), len(split))
            if should_stop():
                raise InterruptedRunError("stopped during an evaluation", hint="run it again to resume")
    merge(group, leaders, split.ids)
    if not group.is_main:
        return []
    return [
        Result(
            task,
            protocol,
            {key: _value(value) for key, value in meter.compute().items()},
            meter.per_image(),
            meter.notes(),
        )
        for (task, protocol), meter in meters.items()
    ]


def _leaders(meters: list[Evaluation]) -> list[Evaluation]:
    """The accumulators that are to be updated; the others read what these measure."""
    leaders: list[Evaluation] = []
    for meter in meters:
        if not any(meter.follow(leader) for leader in leaders):
            leaders.append(meter)
    return leaders


def _evaluated(
    split: Split,
    batch_size: int,
    device: torch.device,
    share: tuple[int, int],
    kinds: Collection[str] | None = None,
) -> Iterator[Batch]:
    """Every n-th batch from the r-th on, on the device, read ahead where another processor computes."""
    first, stride = share
    ahead = PREFETCH if device.type != "cpu" else 0
    return evaluation_batches(
        split, batch_size, start=first, stride=stride, prefetch=ahead, device=device, kinds=kinds
    )


def _value(value: float) -> float | None:
    return significant(value) if math.isfinite(value) else None


def curve_entries(results: list[Result], epoch: int) -> list[dict[str, Any]]:
    """Results as the record's curve entries."""
    return [
        {"epoch": epoch, "task": r.task, "key": key, "protocol": r.protocol, "value": value}
        for r in results
        for key, value in r.values.items()
    ]


Losses = Callable[[Tensor, Mapping[str, Tensor]], dict[str, Tensor]]


def validation_loss(
    model: MSam,
    unit: Unit,
    split: Split,
    losses: Losses,
    device: torch.device,
    batch_size: int = 1,
    group: ProcessGroup | None = None,
) -> float:
    """Mean over images of the weighted loss, without the regulariser; lower is better.

    Args:
        model: The unit's model; left in evaluation mode.
        unit: Its tasks and their weights.
        split: Images, in order, not augmented.
        losses: Maps images (B, 3, H, W) and targets to each task's losses (B,).
        device: Where the model is.
        batch_size: Images per forward pass.
        group: The processes that share the batches; each of them gets the loss that one process gets.
    """
    group = group or ProcessGroup()
    model.eval()
    sums: list[Tensor] = []
    with torch.no_grad():
        for _, _, images, targets, _ in _evaluated(split, batch_size, device, (group.rank, group.size)):
            found = losses(images, targets)
            sums.append(torch.stack([found[task].double().sum() for task in unit.tasks]))
    values = torch.stack(sums).tolist() if sums else []  # one wait for the device
    everyone = group.exchange(values)
    total = 0.0
    for batch in range(-(-len(split) // batch_size)):  # in the split's order: sums are rounded
        for task, value in zip(unit.tasks, everyone[batch % group.size][batch // group.size], strict=True):
            total += unit.weights[task] * value
    return significant(total / len(split))
