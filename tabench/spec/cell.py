"""A cell: everything that decides a result, and nothing of where or how it runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from tabench.provenance.portable import Numerics

Scalar = int | float | str | bool
Value = Scalar | tuple[Scalar, ...]  # of a hyper-parameter; a list may have any length
Params = dict[str, Value]
SCHEMA_VERSION: Literal[1] = 1


def _unique(values: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value is listed twice")
    return values


def _named_augmentation(value: Any) -> Any:
    """What `true` and `false` meant before there were two augmentations."""
    return ("clean" if value else "none") if isinstance(value, bool) else value


def _written_augmentation(name: str) -> bool | str:
    """As records had it before there were two: the ids of their cells stay."""
    return {"none": False, "clean": True}.get(name, name)


Augment = Annotated[
    Literal["none", "clean", "paper"],
    BeforeValidator(_named_augmentation),
    PlainSerializer(_written_augmentation),
]
Count = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[int, Field(strict=True, ge=1)]
Names = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(_unique)]
Seeds = Annotated[tuple[Count, ...], Field(min_length=1), AfterValidator(_unique)]


class Frozen(BaseModel):
    """Base of all parts of a cell: immutable, finite, and a key it does not know is an error."""

    # fields younger than the pinned ids. They are written only where they differ from their default, so that
    # a cell that does without them keeps its canonical form and its id.
    LATER: ClassVar[tuple[str, ...]] = ()
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_later_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        for name in self.LATER:
            if getattr(self, name) == type(self).model_fields[name].get_default(call_default_factory=True):
                written.pop(name, None)
        return written


class DatasetPart(Frozen):
    """Which images and targets."""

    LATER: ClassVar[tuple[str, ...]] = ("code", "task_code")

    name: str  # registry name
    fingerprint: str  # identity of the content (see `DatasetDef.fingerprint`)
    tasks: Names  # task names in the order they are folded
    channels: tuple[Positive, ...]  # decoder channels of each task, same order
    train_split: str = "train"  # split trained on
    eval_split: str = "val"  # split reported on
    code: str = ""  # whose code reads them, as for a method
    # task name to whose code it is, where that is not the first version of this package's
    task_code: dict[str, str] = {}

    @property
    def content(self) -> str:
        """Identity of what is read and how it is shown: the fingerprint, and whose code does both."""
        if not self.code and not self.task_code:
            return self.fingerprint
        told = json.dumps([self.fingerprint, self.code, self.task_code], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()

    @model_validator(mode="after")
    def _one_channel_count_a_task(self) -> Self:
        if len(self.tasks) != len(self.channels):
            raise ValueError(f"{len(self.tasks)} tasks but {len(self.channels)} channel counts")
        return self


class BackbonePart(Frozen):
    """Which pretrained SAM."""

    LATER: ClassVar[tuple[str, ...]] = ("code",)

    name: str  # registry name
    checkpoint: str  # sha256 of the weights file
    # "none" feeds images in 0..1 (the authors' code); "sam" applies SAM's mean and std; "encoder" those of
    # an encoder other than SAM's
    pixel_norm: Literal["none", "sam", "encoder"] = "none"
    code: str = ""  # whose code it is, as for a method


class MethodPart(Frozen):
    """Which method, with every hyper-parameter written out."""

    LATER: ClassVar[tuple[str, ...]] = ("code",)

    name: str  # registry name
    params: Params = {}  # its hyper-parameters
    # whose code it is, with its version and a hash of its source (`Code.text`); "" for the first version of
    # this package's
    code: str = ""


class BalancingPart(MethodPart):
    """How the tasks' losses become one step: the same of a balancer."""

    name: str = "equal"  # the sum of the losses by the recipe's `task_weights`


