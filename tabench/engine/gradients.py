"""The gradient of one optimiser step.

A step sees `batch_size` images. Each task's loss is taken per image and averaged over the images, as with
the recipe's 4 processes of batch 1; how the work is cut into passes (`BatchSplit`) changes memory, not the
meaning, and neither does how many processes share the images (`ProcessGroup`). The regulariser enters once a
step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from tabench.data.loading import Batch
from tabench.encoders.msam import MSam
from tabench.engine.batch_split import BatchSplit, out_of_memory
from tabench.engine.context import TrainContext
from tabench.engine.reduction import Gradients
from tabench.engine.unit import derive_seed
from tabench.errors import DivergedError
from tabench.methods.regulariser import regulariser
from tabench.tasks.base import in_single

Losses = dict[str, Tensor]


def step_gradient(model: MSam, context: TrainContext, batch: Batch, step: int) -> dict[str, float]:
    """Set the parameters' gradients to those of one effective batch, in smaller passes where memory runs out.

    Where several processes share the batch, all of them take the smaller passes, and all get the gradients
    of the whole.

    Returns:
        See `accumulate`; of the whole batch.

    Raises:
        DivergedError: A loss is not finite.
        MemoryError: Memory ran out (or torch's own error), and the passes cannot be made smaller.
        ProcessLostError: A process that shares the batch does not answer.
    """
    group = context.group
    while True:
        model.zero_grad(set_to_none=True)
        torch.manual_seed(_dropout_seed(context, step))
        terms: dict[str, float] = {}
        gradients = None
        short = False
        try:
            terms = accumulate(model, context, batch, step)
            if group.size > 1:
                gradients = Gradients((n, p) for n, p in model.named_parameters() if p.requires_grad)
        except (MemoryError, RuntimeError) as error:
            short = out_of_memory(error)
            if not short or _smaller(context, batch) is None:
                raise
        # outside the handler, whose traceback still holds the step's tensors
        short = group.sync(short=short, stop=group.size > 1 and context.should_stop())
        if not short:
            if gradients is not None:
                gradients.give_back(group)
            return group.sum(terms)
        gradients = None
        smaller = _smaller(context, batch)
        assert smaller is not None  # the process that is short would have raised
        context.passes = smaller
        context.emit("memory", {"unit": context.unit.name, "step": step, **smaller.facts()})
        model.zero_grad(set_to_none=True)
        if context.device.type == "cuda":
            torch.cuda.empty_cache()


def _smaller(context: TrainContext, batch: Batch) -> BatchSplit | None:
    """The next smaller passes, the same on every process: by the largest share of the batch."""
    if context.whole:
        return None
    return context.passes.smaller(-(-batch.effective // context.group.size))


def _dropout_seed(context: TrainContext, step: int) -> int:
    """Of a step's masks; every process draws its own, of the same law."""
    own = (context.group.rank,) if context.group.rank else ()
    return derive_seed(context.unit.seed, "dropout", step, *own)


def accumulate(model: MSam, context: TrainContext, batch: Batch, step: int) -> dict[str, float]:
    """Add the gradient of one effective batch, pass by pass; of a share of it, its part.

    Returns:
        The total loss ("loss"), the mean loss of each task, and "regulariser" if the method has one
        (before its weight). Of a share, what it adds to each; the shares' sums are those of the batch.

    Raises:
        DivergedError: A loss is not finite.
    """
    here, count, weights = len(batch.ids), batch.effective, context.unit.weights
    size = context.passes.images or count
    model.recompute, model.compiled = context.passes.recompute, context.passes.compiled
    sums: dict[str, list[Tensor]] = {task: [] for task in context.unit.tasks}
    for first in range(0, here, size):
        part = slice(first, first + size)
        targets = {kind: target[part] for kind, target in batch.targets.items()}
        way = losses_apart if context.passes.apart else losses_together
        for losses in way(model, context, batch.image[part], targets):
            total = torch.stack([weights[task] * loss.sum() for task, loss in losses.items()]).sum() / count
            _check_loss(total, step, batch.ids[part])
            total.backward()
            for task, loss in losses.items():
                sums[task].append(loss.detach().sum())
    terms = {task: float(torch.stack(found).sum()) / count if found else 0.0 for task, found in sums.items()}
    terms["loss"] = sum(weights[task] * terms[task] for task in context.unit.tasks)
    weight = float(context.cell.method.params.get("orthogonality", 0.0))  # type: ignore[arg-type]
    if weight and not context.group.is_main:
        terms["regulariser"] = 0.0  # it is no mean over images: it counts once
    elif weight:
        penalty = regulariser(model)
        _check_loss(penalty, step, batch.ids)
        if penalty.requires_grad:
            (weight * penalty).backward()
        terms["regulariser"] = float(penalty.detach())
        terms["loss"] += weight * terms["regulariser"]
    return terms


def image_losses(model: MSam, context: TrainContext, images: Tensor, targets: Mapping[str, Tensor]) -> Losses:
    """Loss of every task on every image, (B,) each, in fp32 or the model's fp64, whatever the autocast."""
    (losses,) = losses_together(model, context, images, targets)
    return losses


def losses_together(
    model: MSam, context: TrainContext, images: Tensor, targets: Mapping[str, Tensor]
) -> Iterator[Losses]:
    """The losses of all tasks from one forward pass; see `image_losses`."""
    images, size = _to_device(images, context), _size(images)
    with _autocast(context):
        outputs = model(images, size)
    yield {name: _loss(name, outputs[name], context, targets) for name in context.unit.tasks}


def losses_apart(
    model: MSam, context: TrainContext, images: Tensor, targets: Mapping[str, Tensor]
) -> Iterator[Losses]:
    """The losses of one task after the other; a task's graph ends with its backward pass.

    The caller calls `backward` on each before it asks for the next. Where all tasks read one embedding, their
    gradients on it are summed and its own backward pass runs once, after the last.
    """
    images, size = _to_device(images, context), _size(images)
    if model.path == "plain" or model.task_aware:
        for name in context.unit.tasks:
            with _autocast(context):
                outputs = model(images, size, [name])
            yield {name: _loss(name, outputs.pop(name), context, targets)}
        return
    with _autocast(context):
        inputs, inner = model.prepare(images)
        embedding = model.encode(inputs, context.unit.tasks)[context.unit.tasks[0]]
    leaf = embedding.detach().requires_grad_(embedding.requires_grad)
    for name in context.unit.tasks:
        with _autocast(context):
            output = model.read(name, leaf, inner, size)
        yield {name: _loss(name, output, context, targets)}
    if leaf.grad is not None:
        embedding.backward(leaf.grad)


def _loss(name: str, output: Tensor, context: TrainContext, targets: Mapping[str, Tensor]) -> Tensor:
    task, raw = context.tasks[name], in_single(output)
    target = targets[task.needs].to(context.device, non_blocking=True)
    one_by_one = zip(raw.split(1), target.split(1), strict=True)
    return torch.stack([task.loss(r, t) for r, t in one_by_one])


def _to_device(images: Tensor, context: TrainContext) -> Tensor:
    return images.to(context.device, non_blocking=True)


def _size(images: Tensor) -> tuple[int, int]:
    return int(images.shape[-2]), int(images.shape[-1])


def _autocast(context: TrainContext) -> torch.autocast:
    bf16 = context.cell.train.precision == "bf16"
    return torch.autocast(context.device.type, torch.bfloat16, enabled=bf16)


def _check_loss(loss: Tensor, step: int, ids: Sequence[str]) -> None:
    if not torch.isfinite(loss):
        raise DivergedError(
            f"the loss is {float(loss.detach())} at step {step} (images {', '.join(ids)})",
            step=step,
            ids=ids,
            hint="lower train.lr, or check these images with `tabench data verify`",
        )
