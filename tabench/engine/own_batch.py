"""A training step's losses and gradients on a batch of one's own: no experiment, no dataset, no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from torch import Tensor

from tabench.data.array_folders import CHANNELS
from tabench.data.base import Split
from tabench.data.loading import Batch
from tabench.encoders.msam import MSam
from tabench.engine.batch_split import BatchSplit
from tabench.engine.context import TrainContext, units_of
from tabench.engine.gradients import accumulate
from tabench.errors import SpecError
from tabench.methods.regulariser import regularised
from tabench.spec.cell import BackbonePart, Cell, DatasetPart, EvaluationPart, MethodPart, TrainPart
from tabench.tasks.base import Task


def own_gradients(
    model: MSam,
    tasks: Mapping[str, Task],
    images: Tensor,
    targets: Mapping[str, Tensor],
    *,
    weights: Mapping[str, float] | None = None,
    orthogonality: float = 0.0,
    precision: Literal["fp32", "bf16"] = "fp32",
    passes: BatchSplit | None = None,
) -> dict[str, float]:
    """Set a model's gradients to those of one training step, by the code that training itself runs.

    The model is used as it is: call `train()` first for dropout, which draws from torch's generator, and
    `double()` for a step in float64 from the images to the gradients.

    Args:
        model: As `build_unit` makes it.
        tasks: By the names that the model has, all of them or some.
        images: (B, 3, H, W) in 0..1, of the model's type and on its device.
        targets: By kind (`Task.needs`), as `Batch` has them.
        weights: Of the tasks' losses, divided by their sum; a task not named weighs 1.
        orthogonality: Weight of the regulariser.
        precision: "bf16" runs the model under autocast.
        passes: How the step is cut; None takes all images and tasks at once.

    Returns:
        The total loss ("loss"), each task's mean loss over the images, and "regulariser" before its weight.

    Raises:
        SpecError: What is given does not fit the model, or one part the other.
        DivergedError: A loss is not finite.
    """
    unknown = [name for name in tasks if name not in model.channels]
    if unknown or not tasks:
        raise SpecError(f"no task '{', '.join(unknown)}'", hint=f"the model has: {', '.join(model.channels)}")
    dtype = next(model.parameters()).dtype
    if images.ndim != 4 or images.dtype != dtype:
        held = f"{tuple(images.shape)} {images.dtype}"
        raise SpecError(f"images are (B, 3, H, W), of the model's type {dtype}; these are {held}")
    if orthogonality and not regularised(model):
        raise SpecError("the model has nothing that the orthogonality regulariser sees", hint="set it to 0")
    for name, task in tasks.items():
        found = targets.get(task.needs)
        if found is None or len(found) != len(images):
            held = "none" if found is None else f"{len(found)}"
            raise SpecError(f"'{name}' needs {len(images)} targets of kind '{task.needs}', got {held}")
        shape = (len(images), CHANNELS.get(task.needs), *images.shape[2:])
        if task.needs in CHANNELS and found.shape != shape:  # losses would spread it to another shape
            raise SpecError(f"targets of kind '{task.needs}' have shape {shape}, not {tuple(found.shape)}")
    channels = tuple(model.channels[name] for name in tasks)
    cell = Cell(
        dataset=DatasetPart(name="own", fingerprint="", tasks=tuple(tasks), channels=channels),
        backbone=BackbonePart(name=model.backbone.name, checkpoint=""),
        method=MethodPart(name="own"),
        train=TrainPart(batch_size=len(images), precision=precision, task_weights=dict(weights or {})),
        evaluation=EvaluationPart(),
        seed=0,
    )
    (unit,) = units_of(cell, "shared")
    none, cut = cast(Split, ()), passes or BatchSplit()
    device = next(model.parameters()).device
    context = TrainContext(
        cell=cell, unit=unit, tasks=tasks, train=none, evaluated=none, device=device, passes=cut
    )
    numbers = tuple(range(len(images)))
    batch = Batch(tuple(f"image {number}" for number in numbers), numbers, images, dict(targets))
    model.zero_grad(set_to_none=True)
    # The step reads the weight from the model, which must have its own again whatever happens.
    own, model.penalty = model.penalty, orthogonality
    try:
        return accumulate(model, context, batch, 0)
    finally:
        model.penalty = own
