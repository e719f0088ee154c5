"""A cell: everything that decides a result, and nothing of where or how it runs."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict

Scalar = int | float | str | bool | tuple[int, ...]
SCHEMA_VERSION = 1


class Frozen(BaseModel):
    """Base of all parts of a cell: immutable, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DatasetPart(Frozen):
    """Which images and targets.

    Attributes:
        name: Registry name.
        fingerprint: Identity of the content (see `DatasetDef.fingerprint`).
        tasks: Task names in the order they are folded.
        channels: Decoder channels of each task, same order.
        train_split: Split trained on.
        eval_split: Split reported on.
    """

    name: str
    fingerprint: str
    tasks: tuple[str, ...]
    channels: tuple[int, ...]
    train_split: str = "train"
    eval_split: str = "val"


class BackbonePart(Frozen):
    """Which pretrained SAM.

    Attributes:
        name: Registry name.
        checkpoint: sha256 of the weights file.
        pixel_norm: "none" feeds images in 0..1 (the authors' code); "sam" applies SAM's mean and std.
    """

    name: str
    checkpoint: str
    pixel_norm: Literal["none", "sam"] = "none"


class MethodPart(Frozen):
    """Which method, with every hyper-parameter written out."""

    name: str
    params: dict[str, Scalar] = {}


class TrainPart(Frozen):
    """The recipe.

    Attributes:
        epochs: Passes over the training split.
        batch_size: Images per optimiser step (how they are split into micro-batches is not part of a cell).
        lr: Peak learning rate of Adam.
        weight_decay: L2 penalty added to the gradient (not decoupled).
        warmup: Share of all steps with a linear ramp from 0; then linear to 0.
        precision: "fp32" or "bf16" (autocast).
        augment: Zoom-crop and flip.
        task_weights: Loss weight of each task, divided by their sum.
        max_steps: Stop after this many optimiser steps; 0 = no limit.
    """

    epochs: int = 200
    batch_size: int = 4
    lr: float = 1e-3
    weight_decay: float = 1e-6
    warmup: float = 0.05
    precision: Literal["fp32", "bf16"] = "fp32"
    augment: bool = True
    task_weights: dict[str, float] = {}
    max_steps: int = 0


class EvaluationPart(Frozen):
    """How results are computed.

    Attributes:
        protocols: Task name to the version of its metrics' definition.
        selection: "last", or "best-val" (best on `val_split`, never on the reported split).
        val_split: Split used by "best-val"; empty with "last".
        every: Evaluate every so many epochs for the curves; 0 = only at the end.
        pictures: Images of the reported split whose predictions are kept for the report.
    """

    protocols: dict[str, int] = {}
    selection: Literal["last", "best-val"] = "last"
    val_split: str = ""
    every: int = 0
    pictures: int = 3


class Cell(Frozen):
    """One run's full description; equal cells have equal ids on any machine."""

    schema_version: int = SCHEMA_VERSION
    dataset: DatasetPart
    backbone: BackbonePart
    method: MethodPart
    train: TrainPart
    evaluation: EvaluationPart
    seed: int

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, no spaces, shortest float form."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @property
    def id(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]

    @property
    def label(self) -> str:
        """Short human name, for example "ta-lora s0"."""
        return f"{self.method.name} s{self.seed}"
