"""What is measured: models under SAM's geometry, random images, and the steps over them.

Weights are SAM's own where a registered size's checkpoint is found, else random. Neither they nor the images
change the work. No weight is left at its initial zero: a zero update would make two paths agree
whatever they compute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam

from tabench.bench.jobs import Job, Place
from tabench.catalog import BACKBONES, METHODS, TASKS
from tabench.data.base import Sample, Split
from tabench.data.loading import Batch, evaluation_batches
from tabench.encoders.msam import MSam
from tabench.encoders.plain import Way, plainly
from tabench.encoders.sam.locate import find_checkpoint
from tabench.engine.batch_split import BatchSplit
from tabench.engine.context import TrainContext, Unit, derive_seed
from tabench.engine.evaluate import evaluate
from tabench.engine.gradients import accumulate
from tabench.engine.model import adapt
from tabench.engine.optim import build_optimizer
from tabench.engine.snapshot import trained_parameters
from tabench.errors import CheckpointError
from tabench.methods.adapted import adapted_layers, said
from tabench.methods.regulariser import regulariser
from tabench.runs.circumstances import keep_freed_memory
from tabench.spec.cell import BackbonePart, Cell, DatasetPart, EvaluationPart, MethodPart, TrainPart
from tabench.tasks.base import Task

_SPREAD = 0.02  # standard deviation of what starts at 0, and of s * dW; SAM's own initial weights have it
_LR = 1e-6  # steps cost the same at any rate, and the weights stay where they are


class RandomSplit(Split):
    """Images of (height, width) `size` and targets of noise; labels run from -1 (ignored) to classes - 1."""

    def __init__(self, count: int, size: tuple[int, int], classes: int) -> None:
        rng = np.random.default_rng(0)
        self._images = rng.random((count, 3, *size), np.float32)
        self._labels = rng.integers(-1, classes, (count, *size))
        self._depths = rng.uniform(0.5, 8, (count, 1, *size)).astype(np.float32)
        normals = rng.standard_normal((count, 3, *size), np.float32)
        self._normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)

    def __len__(self) -> int:
        return len(self._images)

    @property
    def ids(self) -> list[str]:
        """See `Split.ids`."""
        return [f"random/{index}" for index in range(len(self))]

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """See `Split.load`; nothing is augmented."""
        targets = {
            "label": self._labels[index],
            "depth": self._depths[index],
            "normal": self._normals[index],
        }
        return Sample(f"random/{index}", self._images[index], targets)


@dataclass
class Trained:
    """One model of a job (methods that train every task alone have one a task)."""

    model: MSam
    context: TrainContext
    optimizer: Adam


class Subject:
    """A job's models, and one batch of images on the CPU."""

    def __init__(self, job: Job, place: Place, images: int | None = None) -> None:
        size = job.where
        self.job, self.device = job, torch.device(place.device)
        method = METHODS.get(job.method)
        channels = dict(zip(job.task_names, (count for _, count in job.tasks), strict=True))
        self.tasks: Mapping[str, Task] = {
            name: TASKS.get(kind)(count)
            for name, (kind, count) in zip(job.task_names, job.tasks, strict=True)
        }
        classes = min([count for kind, count in job.tasks if kind == "segmentation"] or [1])
        split = RandomSplit(images or job.batch, size.image, classes)
        self.batch: Batch = next(iter(evaluation_batches(split, job.batch)))
        trained = _trained(job)
        self.weights = "random" if trained is None else "SAM's own"
        self.parts: list[Trained] = []
        alone = method.sharing == "per-task"
        for names in [(name,) for name in channels] if alone else [tuple(channels)]:
            own = {name: channels[name] for name in names}
            unit = Unit("+".join(names), names, own, dict.fromkeys(names, 1 / len(names)), derive_seed(names))
            cell = _cell(job, own)
            torch.manual_seed(unit.seed)
            model = MSam(size.backbone, own)
            if trained is not None:
                model.load_sam(trained)
            adapt(model, method, cell.method.params)
            fill_zeros(model)
            model.to(self.device)
            optimizer = build_optimizer(trained_parameters(model), cell.train)
            context = TrainContext(
                cell=cell,
                unit=unit,
                tasks=self.tasks,
                train=split,
                evaluated=split,
                device=self.device,
                passes=passes_of(job),
            )
            self.parts.append(Trained(model, context, optimizer))

    def take(self, way: Way) -> None:
        """Choose the path of all models.

        On a GPU the fast one runs as cells do, with deterministic algorithms alone. The plain one has
        operations without them (the backward pass of `F.interpolate`), so it is free of that.
        """
        be_strict(self.job, self.device, way)
        keep_freed_memory(large=way == "fast")  # as a cell on this path does
        for part in self.parts:
            plainly(part.model, way == "plain")

    def gradients(self, way: Way) -> dict[str, float]:
        """Add the gradients of a step, in the models' present mode; returns the summed loss terms."""
        self.take(way)
        terms: dict[str, float] = {}
        for part in self.parts:
            step = plain_gradients if way == "plain" else accumulate
            for name, value in step(part.model, part.context, self.batch, 0).items():
                terms[name] = terms.get(name, 0.0) + value
        return terms

    def train(self, way: Way) -> None:
        """One training step of every model: gradients as the harness takes them, then Adam."""
        for part in self.parts:
            part.model.train()
            part.optimizer.zero_grad(set_to_none=True)
        self.gradients(way)
        for part in self.parts:
            part.optimizer.step()

    def evaluate(self, way: Way) -> None:
        """The harness's evaluation of the batch: forward, activation, metrics of all protocols."""
        self.take(way)
        for part in self.parts:
            evaluate(part.model, part.context)

    def outputs(self, way: Way) -> dict[str, Tensor]:
        """Raw channels of all tasks, without gradients."""
        self.take(way)
        found: dict[str, Tensor] = {}
        with torch.inference_mode():
            for part in self.parts:
                part.model.eval()
                found |= forward(part.model, part.context, self.batch.image)
        return found

    def work(self, name: str, way: Way) -> None:
        """Do "train" or "evaluate"."""
        {"train": self.train, "evaluate": self.evaluate}[name](way)


