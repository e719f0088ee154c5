"""The smallest real run: four ray-cast rooms, random weights under SAM's keys, two to four steps."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from tabench.catalog import BALANCERS, METHODS, TASKS
from tabench.data.base import DatasetDef, Split
from tabench.data.loading import Batch
from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.geometry import VIT_NANO
from tabench.engine.context import TrainContext, Unit, units_of
from tabench.engine.model import build_unit
from tabench.spec.cell import (
    BackbonePart,
    BalancingPart,
    Cell,
    DatasetPart,
    EvaluationPart,
    MethodPart,
    TrainPart,
)
from tabench.worlds.scenes import SCENES

CHANNELS = {"segmentation": 13, "depth": 1, "normals": 3}


def write_weights(path: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state = {key: value.contiguous() for key, value in build_sam(VIT_NANO).state_dict().items()}
    save_file(state, path)
    return state


SIZES = {"seed": 0, "train": 4, "val": 2, "height": 48, "width": 64}


def write_scenes(root: Path) -> Path:
    SCENES.make(root, **SIZES)
    return root


def make_cell(method: str, **changes: object) -> Cell:
    parts: dict[str, dict[str, object]] = {"train": {}, "evaluation": {}, "params": {}, "balancing": {}}
    for key, value in changes.items():
        part, _, name = key.partition("__")
        parts[part][name] = value
    balancing = str(parts["balancing"].pop("name", "equal"))
    train = {"epochs": 2, "batch_size": 2, "task_weights": {"segmentation": 1, "depth": 1, "normals": 4}}
    return Cell(
        dataset=DatasetPart(
            name="scenes",
            fingerprint=SCENES.recipe_fingerprint(**SIZES),
            tasks=tuple(CHANNELS),
            channels=tuple(CHANNELS.values()),
        ),
        backbone=BackbonePart(name="sam_vit_nano", checkpoint="x", pixel_norm="sam"),
        method=MethodPart(name=method, params=METHODS.get(method).params(parts["params"])),  # type: ignore[arg-type]
        balancing=BalancingPart(name=balancing, params=BALANCERS.get(balancing).params(parts["balancing"])),  # type: ignore[arg-type]
        train=TrainPart.model_validate({**train, **parts["train"]}),
        evaluation=EvaluationPart.model_validate({"pictures": 1, **parts["evaluation"]}),
        seed=0,
    )


def make_unit(cell: Cell, weights: dict[str, torch.Tensor], index: int = 0) -> tuple[Unit, MSam]:
    unit = units_of(cell, METHODS.get(cell.method.name).sharing)[index]
    return unit, build_unit(cell, unit, weights)


def make_context(cell: Cell, unit: Unit, dataset: DatasetDef, root: Path, **options: object) -> TrainContext:
    tasks = {name: TASKS.get(name)(count, dataset.class_names) for name, count in CHANNELS.items()}
    train: Split = dataset.split(root, "train")
    return TrainContext(
        cell=cell, unit=unit, tasks=tasks, train=train, evaluated=dataset.split(root, "val"), **options
    )  # type: ignore[arg-type]


def in_double(batch: Batch) -> Batch:
    """The same batch for a model in double precision."""
    targets = {k: t.double() if t.is_floating_point() else t for k, t in batch.targets.items()}
    return batch._replace(image=batch.image.double(), targets=targets)


def gradients_of(model: MSam) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


class Stop:
    """Asks for a stop after a number of steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0
