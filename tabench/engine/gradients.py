"""The gradient of one optimiser step.

A step sees `batch_size` images. Each task's loss is taken per image and averaged over the images, as with
the recipe's 4 processes of batch 1; how the work is cut into passes (`BatchSplit`) changes memory, not the
meaning, and neither does how many processes share the images (`ProcessGroup`). Penalties (the regulariser, a
method's own term) enter once a step. Where tasks are balanced (`Balance`), what a balancer is told is of the
whole step, and so is what it decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

import torch
from torch import Tensor

from tabench.data.loading import Batch
from tabench.encoders.msam import MSam
from tabench.engine.balance import seeded
from tabench.engine.batch_split import BatchSplit, out_of_memory
from tabench.engine.context import TrainContext, derive_seed
from tabench.engine.reduction import Gradients
from tabench.engine.snapshot import trained_parameters
from tabench.errors import DivergedError
from tabench.events import MemoryShort
from tabench.methods.regulariser import regulariser
from tabench.tasks.base import in_single

Losses = dict[str, Tensor]
Terms = dict[str, float]
T = TypeVar("T")


class _MemoryShortError(Exception):
    """Memory ran out on a process of the group, and its passes can be made smaller."""


def step_gradient(model: MSam, context: TrainContext, batch: Batch, step: int) -> Terms:
    """Set the parameters' gradients to those of one effective batch, in smaller passes where memory runs out.

    Where several processes share the batch, all of them take the smaller passes, and all get the gradients
    of the whole; so they do the terms, see `accumulate`.

    Raises:
        DivergedError: A loss is not finite.
        MemoryError: Memory ran out (or torch's own error), and the passes cannot be made smaller.
        ProcessLostError: A process that shares the batch does not answer.
    """
    while True:
        model.zero_grad(set_to_none=True)
        try:
            return _attempt(model, context, batch, step)
        except _MemoryShortError:
            pass
        # outside the handler, whose traceback holds what other processes have to give up, too
        smaller = _smaller(context, batch)
        assert smaller is not None  # the process that is short would have raised
        context.passes = smaller
        context.emit(MemoryShort(unit=context.unit.name, step=step, **asdict(smaller)))
        model.zero_grad(set_to_none=True)
        if context.device.type == "cuda":
            torch.cuda.empty_cache()  # what is cached of the larger passes may not fit the smaller ones


def _attempt(model: MSam, context: TrainContext, batch: Batch, step: int) -> Terms:
    """One try with the passes as they are now."""
    group, balance = context.group, context.balance
    weights = None
    if balance is not None:
        seen = _on_all(context, batch, lambda: _measured(model, context, batch, step))
        weights = balance.weights(group.sum(seen), step)

    def passes() -> tuple[Terms, Gradients | None, Gradients | None]:
        # Seeded at each attempt, so that a step tried again and a resumed one draw the same masks.
        torch.manual_seed(_dropout_seed(context, step))
        rows = balance.rows() if balance is not None else None
        terms = accumulate(model, context, batch, step, weights, rows)
        # Its memory is taken inside the attempt: if it runs out here, smaller passes can still make room.
        whole = Gradients(trained_parameters(model).items()) if group.size > 1 else None
        if whole is not None:
            whole.take()
        return terms, whole, rows

    terms, whole, rows = _on_all(context, batch, passes)
    if whole is not None:
        whole.sum(group)
        whole.give()
    terms = group.sum(terms)
    if balance is not None:
        balance.give(terms, rows, group)
    return terms


def _on_all(context: TrainContext, batch: Batch, work: Callable[[], T]) -> T:
    """Do a part of a step on every process.

    Raises:
        _MemoryShortError: Memory ran out on one of them.
    """
    group, short = context.group, False
    try:
        found = work()
    except (MemoryError, RuntimeError) as error:
        short = out_of_memory(error)
        if not short or _smaller(context, batch) is None:
            raise
    # outside the handler, whose traceback still holds the step's tensors
    if group.sync(short=short, stop=group.size > 1 and context.should_stop()):
        raise _MemoryShortError
    return found


def _smaller(context: TrainContext, batch: Batch) -> BatchSplit | None:
    """The next smaller passes, the same on every process: by the largest share of the batch."""
    if context.whole:
        return None
    return context.passes.smaller(-(-batch.effective // context.group.size))


def _dropout_seed(context: TrainContext, step: int) -> int:
    """Of a step's masks; every process draws its own, of the same law."""
    # The first process adds nothing to the seed, which so is that of a process alone.
    own = (context.group.rank,) if context.group.rank else ()
    return derive_seed(context.unit.seed, "dropout", step, *own)


def _measured(model: MSam, context: TrainContext, batch: Batch, step: int) -> Terms:
    """What a balancer must know of this share beforehand: labelled images, and losses where it asks."""
    assert context.balance is not None
    found = {}
    for name, task in ((name, context.tasks[name]) for name in context.unit.tasks):
        labelled = task.labelled(batch.targets[task.needs]).sum() if batch.ids else 0
        found[f"images of {name}"] = float(labelled)
    if "losses" in context.balance.asks:
        found |= losses_now(model, context, batch, step)
    return found


def losses_now(model: MSam, context: TrainContext, batch: Batch, step: int) -> Terms:
    """The mean loss of each task as the step sees it, with the step's own dropout; of a share, its part."""
    # The masks of the step itself, so that what a balancer is told is what the step then minimises.
    torch.manual_seed(_dropout_seed(context, step))
    sums: dict[str, list[Tensor]] = {task: [] for task in context.unit.tasks}
    with torch.no_grad():
        for losses, _ in _passes(model, context, batch):
            for task, loss in losses.items():
                sums[task].append(loss.sum())
    return _means(sums, batch.effective)


def accumulate(
    model: MSam,
    context: TrainContext,
    batch: Batch,
    step: int,
    weights: Mapping[str, float] | None = None,
    rows: Gradients | None = None,
) -> Terms:
    """Add the gradient of one effective batch, pass by pass; of this process' share of it, its part.

    `weights` are the factors of the tasks' losses (None: the static ones); `rows` gets the gradients of what
    the tasks share, a row a task of the unit. Steps count from 0.

    Returns:
        The total loss ("loss", whose weights are the static ones), the mean loss of each task, "regulariser"
        if the method has one (before its weight), and "method" if it adds a term of its own. Of a share, what
        it adds to each; the shares' sums are those of the batch.

    Raises:
        DivergedError: A loss is not finite.
    """
    count, static = batch.effective, context.unit.weights
    weights = static if weights is None else weights
    sums: dict[str, list[Tensor]] = {task: [] for task in context.unit.tasks}
    for losses, ids in _passes(model, context, batch, by_task=rows is not None):
        # Divided by the whole batch's images and not the pass's, so that the passes' gradients add up to the
        # mean.
        total = torch.stack([weights[task] * loss.sum() for task, loss in losses.items()]).sum() / count
        _check_loss(total, step, ids)
        # the tasks of a shared encoder go back through one and the same forward pass
        total.backward(retain_graph=rows is not None and _reads_one_embedding(model))
        for task, loss in losses.items():
            sums[task].append(loss.detach().sum())
            if rows is not None:
                rows.take(context.unit.tasks.index(task))
        losses.clear()
        del total, loss  # a graph that is retained must not outlive its task
    terms = _means(sums, count)
    terms["loss"] = sum(static[task] * terms[task] for task in context.unit.tasks)
    for name, weight, penalty in _penalties(model, context, step):
        _check_loss(penalty, step, batch.ids)
        # It counts once: on other processes than the main one it is a constant 0.
        if penalty.requires_grad:
            (weight * penalty).backward()
        terms[name] = float(penalty.detach())
        terms["loss"] += weight * terms[name]
    return terms


def _means(sums: Mapping[str, list[Tensor]], count: int) -> Terms:
    return {task: float(torch.stack(found).sum()) / count if found else 0.0 for task, found in sums.items()}


def _penalties(model: MSam, context: TrainContext, step: int) -> Iterator[tuple[str, float, Tensor]]:
    """Name, weight and value of what is no mean over images: it counts once, on the first process."""
    main, nothing = context.group.is_main, torch.zeros(())
    if model.penalty:
        yield "regulariser", model.penalty, regulariser(model) if main else nothing
    if model.hooks is not None:
        with seeded(context, "hooks", step):
            term = model.hooks.loss(step, context.steps)
        if term is not None:
            yield "method", 1.0, term if main else nothing


def after_step(model: MSam, context: TrainContext, batch: Batch, step: int) -> None:
    """Let the method and the balancer act on the optimiser's step, which every process has taken."""
    if model.hooks is not None:
        with seeded(context, "hooks after", step):
            model.hooks.after_step(step, context.steps)
    balance = context.balance
    if balance is not None:
        after = None
        if "losses-after" in balance.asks:
            mine = losses_now(model, context, batch, step)
            context.group.sync()  # sums are right only behind a meeting, where errors are told
            after = context.group.sum(mine)
        balance.after_step(after)


def _passes(
    model: MSam, context: TrainContext, batch: Batch, *, by_task: bool = False
) -> Iterator[tuple[Losses, Sequence[str]]]:
    """The losses of one pass after the other, some tasks' or all of them, and the images they are of."""
    size = context.passes.images or batch.effective
    model.recompute, model.compiled = context.passes.recompute, context.passes.compiled
    for first in range(0, len(batch.ids), size):
        part = slice(first, first + size)
        given = batch.image[part], {kind: target[part] for kind, target in batch.targets.items()}
        if by_task or context.passes.apart:
            found = losses_apart(model, context, *given, whole=by_task)
        else:
            found = iter([image_losses(model, context, *given)])
        for losses in found:
            yield losses, batch.ids[part]


def image_losses(
    model: MSam,
    context: TrainContext,
    images: Tensor,
    targets: Mapping[str, Tensor],
    tasks: Sequence[str] | None = None,
) -> Losses:
    """Loss of each task on every image, (B,) each, from one forward pass.

    In fp32 or the model's fp64, whatever the autocast. Images are (B, 3, H, W); None takes the unit's tasks.
    """
    with _autocast(context):
        images = images.to(context.device, non_blocking=True)
        outputs = model(images, _size(images), tasks or context.unit.tasks)
    return {name: _loss(name, output, context, targets) for name, output in outputs.items()}


def losses_apart(
    model: MSam, context: TrainContext, images: Tensor, targets: Mapping[str, Tensor], *, whole: bool = False
) -> Iterator[Losses]:
    """The losses of one task after the other; a task's graph ends with its backward pass.

    The caller calls `backward` on each before it asks for the next. Where all tasks read one embedding, their
    gradients on it are summed and its own backward pass runs once, after the last; or, with `whole`, each
    task's goes through it, and has to retain the graph.
    """
    images = images.to(context.device, non_blocking=True)
    if not _reads_one_embedding(model):
        for name in context.unit.tasks:
            yield image_losses(model, context, images, targets, [name])
        return
    with _autocast(context):
        inputs, inner = model.prepare(images)
        embedding = model.encode(inputs, context.unit.tasks)[context.unit.tasks[0]]
    # A leaf ends each task's backward pass at the embedding, where the tasks' gradients add up.
    leaf = embedding if whole else embedding.detach().requires_grad_(embedding.requires_grad)
    for name in context.unit.tasks:
        with _autocast(context):
            output = model.read(name, leaf, inner, _size(images))
        losses = {name: _loss(name, output, context, targets)}
        del output  # else the graph would outlive its pass
        yield losses
    if not whole and leaf.grad is not None:
        embedding.backward(leaf.grad)


def _reads_one_embedding(model: MSam) -> bool:
    return not (model.instead is not None or model.task_aware)


def _loss(name: str, output: Tensor, context: TrainContext, targets: Mapping[str, Tensor]) -> Tensor:
    task, raw = context.tasks[name], in_single(output)
    target = targets[task.needs].to(context.device, non_blocking=True)
    # Image by image: a loss that normalises by its valid pixels must not see which images share a pass.
    one_by_one = zip(raw.split(1), target.split(1), strict=True)
    return torch.stack([task.loss(r, t) for r, t in one_by_one])


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
