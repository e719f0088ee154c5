"""Metrics of a unit over a split, in every protocol, and the validation loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tabench.data.base import Split
from tabench.data.loading import Batch, evaluation_batches
from tabench.encoders.msam import MSam
from tabench.engine.context import TrainContext
from tabench.engine.process_group import ProcessGroup
from tabench.errors import InterruptedRunError
from tabench.store.encoding import significant
from tabench.tasks.accumulator import from_bytes, to_bytes
from tabench.tasks.base import Evaluation
from tabench.tasks.spread import MapSpread

PREFETCH = 2  # batches read ahead of a GPU


@dataclass(frozen=True)
class Result:
    """One task's metrics in one protocol, rounded; None where it defines none.

    `spread` (see `MapSpread`) comes with the main protocol alone.
    """

    task: str
    protocol: str
    values: dict[str, float | None]
    per_image: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    spread: dict[str, float] = field(default_factory=dict)


def evaluate(
    model: MSam,
    context: TrainContext,
    *,
    spread: bool = False,
    progress: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Result]:
    """Evaluate a unit's tasks on the reported split, in all of their protocols in one pass, in fp32.

    Protocols of a task share what they measure. On a CUDA device nothing is waited for until the end.
    Several processes share the batches; the result is that of one process, and the main process's alone.
    With `spread` the maps' own variance is measured, too. After every batch `progress` is told (images done,
    images in all). The model is left in evaluation mode.

    Raises:
        DivergedError: A prediction is not finite.
        InterruptedRunError: `should_stop` said so.
    """
    tasks = {name: context.tasks[name] for name in context.unit.tasks}
    split, group = context.evaluated, context.group
    meters = {(t, p): task.evaluation(p) for t, task in tasks.items() for p in task.protocols}
    updated = {t: _leaders([meters[t, p] for p in task.protocols]) for t, task in tasks.items()}
    spreads = {t: MapSpread() for t in tasks if spread}
    for t, maps in spreads.items():
        updated[t].append(maps)
    leaders = [meter for found in updated.values() for meter in found]
    share = _share_of(group, leaders)
    model.eval()
    done = 0
    with torch.inference_mode():
        mine = _evaluated(context, split, context.passes.evaluated, share) if share is not None else ()
        for ids, _, images, targets, _ in mine:
            outputs = model(images, tuple(images.shape[-2:]))
            for name, task in tasks.items():
                prediction = task.activate(outputs[name])
                for meter in updated[name]:
                    meter.update(prediction, targets[task.needs], ids)
            done += len(ids)
            if progress is not None:
                progress(min(done * (share[1] if share else 1), len(split)), len(split))
            if should_stop():
                raise InterruptedRunError("stopped during an evaluation", hint="run it again to resume")
    # Every process must reach the merge, those without a share too: it begins with a collective.
    _merge(group, leaders, split.ids)
    if not group.is_main:
        return []
    return [
        Result(
            task,
            protocol,
            {key: _value(value) for key, value in meter.compute().items()},
            meter.per_image(),
            meter.notes(),
            spreads[task].compute() if spread and protocol == tasks[task].protocols[0] else {},
        )
        for (task, protocol), meter in meters.items()
    ]


def _share_of(group: ProcessGroup, meters: Sequence[Evaluation]) -> tuple[int, int] | None:
    """(first, stride) of the batches that this process evaluates; None if the main one has to do them all.

    Whole batches are dealt out in turn, none twice and none padded: every forward pass is one that a single
    process makes, on the same images, so that its numbers are the same to the bit.
    """
    if all(meter.mergeable for meter in meters):
        return group.rank, group.size
    return (0, 1) if group.is_main else None


def _merge(group: ProcessGroup, meters: Sequence[Evaluation], order: Sequence[str]) -> None:
    """Give the main process's accumulators what the others measured; those of the others stay as they are.

    The accumulators come in the same order on every process; `order` has the ids of the split's images.

    Raises:
        DivergedError: A prediction was not finite, here or elsewhere.
        ProcessLostError: A process does not answer.
    """
    if group.size == 1 or not all(meter.mergeable for meter in meters):
        group.sync()
        return
    for meter in meters:  # one after the other: the values of a median fill much memory
        for content in group.collect(to_bytes(meter.parts()))[1:]:  # the first is the main process's own
            meter.absorb(from_bytes(content), order)


def _leaders(meters: list[Evaluation]) -> list[Evaluation]:
    """The accumulators that are to be updated; the others read what these measure."""
    leaders: list[Evaluation] = []
    for meter in meters:
        if not any(meter.follow(leader) for leader in leaders):
            leaders.append(meter)
    return leaders


def _evaluated(
    context: TrainContext, split: Split, batch_size: int, share: tuple[int, int]
) -> Iterator[Batch]:
    """Every n-th batch from the r-th on, on the device, read ahead where another processor computes."""
    return evaluation_batches(
        split,
        batch_size,
        start=share[0],
        stride=share[1],
        prefetch=PREFETCH if context.device.type != "cpu" else 0,
        device=context.device,
        kinds={context.tasks[name].needs for name in context.unit.tasks},
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


def validation_loss(
    model: MSam,
    context: TrainContext,
    split: Split,
    losses: Callable[[Tensor, Mapping[str, Tensor]], dict[str, Tensor]],
) -> float:
    """Mean over images of the loss by the static weights, without penalties; lower is better.

    Each of the context's processes gets the loss that one process gets. The model is left in evaluation mode.
    `losses` maps images (B, 3, H, W) and targets to each task's losses (B,).
    """
    unit, group = context.unit, context.group
    model.eval()
    sums: list[Tensor] = []
    with torch.no_grad():
        # One image a pass, so that every forward pass is the same however many processes share the split.
        for _, _, images, targets, _ in _evaluated(context, split, 1, (group.rank, group.size)):
            found = losses(images, targets)
            # In float64, which holds a loss of float32 exactly.
            sums.append(torch.stack([found[task].double().sum() for task in unit.tasks]))
    values = torch.stack(sums).tolist() if sums else []  # one wait for the device
    everyone = group.exchange(values)
    total = 0.0
    for image in range(len(split)):  # in the split's order: sums are rounded
        for task, value in zip(unit.tasks, everyone[image % group.size][image // group.size], strict=True):
            total += unit.weights[task] * value
    return significant(total / len(split))