class TrainPart(Frozen):
    """The recipe."""

    LATER: ClassVar[tuple[str, ...]] = ("eps", "warmup_length", "last_batch", "deterministic", "numerics")

    epochs: Positive = 200  # passes over the training split
    # images per optimiser step (how they are split into micro-batches is not part of a cell)
    batch_size: Positive = 4
    lr: Annotated[float, Field(strict=True, gt=0)] = 1e-3  # peak learning rate of Adam
    # rate of the no-mask embeddings as a multiple of `lr`. A task's channels start equal and only these rows
    # tell them apart, so a short run gains from a faster one.
    embedding_lr: Annotated[float, Field(strict=True, gt=0)] = 1.0
    # L2 penalty added to the gradient (not decoupled)
    weight_decay: Annotated[float, Field(strict=True, ge=0)] = 1e-6
    eps: Annotated[float, Field(strict=True, gt=0)] = 1e-8  # added to the root of Adam's second moment
    # share of all steps with a linear ramp from 0; then linear to 0
    warmup: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.05
    # "whole" rounds the ramp's length down to whole steps, "exact" takes it as it is
    warmup_length: Literal["whole", "exact"] = "whole"
    precision: Literal["fp32", "bf16"] = "fp32"  # "fp32" or "bf16" (autocast)
    # whether only algorithms run that give the same bits again; `false` lets a GPU take faster ones
    deterministic: Annotated[bool, Field(strict=True)] = True
    # "none", "clean" or "paper", the released code's own resampling; docs/methods.md says how they differ.
    # `true` and `false` mean "clean" and "none", and are what is written for them.
    augment: Augment = "clean"
    # where an epoch's images do not divide into batches: "short" takes what is left, "filled" repeats the
    # epoch's first images, so that every batch has `batch_size`
    last_batch: Literal["short", "filled"] = "short"
    # loss weight of each task, divided by their sum; a task not named weighs 1
    task_weights: dict[str, Annotated[float, Field(strict=True, gt=0)]] = {}
    max_steps: Count = 0  # stop after this many optimiser steps; 0 = no limit
    # "native": the fastest code for the processor at hand; "portable": one thread, and the same bits on every
    # x86-64 processor with AVX2
    numerics: Numerics = "native"

    @model_validator(mode="after")
    def _portable_leaves_no_choice(self) -> Self:
        if self.numerics == "portable" and (self.precision != "fp32" or not self.deterministic):
            raise ValueError('numerics "portable" needs precision "fp32" and deterministic = true')
        return self


class EvaluationRule(Frozen):
    """How results are chosen and shown."""

    LATER: ClassVar[tuple[str, ...]] = ("more_protocols",)
    # "last", or "best-val" (best on `val_split`, never on the reported split)
    selection: Literal["last", "best-val"] = "last"
    val_split: str = ""  # split used by "best-val"; empty with "last"
    every: Count = 0  # evaluate every so many epochs for the curves; 0 = only at the end
    pictures: Count = 3  # images of the reported split whose predictions are kept for the report
    # protocols that metrics are taken in beside the dataset's own, behind them: "libmtl", "pascal-rms"
    more_protocols: Annotated[tuple[str, ...], AfterValidator(_unique)] = ()

    @model_validator(mode="after")
    def _selection_has_its_split(self) -> Self:
        if self.selection == "best-val" and not self.val_split:
            raise ValueError('selection "best-val" needs val_split: "train-159", "train-select"')
        if self.selection == "last" and self.val_split:
            raise ValueError('val_split is only read with selection "best-val"')
        return self


class EvaluationPart(EvaluationRule):
    """How results are computed."""

    protocols: dict[str, int] = {}  # task name to the version of its metrics' definition


class Cell(Frozen):
    """One run's full description; equal cells have equal ids on any machine.

    Known ids are pinned by tests. A field added later stands in `LATER` of its part, or `SCHEMA_VERSION` must
    rise.
    """

    LATER: ClassVar[tuple[str, ...]] = ("balancing",)

    schema_version: Literal[1] = SCHEMA_VERSION
    dataset: DatasetPart
    backbone: BackbonePart
    method: MethodPart
    balancing: BalancingPart = BalancingPart()
    train: TrainPart
    evaluation: EvaluationPart
    seed: Count

    @model_validator(mode="after")
    def _never_select_on_the_reported_split(self) -> Self:
        if self.evaluation.val_split == self.dataset.eval_split:
            raise ValueError(f"val_split is the reported split '{self.dataset.eval_split}'")
        return self

    def __hash__(self) -> int:
        return hash(self.id)

    def canonical(self) -> str:
        """Canonical JSON: sorted keys, no spaces, shortest float form."""
        return json.dumps(
            self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @cached_property
    def id(self) -> str:
        """First 16 hex digits of the sha256 of the canonical JSON."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]

    @property
    def codes(self) -> dict[str, str]:
        """Whose code it is, as "method x" to `Code.text`, where that is not this package's first version."""
        d = self.dataset
        found = {
            f"method {self.method.name}": self.method.code,
            f"balancing {self.balancing.name}": self.balancing.code,
            f"dataset {d.name}": d.code,
            f"backbone {self.backbone.name}": self.backbone.code,
            **{f"task {name}": text for name, text in d.task_code.items()},
        }
        return {what: text for what, text in found.items() if text}

    def __copy__(self) -> Self:
        """A copy without the cached id, so that a changed copy has its own."""
        copied = super().__copy__()
        copied.__dict__.pop("id", None)
        return copied

    @property
    def label(self) -> str:
        """Short human name, for example "ta-lora s0" or "ta-lora (balancing=x) s0"."""
        balanced = self.balancing != BalancingPart()
        return f"{self.method.name}{f' (balancing={self.balancing.name})' if balanced else ''} s{self.seed}"