def be_strict(job: Job, device: torch.device, way: Way = "fast") -> None:
    """Allow a path of a job on a GPU those algorithms that its cells may take."""
    if device.type == "cuda":
        strict = way == "fast" and "varying" not in job.passes
        torch.set_deterministic_debug_mode("error" if strict else "default")


def kernels_of(job: Job, device: torch.device) -> dict[str, Any]:
    """The attention kernels that a job's cells would take on a device, measured there; none on the CPU."""
    passes = passes_of(job)
    alone = passes.apart or METHODS.get(job.method).sharing != "task-aware"
    rows = passes.images * (1 if alone else len(job.tasks))
    be_strict(job, device)
    dtype = "bfloat16" if job.precision == "bf16" else "float32"
    return job.where.backbone.choose_kernels(rows, device, dtype)


def _trained(job: Job) -> Mapping[str, Tensor] | None:
    """SAM's weights, where the job's size is SAM's own and its checkpoint is found."""
    if job.size not in BACKBONES.names():
        return None
    backbone = BACKBONES.get(job.size)
    try:
        path = find_checkpoint(backbone)
    except CheckpointError:
        return None
    return backbone.load(path)


def passes_of(job: Job) -> BatchSplit:
    """How the fast path's steps are cut: as `choose_batch_split` has it, or as the job says."""
    words = job.passes.split("+")
    small = job.where.backbone.small
    chosen = "chosen" in words
    return BatchSplit(
        images=1 if chosen and not small else job.batch,
        evaluated=job.batch if small or not chosen else 1,
        apart="apart" in words or (chosen and not small),
        recompute="recompute" in words,
        compiled="compiled" in words,
    )


def forward(
    model: MSam, context: TrainContext, images: Tensor, tasks: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """A model's outputs at the images' size, in the job's precision; of all tasks by default."""
    device, bf16 = context.device, context.cell.train.precision == "bf16"
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        found: dict[str, Tensor] = model(images.to(device), tuple(images.shape[-2:]), tasks)
    return found


def plain_gradients(model: MSam, context: TrainContext, batch: Batch, step: int) -> dict[str, float]:
    """`accumulate` written plainly: the weighted sum of losses, and one backward pass.

    Where the fast path takes one task after the other and every task has rows of its own, each has its own
    backward pass here, too: memory is compared at the same cut, and the work is the same but for the dense
    updates, which are built once a pass.
    """
    tasks = context.unit.tasks
    passes = [(name,) for name in tasks] if context.passes.apart and model.task_aware else [tasks]
    terms = {"loss": 0.0}
    for number, names in enumerate(passes):
        total, means = plain_loss(model, context, batch, names, penalised=number == 0)
        total.backward()
        terms |= {name: float(mean.detach()) for name, mean in means.items()}
        terms["loss"] += float(total.detach())
    return terms


def plain_loss(
    model: MSam, context: TrainContext, batch: Batch, tasks: Sequence[str], *, penalised: bool = True
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of some tasks in a step, and each task's mean over the images before its weight."""
    unit = context.unit
    outputs = forward(model, context, batch.image, tasks)
    means: dict[str, Tensor] = {}
    for name in tasks:
        task = context.tasks[name]
        target = batch.targets[task.needs].to(context.device)
        pairs = zip(outputs[name].float().split(1), target.split(1), strict=True)
        means[name] = torch.stack([task.loss(raw, truth) for raw, truth in pairs]).mean()
    total = torch.stack([unit.weights[name] * mean for name, mean in means.items()]).sum()
    if model.penalty and penalised:
        total = total + model.penalty * regulariser(model)
    return total, means


@torch.no_grad()
def fill_zeros(model: MSam) -> None:
    """Draw every parameter that starts at zero, factors so that s * dW is as large as a weight."""
    for adapted in adapted_layers(model.image_encoder):
        facts = said(adapted.layer, "facts")
        for parameter in facts["factors"].values() if facts else ():
            if not parameter.any():
                nn.init.normal_(parameter)
                parameter.mul_(_SPREAD / said(adapted.layer, "dense", range(len(model.channels))).std())
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=_SPREAD)
    for rows in model.no_mask.parameters():
        nn.init.normal_(rows)  # a task's channels start equal; equal normals have a length of 0 somewhere


def _cell(job: Job, channels: Mapping[str, int]) -> Cell:
    return Cell(
        dataset=DatasetPart(
            name="random", fingerprint="random", tasks=tuple(channels), channels=tuple(channels.values())
        ),
        backbone=BackbonePart(name=job.size, checkpoint="random"),
        method=MethodPart(name=job.method, params=METHODS.get(job.method).params(job.params)),
        train=TrainPart(batch_size=job.batch, precision=job.precision, lr=_LR, augment="none"),
        evaluation=EvaluationPart(),
        seed=0,
    )
